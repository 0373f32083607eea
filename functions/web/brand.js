// What a stored brand kit has of its own.
import {useEffect, useState} from './preact.js';
import {ApiError, get, kindly, sentence} from './api.js';

/** @typedef {{templates: string[], fonts: string[], problem: string}} Own */

/** @type {Own} */
const NOTHING = {templates: [], fonts: [], problem: ''};

/** A kit's own templates and fonts by name, or why there are none. @param {string | null} name @returns {Own} */
export function useKit(name) {
  const [found, setFound] = useState({...NOTHING, name});
  useEffect(() => {
    if (!name) return undefined;
    let left = false;
    get(`brands/${encodeURIComponent(name)}`).then(
      (kit) => ({...NOTHING, templates: Object.keys(kit.templates ?? {}), fonts: (kit.fonts ?? []).map((/** @type {any} */ font) => font.name)}),
      (error) => ({...NOTHING, problem: error instanceof ApiError && error.status === 404 ? sentence(error.message) : kindly(error)}),
    ).then((own) => { if (!left) setFound({...own, name}); });
    return () => { left = true; };
  }, [name]);
  return name && found.name === name ? found : NOTHING;
}

/** @param {string[]} own names of a kit, which come before the catalogue's of the same name @param {string[]} names */
export const ownFirst = (own, names) => [...new Set([...own, ...names])];
