// One picture large: along its row and its column by the arrow keys, two side by side under a slider.
import {html, useEffect, useRef, useState} from './preact.js';
import {cellAt, stateOf} from './matrix.js';
import {spoken} from './pickers.js';

/**
 * @param {{run: any, at: [number, number], label: (model: string) => string, stars: Map<number, string>, onMove: (at: [number, number]) => void,
 *   onStar: (cell: any) => void, onRemove: (cell: any) => void, onBroken: () => void, onClose: () => void}} given
 */
export function Viewer({run, at, label, stars, onMove, onStar, onRemove, onBroken, onClose}) {
  const box = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const [other, setOther] = useState(/** @type {string | null} */ (null));
  const [sure, setSure] = useState(false);
  const [pick, setPick] = useState('');
  useEffect(() => { box.current?.showModal(); box.current?.focus(); }, []);
  useEffect(() => { setSure(false); setPick(''); }, [at]);
  const rows = run.titles.length, columns = run.models.length;
  const cell = cellAt(run, at[0], at[1]);
  const there = cell.state === 'succeeded', starred = stars.get(cell.row) === cell.model;
  const ready = run.cells.filter((/** @type {any} */ one) => one.row === cell.row && one.state === 'succeeded' && one.column !== cell.column);
  /** The cell's other files: its picture in other formats, and its other pictures. @type {[string, string][]} */
  const others = there ? [...Object.entries(/** @type {Record<string, string>} */ (cell.formats)), ...cell.variants.map((/** @type {any} */ one, /** @type {number} */ place) => /** @type {[string, string]} */ ([`Picture ${place + 2}`, one.image_url]))] : [];
  const file = others.find(([name]) => name === pick)?.[1] ?? cell.image_url;
  const second = there && ready.find((/** @type {any} */ one) => one.model === other);

  /** @param {number} down @param {number} right */
  function move(down, right) {
    let [row, column] = at;
    do [row, column] = [(row + down + rows) % rows, (column + right + columns) % columns]; while (!cellAt(run, row, column));
    onMove([row, column]);
  }
  const compare = () => setOther(second ? null : ready[0]?.model ?? null);

  /** @param {any} event */
  function keys(event) {
    if (event.target.matches('input, select')) return;
    const act = /** @type {Record<string, () => void>} */ ({
      ArrowLeft: () => move(0, -1), ArrowRight: () => move(0, 1), ArrowUp: () => move(-1, 0), ArrowDown: () => move(1, 0),
      s: () => there && onStar(cell), c: compare,
    })[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  }

  return html`<dialog class="viewer" tabindex="-1" ref=${box} onClose=${onClose} onKeyDown=${keys} aria-label="Picture" onClick=${(/** @type {any} */ event) => { if (event.target === box.current) box.current?.close(); }}>
    <div class="stage">
      ${second ? html`<${Compare} one=${cell} two=${second} label=${label} onBroken=${onBroken} />`
        : there ? html`<img key=${file} src=${file} alt=${`${cell.title}, drawn by ${label(cell.model)}`} onError=${onBroken} />`
        : html`<p class="state">${stateOf(cell)}${cell.message && html`<small dir="auto">${cell.message}</small>`}</p>`}
    </div>
    <footer>
      <div class="who" aria-live="polite"><strong dir="auto">${cell.title}</strong><span class="quiet">${label(cell.model)} · row ${at[0] + 1} of ${rows}, model ${at[1] + 1} of ${columns}</span></div>
      <div class="acts">
        ${columns > 1 && html`<button onClick=${() => move(0, -1)} aria-label="Model before" aria-keyshortcuts="ArrowLeft">←</button><button onClick=${() => move(0, 1)} aria-label="Next model" aria-keyshortcuts="ArrowRight">→</button>`}
        ${rows > 1 && html`<button onClick=${() => move(-1, 0)} aria-label="Title before" aria-keyshortcuts="ArrowUp">↑</button><button onClick=${() => move(1, 0)} aria-label="Next title" aria-keyshortcuts="ArrowDown">↓</button>`}
        ${there && html`<button class="star" aria-pressed=${starred} aria-keyshortcuts="s" onClick=${() => onStar(cell)}>${starred ? '★ Chosen' : '☆ Choose'}</button>`}
        ${there && ready.length > 0 && html`<button aria-pressed=${!!second} aria-keyshortcuts="c" onClick=${compare}>Compare</button>`}
        ${second && ready.length > 1 && html`<label class="with">with <select value=${other} onChange=${(/** @type {any} */ event) => setOther(event.target.value)}>${ready.map((/** @type {any} */ one) => html`<option value=${one.model}>${label(one.model)}</option>`)}</select></label>`}
        ${others.length > 0 && html`<label class="with">Shown <select value=${pick} onChange=${(/** @type {any} */ event) => setPick(event.target.value)}><option value="">${spoken(run.formats[0])}</option>${others.map(([name]) => html`<option value=${name}>${spoken(name)}</option>`)}</select></label>`}
        ${there && html`<a class="button" href=${file} target="_blank" rel="noopener">Open the file</a>`}
        ${there && html`<button class=${sure ? 'danger' : ''} onClick=${() => (sure ? onRemove(cell) : setSure(true))}>${sure ? 'Delete it for good' : 'Delete'}</button>`}
        <button onClick=${() => box.current?.close()} aria-keyshortcuts="Escape">Close</button>
      </div>
    </footer>
  </dialog>`;
}

/** @param {any} given */
function Compare({one, two, label, onBroken}) {
  const [share, setShare] = useState(50);
  return html`<div class="compare" style=${{'--share': `${share}%`}}>
    <img src=${two.image_url} alt=${`${two.title}, drawn by ${label(two.model)}`} onError=${onBroken} />
    <img class="over" src=${one.image_url} alt=${`${one.title}, drawn by ${label(one.model)}`} onError=${onBroken} />
    <span class="tag left">${label(one.model)}</span><span class="tag right">${label(two.model)}</span>
    <input type="range" min="0" max="100" value=${share} aria-label=${`How much of ${label(one.model)} is shown, in per cent`} onInput=${(/** @type {any} */ event) => setShare(Number(event.target.value))} />
  </div>`;
}
