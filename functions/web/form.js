// The request: titles, models, style, template, font; what it makes and costs; Make.
import {html, useEffect, useMemo, useRef, useState} from './preact.js';
import {ApiError, get, kindly, post, sentence} from './api.js';
import {ownFirst, useKit} from './brand.js';
import {keepDraft, loadDraft, titlesOf} from './draft.js';
import {expectRun} from './live.js';
import {BrandPicker, FontPicker, FormatPicker, ModelPicker, StylePicker, TemplatePicker, money} from './pickers.js';
import {Preview} from './preview.js';

/** @typedef {import('./draft.js').Draft} Draft */

const SAMPLE = 'What the tide leaves behind';
const URL_ALONE = /^https?:\/\/\S+$/;
/** One key for one request, however often it is sent: an answer that is lost starts no second run. */
const sent = {request: '', key: ''};

/** @param {Draft} draft */
const formatsOf = (draft) => (draft.formats ? draft.formats.split(',') : ['og']);
/** A file's bytes. @param {File} file @returns {Promise<string>} */
const base64 = (file) => new Promise((done, failed) => {
  const reader = new FileReader();
  reader.onload = () => done(String(reader.result).replace(/^[^,]*,/, ''));
  reader.onerror = () => failed(reader.error);
  reader.readAsDataURL(file);
});

/** What a brand kit has of its own is left out where nothing else is picked. @param {Draft} draft @param {any} options */
const lookOf = ({style, template, font, brand}, {defaults}) => ({
  style: style || defaults.style,
  ...(brand ? {brand} : {}),
  ...(template || !brand ? {template: template || defaults.template} : {}),
  ...(font || !brand ? {font: font || defaults.font} : {}),
});

/** @param {Draft} draft @param {any} options @returns {Record<string, unknown>} */
function requestOf(draft, options) {
  const titles = titlesOf(draft.titles);
  return {
    ...(titles.length ? {prompts: titles} : {}),
    models: draft.models,
    ...lookOf(draft, options),
    formats: formatsOf(draft),
    ...(draft.kicker.trim() ? {kicker: draft.kicker} : {}),
    ...(draft.author.trim() ? {author: draft.author} : {}),
    ...(draft.context.trim() ? {context: draft.context} : {}),
    ...(draft.extra.trim() ? {extra_prompt: draft.extra} : {}),
    ...(draft.blog.trim() ? {blog_url: draft.blog.trim()} : {}),
  };
}

/** Everything that can be known to be wrong before it is sent, by field. @param {Draft} draft @param {any} limits */
function problemsOf(draft, limits) {
  const titles = titlesOf(draft.titles);
  const [least, most] = limits.title_characters;
  /** @type {Record<string, string>} */
  const found = {};
  const wrong = titles.flatMap((title, at) => {
    const length = [...title].length;
    return length < least || length > most ? [`Line ${at + 1} has ${length} character${length === 1 ? '' : 's'}; a title has ${least} to ${most}.`] : [];
  });
  if (wrong.length) found.titles = wrong.slice(0, 3).join(' ') + (wrong.length > 3 ? ` And ${wrong.length - 3} more.` : '');
  const images = titles.length * draft.models.length;
  if (images > limits.images_per_run) found.titles = `A run makes at most ${limits.images_per_run} images; this would be ${images}. Take fewer titles or models.`;
  if ([...draft.context].length > limits.context_characters) found.context = `At most ${limits.context_characters} characters; this has ${[...draft.context].length}.`;
  if ([...draft.extra].length > limits.extra_prompt_characters) found.extra = `At most ${limits.extra_prompt_characters} characters; this has ${[...draft.extra].length}.`;
  if ([...draft.kicker].length > limits.kicker_characters) found.kicker = `At most ${limits.kicker_characters} characters; this has ${[...draft.kicker].length}.`;
  if ([...draft.author].length > limits.author_characters) found.author = `At most ${limits.author_characters} characters; this has ${[...draft.author].length}.`;
  if (draft.blog.trim() && !URL_ALONE.test(draft.blog.trim())) found.blog = 'An address starts with http:// or https://.';
  return found;
}

