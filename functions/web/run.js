// One run: how far it is, its matrix, and what may be done with it.
import {html, useEffect, useMemo, useRef, useState} from './preact.js';
import {call, get, kindly, post, runPath} from './api.js';
import {useRun} from './live.js';
import {Matrix, stateOf} from './matrix.js';
import {Redraw} from './redraw.js';
import {Viewer} from './viewer.js';
import {Winners} from './winners.js';

/** @param {{id: string, options: any, open: (path: string) => void, fail: (text: string) => void}} given */
export function Run({id, options, open, fail}) {
  const {run, winners, setWinners, error, look, renew} = useRun(id);
  const [shown, setShown] = useState(/** @type {any} */ (null));
  const [redrawing, setRedrawing] = useState(false);
  const [busy, setBusy] = useState('');
  const back = useRef(/** @type {Element | null} */ (null));
  const label = (/** @type {string} */ model) => options.models.find((/** @type {any} */ one) => one.id === model)?.label ?? model;
  const stars = useMemo(() => new Map(winners.map((one) => [one.row, one.model])), [winners]);
  const heard = useHeard(run, label);
  useEffect(() => { if (run?.titles.length) document.title = `${run.titles[0]} · Thumbnails`; return () => { document.title = 'Thumbnails'; }; }, [run?.titles[0]]);

  if (!run) return html`<section class="run">${error ? html`<h1>${error.status === 404 ? 'There is no such run' : 'This run cannot be shown'}</h1>
    <p>${error.status === 404 ? 'Its images may have ended with their lifetime, or the stack was started anew.' : kindly(error)}</p>
    <p><a href="#/runs">All runs</a> · <a href="#/">Make another</a></p>` : html`<p class="quiet loading">Looking for the run…</p>`}</section>`;

  const running = run.status === 'RUNNING', {counts} = run;
  const first = options.formats.find((/** @type {any} */ one) => one.name === run.formats[0]);
  const shape = first ? `${first.width}/${first.height}` : '1200/630';
  const missing = counts.failed + counts.deleted;

  /** @param {string} name @param {() => Promise<unknown>} work */
  async function act(name, work) {
    setBusy(name);
    try { await work(); } catch (caught) { fail(kindly(caught)); }
    setBusy('');
  }

  /** @param {any} cell */
  const star = (cell) => act('', async () => {
    const path = `${runPath(id)}/winners/${cell.row}`;
    const {data} = stars.get(cell.row) === cell.model ? await call('DELETE', path) : await call('PUT', path, {body: {model: cell.model}});
    setWinners(data.winners);
  });

  /** @param {any} cell */
  const remove = (cell) => act('', async () => { await call('DELETE', `images/${cell.key.split('/').map(encodeURIComponent).join('/')}`); await look(); });

  return html`<section class="run">
    <header class="head">
      <div><h1 dir="auto">${run.titles[0] ?? 'Campaign'}${run.titles.length > 1 && html`<span class="quiet"> and ${run.titles.length - 1} more</span>`}</h1>
        <p class="quiet" role="status">${summary(run)}${run.redraw && html` · drawn again from <a href=${`#/run/${encodeURIComponent(run.redraw)}`}>another run</a>, for nothing`}</p></div>
      <nav class="acts" aria-label="This run">
        ${running && html`<button disabled=${!!busy} onClick=${() => act('stop', async () => { await call('DELETE', runPath(id)); await look(); })}>${busy === 'stop' ? 'Stopping…' : 'Stop'}</button>`}
        ${!running && missing > 0 && counts.total > 0 && html`<button disabled=${!!busy} onClick=${() => act('redrive', async () => { await call('POST', `${runPath(id)}/redrive`); await look(); })}>${busy === 'redrive' ? 'Starting…' : `Make the missing ${missing}`}</button>`}
        ${!running && counts.succeeded > 0 && html`<button onClick=${() => setRedrawing(!redrawing)} aria-expanded=${redrawing}>Redraw…</button>`}
        ${counts.succeeded > 0 && html`<button disabled=${!!busy} onClick=${() => act('zip', async () => { location.href = (await get(`${runPath(id)}/archive`)).archive_url; })}>${busy === 'zip' ? 'Packing…' : 'All as ZIP'}</button>`}
      </nav>
      ${counts.total > 0 && html`<progress class=${running ? '' : 'done'} max=${counts.total} value=${counts.succeeded + counts.failed} aria-label="Images ready or failed" />`}
    </header>
    ${error && html`<p class="banner" role="alert">${kindly(error)} This page goes on by itself.</p>`}
    ${!running && run.error && counts.succeeded === 0 && html`<p class="banner">${run.message || run.error}</p>`}
    ${redrawing && html`<${Redraw} run=${run} options=${options} open=${open} fail=${fail} close=${() => setRedrawing(false)} />`}
    ${run.cells.length > 0 && html`<${Matrix} run=${run} shape=${shape} label=${label} stars=${stars} onStar=${star} onBroken=${renew}
      onOpen=${(/** @type {any} */ cell) => { back.current = document.activeElement; setShown([cell.row, cell.column]); }} />`}
    ${run.rows && html`<p>${run.rows.done} of ${run.rows.total} rows done, ${run.rows.failed} without an image.</p>`}
    ${counts.succeeded > 0 && html`<${Winners} id=${id} run=${run} winners=${winners} setWinners=${setWinners} label=${label} fail=${fail} />`}
    ${shown && html`<${Viewer} run=${run} at=${shown} label=${label} stars=${stars} onMove=${setShown} onStar=${star} onRemove=${remove} onBroken=${renew}
      onClose=${() => { setShown(null); requestAnimationFrame(() => { const cell = document.querySelector(`[data-at="${shown}"] .open`); /** @type {HTMLElement | null} */ (cell ?? back.current)?.focus(); }); }} />`}
    <p class="unseen" role="log" aria-live="polite">${heard}</p>
  </section>`;
}

