// What the page uses of Preact with htm, whose module stands beside it once the function is built.
type Dependencies = readonly unknown[];
export function html(strings: TemplateStringsArray, ...values: unknown[]): unknown;
export function render(node: unknown, parent: Element): void;
export function useCallback<F>(callback: F, dependencies: Dependencies): F;
export function useEffect(effect: () => void | (() => void), dependencies?: Dependencies): void;
export function useMemo<T>(make: () => T, dependencies: Dependencies): T;
export function useRef<T>(first: T): { current: T };
export function useState<T>(first: T | (() => T)): [T, (next: T | ((before: T) => T)) => void];
