// What a person is typing: kept in the address and in local storage, so that nothing is lost.

/** @typedef {{titles: string, models: string[], style: string, template: string, font: string, context: string, extra: string, blog: string, formats: string, kicker: string, author: string}} Draft */

const PLACE = 'thumbs-draft';
const FIELDS = ['titles', 'style', 'template', 'font', 'context', 'extra', 'blog', 'formats', 'kicker', 'author'];

/** @returns {Draft} */
export const emptyDraft = () => ({titles: '', models: [], style: '', template: '', font: '', context: '', extra: '', blog: '', formats: '', kicker: '', author: ''});

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

/** A CSV or text file as titles: of a table the column “title”, else the first. @param {string} name @param {string} text */
export function titlesOfFile(name, text) {
  text = text.replace(/^\ufeff/, '');
  if (!/\.csv$/i.test(name)) return titlesOf(text);
  const rows = csvRows(text);
  const head = rows[0]?.map((cell) => cell.trim().toLowerCase()) ?? [];
  const at = head.findIndex((cell) => ['title', 'titles', 'prompt', 'prompts'].includes(cell));
  return (at < 0 ? rows : rows.slice(1)).map((row) => (row[Math.max(at, 0)] ?? '').replace(/\s+/g, ' ').trim()).filter(Boolean);
}

/** RFC 4180. @param {string} text @returns {string[][]} */
function csvRows(text) {
  const rows = [['']];
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const one = text[at], row = rows[rows.length - 1];
    if (quoted && one === '"' && text[at + 1] === '"') { row[row.length - 1] += '"'; at++; }
    else if (one === '"') quoted = !quoted;
    else if (!quoted && one === ',') row.push('');
    else if (!quoted && (one === '\n' || one === '\r')) { if (one === '\n') rows.push(['']); }
    else row[row.length - 1] += one;
  }
  return rows;
}
