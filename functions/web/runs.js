// All runs, newest first, with what they made.
import {html, useEffect, useState} from './preact.js';
import {get, kindly} from './api.js';

const WORDS = /** @type {Record<string, string>} */ ({RUNNING: 'Under way', SUCCEEDED: 'Done', FAILED: 'Failed', ABORTED: 'Stopped', TIMED_OUT: 'Took too long'});

/** A page of a list after another. @param {string} path @param {string} name @param {(text: string) => void} fail */
export function usePages(path, name, fail) {
  const [items, setItems] = useState(/** @type {any[] | null} */ (null));
  const [cursor, setCursor] = useState(/** @type {string | null} */ (null));
  /** @param {string | null} after */
  async function more(after) {
    try {
      const page = await get(after ? `${path}&cursor=${encodeURIComponent(after)}` : path);
      setItems((before) => [...(after ? before ?? [] : []), ...page[name]]);
      setCursor(page.next_cursor);
    } catch (error) { fail(kindly(error)); setItems((before) => before ?? []); }
  }
  useEffect(() => { more(null); }, [path]);
  return {items, setItems, more: cursor ? () => more(cursor) : null};
}

/** @param {{fail: (text: string) => void}} given */
export function Runs({fail}) {
  const {items, more} = usePages('runs?limit=20', 'runs', fail);
  const [images, setImages] = useState(/** @type {any[]} */ ([]));
  useEffect(() => { get('images?limit=100').then((page) => setImages(page.images), () => null); }, []);
  return html`<section><h1>Runs</h1>
    ${items === null ? html`<p class="quiet loading">Looking…</p>` : !items.length ? html`<p>Nothing was made yet. <a href="#/">Make the first thumbnails.</a></p>` : html`<ul class="runs">
      ${items.map((run) => { const own = images.filter((image) => image.run_id === run.run_id); return html`<li key=${run.run_id}>
        <a href=${`#/run/${encodeURIComponent(run.run_id)}`}>
          <span class="strip" aria-hidden="true">${own.slice(0, 4).map((image) => html`<img key=${image.key} src=${image.image_url} alt="" loading="lazy" />`)}${!own.length && html`<i />`}</span>
          <span class="what"><strong>${titled(own) || run.run_id}</strong>
            <span class="quiet"><span class=${`status ${run.status}`}>${WORDS[run.status] ?? run.status}</span> · <time datetime=${run.started_at}>${new Date(run.started_at).toLocaleString(undefined, {dateStyle: 'medium', timeStyle: 'short'})}</time>${run.kind === 'generateCampaign' ? ' · campaign' : ''}</span></span>
        </a></li>`; })}
    </ul>`}
    ${more && html`<p><button onClick=${more}>Older runs</button></p>`}
  </section>`;
}

/** What a run's first row says of its title; a digest says nothing. @param {any[]} images */
function titled(images) {
  const words = images.length ? titleOf(images.reduce((least, one) => (one.row < least.row ? one : least)).key) : '';
  return /^[0-9a-f]{12}$/i.test(words) ? '' : words;
}

/** What a key says of its title. @param {string} key */
export const titleOf = (key) => key.split('/')[2].replace(/^\d+-/, '').replace(/-/g, ' ').replace(/^./, (first) => first.toUpperCase());