/** The API's problems, beside the fields that the page has for them. @param {import('./api.js').Problem[]} problems */
function besideFields(problems) {
  /** @type {Record<string, string>} */
  const found = {};
  for (const {field, message} of problems) {
    const name = {prompts: 'titles', title: 'titles', extra_prompt: 'extra', blog_url: 'blog'}[field.replace(/\[.*/, '')] ?? field.replace(/\[.*/, '');
    const line = field.match(/^prompts\[(\d+)\]/);
    const said = line ? message.replace(/^prompts\[\d+\]/, `Line ${Number(line[1]) + 1}`) : sentence(message);
    found[name] = found[name] ? `${found[name]} ${said}` : said;
  }
  return found;
}

/** @param {{query: URLSearchParams, options: any, examples: Record<string, string>, open: (path: string) => void, fail: (text: string) => void}} given */
export function Form({query, options, examples, open, fail}) {
  const [draft, setDraft] = useState(() => loadDraft(query));
  const [refused, setRefused] = useState(/** @type {Record<string, string>} */ ({}));
  const [busy, setBusy] = useState(false);
  const [tried, setTried] = useState(false);
  const [line, setLine] = useState(0);
  const [budget, setBudget] = useState(/** @type {any} */ (null));
  const [brands, setBrands] = useState(/** @type {string[]} */ ([]));
  const area = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  useEffect(() => keepDraft(draft), [draft]);
  useEffect(() => {
    area.current?.focus();
    get('budget').then(setBudget, () => null);
    get('brands').then(({brands}) => setBrands(brands.map((/** @type {any} */ one) => one.name)), () => null);
  }, []);

  const titles = useMemo(() => titlesOf(draft.titles), [draft.titles]);
  const kit = useKit(draft.brand);
  /** @type {Record<string, string>} */
  const problems = {brand: kit.problem, ...problemsOf(draft, options.limits), ...refused};
  if (tried && !titles.length && !draft.blog.trim()) problems.titles ??= 'Write at least one title, or give a blog post’s address.';
  if (tried && !draft.models.length) problems.models ??= 'Pick at least one model.';
  const rows = titles.length || (draft.blog.trim() ? 1 : 0);
  const images = rows * draft.models.length;
  const prices = draft.models.map((id) => options.models.find((/** @type {any} */ one) => one.id === id)?.price_usd);
  const cost = rows * prices.reduce((sum, price) => sum + (price ?? 0), 0);
  const look = lookOf(draft, options);
  /** @param {string[]} own @param {string[]} names */
  const withOwn = (own, names) => (draft.brand ? ['', ...ownFirst(own, names)] : names);
  const [least, most] = options.limits.title_characters;
  const current = titles[Math.min(line, titles.length - 1)] ?? '';
  const fits = current.length >= least && [...current].length <= most;

  /** @param {Partial<Draft>} part */
  const change = (part) => { setDraft((before) => ({...before, ...part})); setRefused({}); };

  /** @param {File} file */
  async function take(file) {
    if (file.size > 1_000_000) return fail('This file is larger than a list of titles: at most 1 MB.');
    try {
      const said = await post('files', {name: file.name, content: await base64(file)});
      const living = options.models.filter((/** @type {any} */ one) => one.state !== 'retired' && said.models.includes(one.id));
      setRefused({});
      // What was typed while it was read stays.
      setDraft((before) => ({
        ...before,
        titles: [...titlesOf(before.titles), ...said.prompts].join('\n'),
        ...(living.length ? {models: living.map((/** @type {any} */ one) => one.id)} : {}),
        ...Object.fromEntries(['style', 'template', 'font', 'context', 'brand', 'kicker', 'author'].filter((name) => said[name]).map((name) => [name, said[name]])),
        ...(said.formats?.length ? {formats: said.formats.join(',')} : {}),
        ...(said.extra_prompt ? {extra: said.extra_prompt} : {}),
      }));
      const gone = said.models.filter((/** @type {string} */ id) => !living.some((/** @type {any} */ one) => one.id === id));
      if (gone.length) fail(`${file.name} names ${gone.join(', ')}, which the provider has shut down. Pick another.`);
    } catch (error) {
      fail(error instanceof ApiError && error.code === 'invalid_request' ? `${file.name}: ${sentence(error.message)}` : kindly(error));
    }
  }

  /** @param {any} event a drop or a paste */
  function taken(event) {
    const data = event.dataTransfer ?? event.clipboardData;
    const text = (data.getData('text/uri-list') || data.getData('text/plain')).trim();
    if (data.files.length) { event.preventDefault(); take(data.files[0]); }
    else if (URL_ALONE.test(text)) { event.preventDefault(); change({blog: text}); }
    else if (event.type === 'drop' && text) { event.preventDefault(); change({titles: [...titles, ...titlesOf(text)].join('\n')}); }
  }

  /** @param {Event} [event] */
  async function make(event) {
    event?.preventDefault();
    setTried(true);
    const wrong = Object.keys(problemsOf(draft, options.limits)).length || !rows || !draft.models.length;
    if (wrong || busy) {
      requestAnimationFrame(() => document.querySelector('.problem')?.scrollIntoView({block: 'center'}));
      return;
    }
    setBusy(true);
    const request = requestOf(draft, options);
    const text = JSON.stringify(request);
    if (sent.request !== text) Object.assign(sent, {request: text, key: crypto.randomUUID()});
    try {
      const {run_id} = await post('batches', request, {'idempotency-key': sent.key});
      sent.request = '';
      if (titles.length) expectRun(run_id, {prompts: titles, models: draft.models, formats: formatsOf(draft)});
      open(`/run/${encodeURIComponent(run_id)}`);
    } catch (error) {
      const problems = error instanceof ApiError ? error.problems.filter((one) => one.field) : [];
      setRefused(besideFields(problems));
      if (!problems.length) fail(kindly(error));
      else requestAnimationFrame(() => document.querySelector('.problem')?.scrollIntoView({block: 'center'}));
    }
    setBusy(false);
  }

  return html`<form class="make" onSubmit=${make} noValidate onKeyDown=${(/** @type {any} */ event) => { if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) make(event); }}
    onDragOver=${(/** @type {Event} */ event) => event.preventDefault()} onDrop=${taken}>
    <div class="words">
      <label class="titles" for="titles"><h1>Titles</h1><span class="quiet">one a line</span></label>
      <textarea id="titles" dir="auto" ref=${area} rows=${Math.max(4, Math.min(24, draft.titles.split('\n').length + 1))} value=${draft.titles}
        placeholder="What the tide leaves behind" aria-describedby="titles-help${problems.titles ? ' titles-problem' : ''}" aria-invalid=${!!problems.titles} spellcheck
        onInput=${(/** @type {any} */ event) => change({titles: event.target.value})} onPaste=${taken}
        onSelect=${(/** @type {any} */ event) => setLine(titlesOf(event.target.value.slice(0, event.target.selectionStart)).length - 1)} />
      ${problems.titles && html`<p class="problem" id="titles-problem">${problems.titles}</p>`}
      <p class="quiet" id="titles-help">Paste a list, drop a CSV or text file, or${' '}
        <label class="link">choose one<input type="file" accept=".csv,.tsv,.tab,.txt,.md,.json,.jsonl,.ndjson,text/plain,text/csv" class="unseen"
          onChange=${(/** @type {any} */ event) => { if (event.target.files[0]) take(event.target.files[0]); event.target.value = ''; }} /></label>.
        ${draft.titles && html` <button type="button" class="link" onClick=${() => change({titles: ''})}>Clear</button>`}</p>
      <${Field} name="blog" label="From a blog post" type="url" value=${draft.blog} problem=${problems.blog} placeholder="https://blog.example/a-post"
        help=${titles.length ? 'Its text says what the pictures are about.' : 'Gives the title and says what the picture is about.'} onInput=${(/** @type {string} */ blog) => change({blog})} />
      <${ModelPicker} models=${options.models} chosen=${draft.models} examples=${examples} problem=${problems.models} onChange=${(/** @type {string[]} */ models) => change({models})} />
      <${StylePicker} names=${options.styles} value=${look.style} problem=${problems.style} onPick=${(/** @type {string} */ style) => change({style})} />
      <${BrandPicker} names=${brands} value=${draft.brand} problem=${problems.brand} onPick=${(/** @type {string} */ brand) => change({brand, template: '', font: ''})} />
      <${TemplatePicker} names=${withOwn(kit.templates, options.templates)} value=${look.template ?? ''} problem=${problems.template} onPick=${(/** @type {string} */ template) => change({template})} />
      <${FontPicker} names=${withOwn(kit.fonts, options.fonts)} value=${look.font ?? ''} problem=${problems.font} onPick=${(/** @type {string} */ font) => change({font})} />
      <${FormatPicker} formats=${options.formats} chosen=${formatsOf(draft)} problem=${problems.formats} onChange=${(/** @type {string[]} */ formats) => change({formats: formats.join(',')})} />
      <details class="more" open=${!!(draft.kicker || draft.author || problems.kicker || problems.author)}><summary>Lines above and below the title</summary>
        <${Field} name="kicker" label="Above the title" value=${draft.kicker} problem=${problems.kicker} placeholder="Engineering" onInput=${(/** @type {string} */ kicker) => change({kicker})} />
        <${Field} name="author" label="Below the title" value=${draft.author} problem=${problems.author} placeholder="Jane Doe · blog.example" onInput=${(/** @type {string} */ author) => change({author})} />
      </details>
      <details class="more" open=${!!(draft.context || draft.extra || problems.context || problems.extra)}><summary>More for the models to know</summary>
        <${Field} name="context" label="What the post is about" rows="4" value=${draft.context} problem=${problems.context} onInput=${(/** @type {string} */ context) => change({context})} />
        <${Field} name="extra" label="Wishes for every picture" rows="2" value=${draft.extra} problem=${problems.extra} placeholder="No people. Early morning light." onInput=${(/** @type {string} */ extra) => change({extra})} />
      </details>
    </div>
    <aside class="look">
      <${Preview} wanted=${{title: fits ? current : SAMPLE, ...look, format: formatsOf(draft)[0], kicker: problems.kicker ? '' : draft.kicker, author: problems.author ? '' : draft.author}} caption="The title over a sample of the style. Models draw pictures of their own." />
      <div class="sum">
        <p class="count" role="status">${images ? html`<strong>${rows}</strong> ${rows === 1 ? 'title' : 'titles'} × <strong>${draft.models.length}</strong> ${draft.models.length === 1 ? 'model' : 'models'} = <strong>${images}</strong> ${images === 1 ? 'image' : 'images'}` : 'Write a title and pick a model.'}
          ${images > 0 && html`<span class="cost">${cost ? `about ${money(cost)}` : ''}${prices.includes(null) ? `${cost ? ' and ' : ''}what models without a list price cost` : ''}</span>`}</p>
        ${budget?.limit_usd != null && html`<p class="quiet">${money(budget.limit_usd - (budget.left_usd ?? 0))} of ${money(budget.limit_usd)} spent today.</p>`}
        <button class="primary" type="submit" aria-keyshortcuts="Control+Enter" disabled=${busy}>${busy ? 'Starting…' : 'Make'}</button>
      </div>
    </aside>
  </form>`;
}

/** @param {any} given */
function Field({name, label, value, problem, help, rows, type = 'text', placeholder, onInput}) {
  const about = `${help ? `${name}-help ` : ''}${problem ? `${name}-problem` : ''}`.trim() || null;
  const same = {id: name, value, placeholder, dir: type === 'url' ? 'ltr' : 'auto', 'aria-describedby': about, 'aria-invalid': !!problem, onInput: (/** @type {any} */ event) => onInput(event.target.value)};
  return html`<div class="field"><label for=${name}>${label}</label>
    ${rows ? html`<textarea ...${same} rows=${rows} />` : html`<input ...${same} type=${type} autocomplete="off" />`}
    ${problem ? html`<p class="problem" id="${name}-problem">${problem}</p>` : help && html`<p class="quiet" id="${name}-help">${help}</p>`}</div>`;
}
