// Drawn by `make examples`.
export const STYLES: Record<string, string>;
export const TEMPLATES: Record<string, { panel: number[] | null; box: number[]; align: string; backdrop: string; fit: string; light: boolean }>;
export const FONTS: Record<string, [number, string]>;
