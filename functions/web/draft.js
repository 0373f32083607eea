// What a person is typing: kept in the address and in local storage, so that nothing is lost.

/** @typedef {{titles: string, models: string[], style: string, template: string, font: string, context: string, extra: string, blog: string, formats: string, kicker: string, author: string, brand: string}} Draft */

const PLACE = 'thumbs-draft';
const FIELDS = ['titles', 'style', 'template', 'font', 'context', 'extra', 'blog', 'formats', 'kicker', 'author', 'brand'];

/** @returns {Draft} */
export const emptyDraft = () => ({titles: '', models: [], style: '', template: '', font: '', context: '', extra: '', blog: '', formats: '', kicker: '', author: '', brand: ''});

/** The address's draft before the stored one. @param {URLSearchParams} query @returns {Draft} */
export function loadDraft(query) {
  let stored = {};
  try {
    stored = JSON.parse(localStorage.getItem(PLACE) ?? '{}');
  } catch { /* Somebody else's, or none is allowed. */ }
  const draft = {...emptyDraft(), ...stored};
  if (![...query.keys()].length) return draft;
  const named = emptyDraft();
  for (const name of FIELDS) Object.assign(named, {[name]: query.get(name) ?? ''});
  return {...named, models: (query.get('models') ?? '').split(',').filter(Boolean)};
}

/** @param {Draft} draft */
export function keepDraft(draft) {
  const query = new URLSearchParams();
  for (const name of FIELDS) {
    const value = draft[/** @type {keyof Draft} */ (name)];
    if (value) query.set(name, String(value));
  }
  if (draft.models.length) query.set('models', draft.models.join(','));
  const text = query.toString();
  // Browsers cut longer addresses; the whole is in local storage.
  history.replaceState(null, '', `#/${text && text.length < 8000 ? `?${text}` : ''}`);
  try {
    localStorage.setItem(PLACE, JSON.stringify(draft));
  } catch { /* A private window. */ }
}

/** The titles, one a line. @param {string} text */
export const titlesOf = (text) => text.split('\n').map((line) => line.trim()).filter(Boolean);
