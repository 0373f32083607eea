// The matrix: a row for each title, a column for each model, a cell for each picture.
import {html, useRef, useState} from './preact.js';

/** @param {any} cell */
export function stateOf(cell) {
  if (cell.state === 'running') return cell.waits ? 'Trying again' : 'Drawing';
  return {pending: 'Waiting', succeeded: 'Ready', failed: 'Failed', deleted: 'Deleted'}[/** @type {string} */ (cell.state)] ?? cell.state;
}

/** A run may make some of its cells alone. @param {any} run @param {number} row @param {number} column */
export const cellAt = (run, row, column) => run.cells.find((/** @type {any} */ one) => one.row === row && one.column === column);

/**
 * @param {{run: any, shape: string, label: (model: string) => string, stars: Map<number, string>, onOpen: (cell: any) => void, onStar: (cell: any) => void, onBroken: () => void}} given
 */
export function Matrix({run, shape, label, stars, onOpen, onStar, onBroken}) {
  const grid = useRef(/** @type {HTMLElement | null} */ (null));
  const [at, setAt] = useState([0, 0]);
  const rows = run.titles.length, columns = run.models.length;

  /** @param {KeyboardEvent} event */
  function keys(event) {
    const steps = /** @type {Record<string, [number, number]>} */ ({ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -columns], End: [0, columns]});
    const step = steps[event.key];
    const cell = cellAt(run, at[0], at[1]);
    if (step) {
      event.preventDefault();
      const next = [clamp(at[0] + step[0], rows), clamp(at[1] + step[1], columns)];
      setAt(next);
      const shown = /** @type {HTMLElement | null} */ (grid.current?.querySelector(`[data-at="${next}"] button`));
      shown?.focus();
    } else if (event.key === 's' && cell?.state === 'succeeded') {
      event.preventDefault();
      onStar(cell);
    }
  }

  return html`<div class="scroll" tabindex="-1"><table class="matrix" role="grid" aria-label="Images by title and model" ref=${grid} onKeyDown=${keys} style=${{'--columns': columns, '--shape': shape}}>
    <thead><tr><th scope="col"><span class="unseen">Title</span></th>${run.models.map((/** @type {string} */ model) => html`<th scope="col" key=${model}>${label(model)}</th>`)}</tr></thead>
    <tbody>${run.titles.map((/** @type {string} */ title, /** @type {number} */ row) => html`<tr key=${row}>
      <th scope="row" dir="auto">${title}</th>
      ${run.models.map((/** @type {string} */ model, /** @type {number} */ column) => html`<${Cell} key=${column} cell=${cellAt(run, row, column)} name=${label(model)}
        here=${at[0] === row && at[1] === column} starred=${stars.get(row) === model} onFocus=${() => setAt([row, column])}
        onOpen=${onOpen} onStar=${onStar} onBroken=${onBroken} />`)}
    </tr>`)}</tbody>
  </table></div>`;
}

/** @param {any} given */
function Cell({cell, name, here, starred, onFocus, onOpen, onStar, onBroken}) {
  if (!cell) return html`<td role="gridcell" class="cell"></td>`;
  const state = stateOf(cell), there = cell.state === 'succeeded';
  return html`<td role="gridcell" class=${`cell ${cell.state} ${cell.waits ? 'waits' : ''} ${starred ? 'starred' : ''}`} data-at="${cell.row},${cell.column}" data-model=${name}>
    <button class="open" tabindex=${here ? 0 : -1} onFocus=${onFocus} onClick=${() => onOpen(cell)} aria-keyshortcuts="s"
      aria-label=${`${cell.title}, ${name}: ${state}${cell.message ? `, ${cell.message}` : ''}${starred ? ', your choice' : ''}`}>
      ${there
        ? html`<img src=${cell.image_url} alt="" loading="lazy" decoding="async" onLoad=${(/** @type {any} */ event) => event.target.classList.add('in')} onError=${onBroken} />`
        : html`<span class="state">${state}${cell.state === 'failed' && html`<small dir="auto">${cell.message}</small>`}</span>`}
    </button>
    ${there && html`<button class="star" tabindex=${here ? 0 : -1} aria-pressed=${starred} aria-label=${`Choose ${name} for ${cell.title}`} onClick=${() => onStar(cell)}>${starred ? '★' : '☆'}</button>`}
  </td>`;
}

/** @param {number} at @param {number} size */
const clamp = (at, size) => Math.max(0, Math.min(size - 1, at));
