// Things picked by looking at them: models, styles, templates, fonts; and a brand kit, by its name.
import {html} from './preact.js';
import {FONTS, STYLES, TEMPLATES} from './examples.js';

/** A catalogue's name for people. @param {string} name */
export const spoken = (name) => name.replace(/-/g, ' ').replace(/^\d?./, (first) => first.toUpperCase()) || 'Brand’s own';

/** @param {number} usd */
export const money = (usd) => (usd < 0.1 && usd > 0 ? `$${usd.toFixed(3)}` : `$${usd.toFixed(2)}`);

/**
 * @param {{legend: string, name: string, value: string, names: string[], show: (name: string) => unknown, onPick: (name: string) => void, problem?: string}} given
 */
function Pick({legend, name, value, names, show, onPick, problem}) {
  return html`<fieldset class="pick ${name}" aria-describedby=${problem ? `${name}-problem` : null}>
    <legend>${legend} <span class="quiet">${spoken(value)}</span></legend>
    <div class="choices">
      ${names.map((one) => html`<label key=${one} class="choice">
        <input type="radio" name=${name} value=${one} checked=${one === value} onChange=${() => onPick(one)} />
        <span class="face">${show(one)}<span class="name">${spoken(one)}</span></span>
      </label>`)}
    </div>
    ${problem && html`<p class="problem" id="${name}-problem">${problem}</p>`}
  </fieldset>`;
}

/** @param {any} given */
export const StylePicker = (given) => html`<${Pick} legend="Style" name="style" ...${given}
  show=${(/** @type {string} */ one) => (STYLES[one] ? html`<img src=${STYLES[one]} alt="" width="200" height="105" />` : html`<i class="blank" />`)} />`;

/**
 * Whose colours, fonts and templates the pictures have; nothing where no kit was put.
 * @param {{names: string[], value: string, problem?: string, onPick: (name: string) => void}} given
 */
export function BrandPicker({names, value, problem, onPick}) {
  if (!names.length && !value) return null;
  // One that an older draft names and that is gone is still shown, with the line that says so.
  const all = value && !names.includes(value) ? [...names, value] : names;
  return html`<div class="field"><label for="brand">Brand</label>
    <select id="brand" value=${value} aria-describedby=${problem ? 'brand-problem' : null} aria-invalid=${!!problem} onChange=${(/** @type {any} */ event) => onPick(event.target.value)}>
      <option value="">None</option>
      ${all.map((one) => html`<option key=${one} value=${one}>${one}</option>`)}
    </select>
    ${problem && html`<p class="problem" id="brand-problem">${problem}</p>`}</div>`;
}

/** @param {any} given */
export const TemplatePicker = (given) => html`<${Pick} legend="Template" name="template" ...${given} show=${templateFace} />`;

/** @param {any} given */
export const FontPicker = (given) => html`<${Pick} legend="Font" name="font" ...${given} show=${fontFace} />`;

/**
 * What each picture is finished in: the first is the one that the matrix shows.
 * @param {{formats: {name: string, width: number, height: number}[], chosen: string[], problem?: string, onChange: (formats: string[]) => void}} given
 */
export function FormatPicker({formats, chosen, problem, onChange}) {
  return html`<fieldset class="pick formats" aria-describedby=${problem ? 'formats-problem' : null}>
    <legend>Formats <span class="quiet">each picture in all of them, for the price of one</span></legend>
    <div class="choices">
      ${formats.map(({name, width, height}) => html`<label key=${name} class="choice">
        <input type="checkbox" name="formats" value=${name} checked=${chosen.includes(name)} disabled=${chosen.length === 1 && chosen[0] === name}
          onChange=${(/** @type {any} */ event) => onChange(event.target.checked ? [...chosen, name] : chosen.filter((one) => one !== name))} />
        <span class="face"><svg viewBox="0 0 200 105" aria-hidden="true"><rect class="line" rx="4" x=${100 - (width * 42) / Math.max(width, height * 0.9)} y=${52 - (height * 42) / Math.max(width, height * 0.9)}
          width=${(width * 84) / Math.max(width, height * 0.9)} height=${(height * 84) / Math.max(width, height * 0.9)} /></svg>
          <span class="name">${spoken(name)} <small class="quiet">${width} × ${height}</small></span></span>
      </label>`)}
    </div>
    ${problem && html`<p class="problem" id="formats-problem">${problem}</p>`}
  </fieldset>`;
}

/** @param {string} name */
function templateFace(name) {
  const one = TEMPLATES[name];
  if (!one) return html`<i class="blank" />`;
  const [left, top, right, bottom] = one.box;
  const width = right - left;
  const lines = one.panel && width < 560 ? [0.9, 0.75, 0.85, 0.5] : [0.85, 0.55];
  // A panel that fits its text, and text without a panel, stand at the lower end of their box.
  const low = one.fit !== 'no' || one.backdrop === 'scrim';
  const first = low ? bottom - lines.length * 74 : (top + bottom) / 2 - (lines.length * 74) / 2;
  const panel = one.panel && (low ? [one.panel[0], first - 50, left + width * 0.95, one.panel[3]] : one.panel);
  return html`<svg class=${one.light ? 'light' : ''} viewBox="0 0 1200 630" aria-hidden="true">
    <rect class="ground" width="1200" height="630" />
    ${panel && html`<rect class="panel" x=${panel[0]} y=${panel[1]} width=${panel[2] - panel[0]} height=${panel[3] - panel[1]} />`}
    ${lines.map((part, at) => html`<rect class="line" rx="20" height="44" y=${first + at * 74}
      x=${one.align === 'center' ? left + (width * (1 - part)) / 2 : left} width=${width * part} />`)}
  </svg>`;
}

/** @param {string} name */
function fontFace(name) {
  const one = FONTS[name];
  return one
    ? html`<svg viewBox="0 0 ${Math.max(one[0], 90)} 100" aria-hidden="true"><path d=${one[1]} /></svg>`
    : html`<span class="letters" aria-hidden="true">Ag</span>`;
}

/**
 * @param {{models: any[], chosen: string[], examples: Record<string, string>, problem?: string, onChange: (models: string[]) => void}} given
 */
export function ModelPicker({models, chosen, examples, problem, onChange}) {
  const living = models.filter((model) => model.state !== 'retired');
  return html`<fieldset class="pick models" aria-describedby=${problem ? 'models-problem' : null}>
    <legend>Models <span class="quiet">each title is drawn once by each</span></legend>
    <div class="choices">
      ${living.map((model) => html`<label key=${model.id} class="choice">
        <input type="checkbox" name="models" value=${model.id} checked=${chosen.includes(model.id)}
          onChange=${(/** @type {any} */ event) => onChange(event.target.checked ? [...chosen, model.id] : chosen.filter((one) => one !== model.id))} />
        <span class="face">
          ${examples[model.id] ? html`<img src=${examples[model.id]} alt="" loading="lazy" />` : html`<i class="blank" aria-hidden="true">${model.label[0]}</i>`}
          <span class="name">${model.label}
            <small class="quiet">${model.price_usd == null ? 'no list price' : `${money(model.price_usd)} an image`}${model.notice ? ` · ${model.notice}` : ''}</small></span>
        </span>
      </label>`)}
    </div>
    ${problem && html`<p class="problem" id="models-problem">${problem}</p>`}
  </fieldset>`;
}
