// A finished run with another template, font or wording: drawn again over its own pictures, and nothing is paid.
import {html, useEffect, useRef, useState} from './preact.js';
import {ApiError, kindly, post} from './api.js';
import {ownFirst, useKit} from './brand.js';
import {expectRun} from './live.js';
import {FontPicker, FormatPicker, TemplatePicker} from './pickers.js';
import {Preview} from './preview.js';

/** @param {{run: any, options: any, open: (path: string) => void, fail: (text: string) => void, close: () => void}} given */
export function Redraw({run, options, open, fail, close}) {
  const [titles, setTitles] = useState(/** @type {string[]} */ (run.titles));
  const [template, setTemplate] = useState(run.template);
  const [font, setFont] = useState(run.font);
  const [formats, setFormats] = useState(/** @type {string[]} */ (run.formats));
  const kit = useKit(run.brand);
  const brand = run.brand ? {brand: run.brand} : {};
  const [row, setRow] = useState(0);
  const [busy, setBusy] = useState(false);
  const [problems, setProblems] = useState(/** @type {Record<number, string>} */ ({}));
  const first = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => first.current?.focus(), []);
  const shown = run.cells.find((/** @type {any} */ cell) => cell.row === row && cell.state === 'succeeded') ?? run.cells.find((/** @type {any} */ cell) => cell.state === 'succeeded');

  /** @param {Event} event */
  async function redraw(event) {
    event.preventDefault();
    setBusy(true);
    try {
      const {run_id} = await post('batches', {prompts: titles, models: run.models, ...brand, template, font, formats, output: run.output, kicker: run.kicker, author: run.author, redraw: run.run_id});
      expectRun(run_id, {prompts: titles, models: run.models, formats});
      open(`/run/${encodeURIComponent(run_id)}`);
    } catch (error) {
      const found = error instanceof ApiError ? error.problems.flatMap(({field, message}) => { const at = field.match(/^prompts\[(\d+)\]/); return at ? [[at[1], message.replace(/^prompts\[\d+\]: /, '')]] : []; }) : [];
      setProblems(Object.fromEntries(found));
      if (!found.length) fail(kindly(error));
    }
    setBusy(false);
  }

  return html`<form class="redraw" onSubmit=${redraw} aria-label="Redraw">
    <div>
      <fieldset class="wording"><legend>Wording</legend>
        ${titles.map((title, at) => html`<div key=${at}><input ref=${at ? null : first} dir="auto" value=${title} aria-label=${`Title ${at + 1}`} aria-invalid=${!!problems[at]} onFocus=${() => setRow(at)}
          onInput=${(/** @type {any} */ event) => setTitles(titles.map((one, place) => (place === at ? event.target.value : one)))} />${problems[at] && html`<p class="problem">${problems[at]}</p>`}</div>`)}
      </fieldset>
      <${TemplatePicker} names=${ownFirst(kit.templates, options.templates)} value=${template} onPick=${setTemplate} />
      <${FontPicker} names=${ownFirst(kit.fonts, options.fonts)} value=${font} onPick=${setFont} />
      <${FormatPicker} formats=${options.formats} chosen=${formats} onChange=${setFormats} />
    </div>
    <aside class="look">
      <${Preview} wanted=${titles[shown.row].trim().length >= options.limits.title_characters[0] ? {title: titles[shown.row], style: run.style, ...brand, template, font, format: formats[0], kicker: run.kicker, author: run.author, run_id: run.run_id, row: shown.row, column: shown.column} : null} caption="Over a picture of this run." />
      <p class="acts"><button class="primary" disabled=${busy}>${busy ? 'Starting…' : `Redraw ${run.counts.succeeded} for nothing`}</button><button type="button" onClick=${close}>Leave it</button></p>
      ${run.counts.failed + run.counts.deleted > 0 && html`<p class="quiet">What was never drawn has no picture to draw on, and is asked of its model at its price.</p>`}
    </aside>
  </form>`;
}
