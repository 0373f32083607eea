// Every finished picture, newest first; how often each model is chosen.
import {html, useEffect, useRef, useState} from './preact.js';
import {call, get, kindly} from './api.js';
import {titleOf, usePages} from './runs.js';

/** @param {{options: any, fail: (text: string) => void}} given */
export function Gallery({options, fail}) {
  const {items, setItems, more} = usePages('images?limit=48', 'images', fail);
  const [model, setModel] = useState('');
  const [rates, setRates] = useState(/** @type {any[]} */ ([]));
  const [shown, setShown] = useState(/** @type {any} */ (null));
  const label = (/** @type {string} */ id) => options.models.find((/** @type {any} */ one) => one.id === id)?.label ?? id;
  useEffect(() => { get('win-rates').then((found) => setRates(found.models), () => null); }, []);
  const images = (items ?? []).filter((image) => !model || image.model === model);
  const models = [...new Set((items ?? []).map((image) => image.model))];

  /** @param {any} image */
  async function remove(image) {
    try {
      await call('DELETE', `images/${image.key.split('/').map(encodeURIComponent).join('/')}`);
      setItems((items ?? []).filter((one) => one.key !== image.key));
      setShown(null);
    } catch (error) { fail(kindly(error)); }
  }

  return html`<section><header class="head"><div><h1>Gallery</h1>
      ${rates.length > 0 && html`<p class="quiet rates">Chosen: ${rates.map((one, at) => html`<span key=${one.model}>${at ? ' · ' : ''}${label(one.model)} <strong>${Math.round((100 * one.wins) / one.rows)} %</strong> of ${one.rows}</span>`)}</p>`}</div>
    ${models.length > 1 && html`<label>Model <select value=${model} onChange=${(/** @type {any} */ event) => setModel(event.target.value)}><option value="">All</option>${models.map((one) => html`<option value=${one}>${label(one)}</option>`)}</select></label>`}</header>
    ${items === null ? html`<p class="quiet loading">Looking…</p>` : !images.length ? html`<p>There is no picture yet. <a href="#/">Make the first.</a></p>` : html`<ul class="gallery">
      ${images.map((image) => html`<li key=${image.key}><button onClick=${() => setShown(image)} aria-label=${`${titleOf(image.key)}, ${label(image.model)}`}><img src=${image.image_url} alt="" loading="lazy" /></button></li>`)}
    </ul>`}
    ${more && html`<p><button onClick=${more}>Older pictures</button></p>`}
    ${shown && html`<${Large} image=${shown} label=${label} onRemove=${remove} onClose=${() => setShown(null)} />`}
  </section>`;
}

/** @param {any} given */
function Large({image, label, onRemove, onClose}) {
  const box = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const [sure, setSure] = useState(false);
  useEffect(() => { box.current?.showModal(); }, []);
  return html`<dialog class="viewer" ref=${box} onClose=${onClose} aria-label="Picture"><div class="stage"><img src=${image.image_url} alt=${`${titleOf(image.key)}, drawn by ${label(image.model)}`} /></div>
    <footer><div class="who"><strong>${titleOf(image.key)}</strong><span class="quiet">${label(image.model)} · ${new Date(image.created_at).toLocaleString(undefined, {dateStyle: 'medium', timeStyle: 'short'})}</span></div>
      <div class="acts"><a class="button" href=${`#/run/${encodeURIComponent(image.run_id)}`} onClick=${() => box.current?.close()}>Its run</a><a class="button" href=${image.image_url} target="_blank" rel="noopener">Open the file</a>
        <button class=${sure ? 'danger' : ''} onClick=${() => (sure ? onRemove(image) : setSure(true))}>${sure ? 'Delete it for good' : 'Delete'}</button><button onClick=${() => box.current?.close()}>Close</button></div></footer></dialog>`;
}