/** @param {any} run */
export function summary(run) {
  const {counts} = run;
  const when = new Date(run.started_at).toLocaleString(undefined, {dateStyle: 'medium', timeStyle: 'short'});
  if (!counts.total) return `${{RUNNING: 'Under way', SUCCEEDED: 'Done', FAILED: 'Refused', ABORTED: 'Stopped', TIMED_OUT: 'Took too long'}[/** @type {string} */ (run.status)] ?? run.status} · ${when}`;
  const parts = [`${counts.succeeded} of ${counts.total} ready`];
  if (counts.running) parts.push(`${counts.running} being drawn`);
  if (counts.pending) parts.push(`${counts.pending} waiting`);
  if (counts.failed) parts.push(run.status === 'ABORTED' ? `stopped, ${counts.failed} not made` : `${counts.failed} failed`);
  if (counts.deleted) parts.push(`${counts.deleted} deleted`);
  return `${parts.join(', ')} · ${when}`;
}

/** What changed, in words for a screen reader: cells that ended since the last time. @param {any} run @param {(model: string) => string} label */
function useHeard(run, label) {
  const before = useRef(/** @type {Map<string, string> | null} */ (null));
  const [heard, setHeard] = useState('');
  useEffect(() => {
    if (!run) return;
    /** @type {Map<string, string>} */
    const now = new Map(run.cells.map((/** @type {any} */ cell) => [`${cell.row},${cell.column}`, stateOf(cell)]));
    const changed = before.current ? run.cells.filter((/** @type {any} */ cell) => before.current?.get(`${cell.row},${cell.column}`) !== stateOf(cell) && cell.state !== 'pending') : [];
    before.current = now;
    const ended = changed.filter((/** @type {any} */ cell) => cell.state !== 'running');
    if (!changed.length) return;
    const said = ended.slice(0, 3).map((/** @type {any} */ cell) => `${cell.title}, ${label(cell.model)}: ${stateOf(cell)}${cell.state === 'failed' ? `, ${cell.message}` : ''}.`);
    setHeard(`${said.join(' ')} ${run.counts.succeeded} of ${run.counts.total} ready.`.trim());
  }, [run]);
  return heard;
}
