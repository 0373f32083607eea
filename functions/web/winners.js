// The pictures that were chosen: their alternative texts, their tags, and the way home.
import {html, useRef, useState} from './preact.js';
import {call, kindly, post, runPath} from './api.js';

const PLACE = 'thumbs-base-url';

/** @param {{id: string, run: any, winners: any[], setWinners: (winners: any[]) => void, label: (model: string) => string, fail: (text: string) => void}} given */
export function Winners({id, run, winners, setWinners, label, fail}) {
  const [base, setBase] = useState(() => localStorage.getItem(PLACE) ?? '');
  const [busy, setBusy] = useState(false);
  const [copied, setCopied] = useState('');
  /** Texts that are being saved: the way home waits for them. */
  const saving = useRef(/** @type {Promise<unknown>} */ (Promise.resolve()));
  const url = base.trim() && !base.trim().endsWith('/') ? `${base.trim()}/` : base.trim();
  const wrong = url && !/^https?:\/\/[^\s<>"]+\/$/.test(url);

  async function take() {
    setBusy(true);
    try {
      localStorage.setItem(PLACE, base);
      await saving.current;
      const taken = await post(`${runPath(id)}/winners`, {base_url: wrong ? '' : url});
      location.href = taken.archive_url;
    } catch (error) { fail(kindly(error)); }
    setBusy(false);
  }

  /** @param {any} winner @param {string} alt */
  const describe = (winner, alt) => { saving.current = saving.current.then(() => save(winner, alt)); };

  /** @param {any} winner @param {string} alt */
  async function save(winner, alt) {
    if (alt.trim() === winner.alt) return;
    try {
      const {data} = await call('PUT', `${runPath(id)}/winners/${winner.row}`, {body: {alt}});
      setWinners(data.winners);
    } catch (error) { fail(kindly(error)); }
  }

  /** @param {any} winner */
  async function copy(winner) {
    // A file name is no part of any tag but the address.
    const tags = winner.tags.map((/** @type {string} */ tag) => (wrong ? tag : tag.replace(`content="${winner.file}"`, () => `content="${escaped(url)}${winner.file}"`)));
    try {
      await navigator.clipboard.writeText(tags.join('\n'));
      setCopied(`Tags of “${winner.title}” are copied.`);
    } catch { fail('The browser does not let this page copy. The tags are in the ZIP too, in tags.html.'); }
  }

  return html`<section class="winners" aria-labelledby="winners">
    <h2 id="winners">Winners <span class="quiet">${winners.length} of ${run.titles.length}</span></h2>
    ${winners.length === 0 ? html`<p class="quiet">Star the picture that you want in each row: <kbd>s</kbd> on a cell, or the ☆ on it.</p>` : html`
      <ol>${winners.map((winner) => html`<li key=${`${winner.row}-${winner.model}`}>
        <img src=${winner.image_url} alt=${winner.alt} loading="lazy" />
        <div><strong dir="auto">${winner.title}</strong> <span class="quiet">${label(winner.model)}</span>
          <label>Alternative text<textarea dir="auto" rows="2" maxlength="500" onBlur=${(/** @type {any} */ event) => describe(winner, event.target.value)}>${winner.alt}</textarea></label>
          <p class="acts"><a class="button" href=${winner.download_url}>Download</a><button onClick=${() => copy(winner)}>Copy tags</button></p></div>
      </li>`)}</ol>
      <div class="home"><div class="field"><label for="base">Where the pictures will be <span class="quiet">for the tags</span></label>
        <input id="base" type="url" dir="ltr" placeholder="https://blog.example/images/" value=${base} aria-invalid=${!!wrong} onInput=${(/** @type {any} */ event) => setBase(event.target.value)} />
        ${wrong && html`<p class="problem">An address starts with http:// or https://.</p>`}</div>
        <button class="primary" disabled=${busy} onClick=${take}>${busy ? 'Packing…' : 'Take the winners home'}</button></div>`}
    <p class="unseen" role="status">${copied}</p>
  </section>`;
}

/** @param {string} text */
const escaped = (text) => text.replace(/&/g, '&amp;');
