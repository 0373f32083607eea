// The page's frame: where one is, what went wrong, the key, the keys.
import {html, render, useCallback, useEffect, useRef, useState} from './preact.js';
import {door, get, kindly} from './api.js';
import {Form} from './form.js';
import {Gallery} from './gallery.js';
import {Run} from './run.js';
import {Runs} from './runs.js';

/** What the address says. */
function place() {
  const [path, query = ''] = location.hash.replace(/^#/, '').split('?', 2);
  const [, view = '', id = ''] = path.split('/');
  return {view, id: safely(id), query: new URLSearchParams(query)};
}

/** @param {string} text */
function safely(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

function App() {
  const [at, setAt] = useState(place);
  const [options, setOptions] = useState(/** @type {any} */ (null));
  const [examples, setExamples] = useState(/** @type {Record<string, string>} */ ({}));
  const [failure, setFailure] = useState('');
  const [asked, setAsked] = useState(/** @type {{answer: (key: string | null) => void} | null} */ (null));
  const [help, setHelp] = useState(false);
  const main = useRef(/** @type {HTMLElement | null} */ (null));
  const start = useCallback(async () => {
    setFailure('');
    try {
      setOptions(await get('options'));
    } catch (error) { setFailure(kindly(error)); return; }
    get('images?limit=100').then((page) => setExamples(Object.fromEntries(page.images.reverse().map((/** @type {any} */ one) => [one.model, one.image_url]))), () => null);
  }, []);
  useEffect(() => {
    door.ask = () => new Promise((answer) => setAsked({answer}));
    start();
    const moved = () => { setAt(place()); setFailure(''); main.current?.focus({preventScroll: true}); window.scrollTo(0, 0); };
    /** @param {KeyboardEvent} event */
    const keyed = (event) => {
      if (event.key === '?' && !(/** @type {Element} */ (event.target)).matches('input, textarea, select')) setHelp(true);
    };
    window.addEventListener('hashchange', moved);
    window.addEventListener('keydown', keyed);
    return () => { window.removeEventListener('hashchange', moved); window.removeEventListener('keydown', keyed); };
  }, []);
  const open = (/** @type {string} */ path) => { location.hash = path; };
  const tab = (/** @type {string} */ view, /** @type {string} */ name) => html`<a href=${`#/${view}`} aria-current=${at.view === view ? 'page' : null}>${name}</a>`;

  return html`
    <a class="skip" href="#main" onClick=${(/** @type {Event} */ event) => { event.preventDefault(); main.current?.focus(); }}>To the content</a>
    <header class="top"><a class="mark" href="#/">Thumbnails</a>
      <nav aria-label="Page">${tab('', 'Make')}${tab('runs', 'Runs')}${tab('gallery', 'Gallery')}<button class="link" onClick=${() => setHelp(true)} aria-keyshortcuts="?">Keys</button></nav></header>
    <main id="main" tabindex="-1" ref=${main}>
      ${failure && html`<p class="banner" role="alert">${failure} <button class="link" onClick=${() => (options ? setFailure('') : start())}>${options ? 'All right' : 'Try again'}</button></p>`}
      ${!options ? !failure && html`<p class="quiet loading">Getting the page ready…</p>`
        : at.view === 'run' && at.id ? html`<${Run} key=${at.id} id=${at.id} options=${options} open=${open} fail=${setFailure} />`
        : at.view === 'runs' ? html`<${Runs} fail=${setFailure} />`
        : at.view === 'gallery' ? html`<${Gallery} options=${options} fail=${setFailure} />`
        : html`<${Form} query=${at.query} options=${options} examples=${examples} open=${open} fail=${setFailure} />`}
    </main>
    ${asked && html`<${KeyDialog} answer=${(/** @type {string | null} */ key) => { asked.answer(key); setAsked(null); }} />`}
    ${help && html`<${Help} onClose=${() => setHelp(false)} />`}`;
}

/** @param {{answer: (key: string | null) => void}} given */
function KeyDialog({answer}) {
  const box = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const [key, setKey] = useState('');
  useEffect(() => { box.current?.showModal(); }, []);
  return html`<dialog class="paper" ref=${box} onClose=${() => answer(key.trim() || null)} onCancel=${() => setKey('')} aria-labelledby="key-head">
    <form method="dialog" onSubmit=${(/** @type {Event} */ event) => { event.preventDefault(); box.current?.close(); }}>
    <h2 id="key-head">The API key</h2><p>This deployment asks for its key. It is kept in this tab alone, until you close it.</p>
    <div class="field"><label for="key">Key</label><input id="key" type="password" autocomplete="off" value=${key} onInput=${(/** @type {any} */ event) => setKey(event.target.value)} /></div>
    <p class="acts"><button class="primary">Go on</button></p></form></dialog>`;
}

const KEYS = [['Ctrl + Enter', 'make the thumbnails'], ['← ↑ → ↓', 'from cell to cell, or picture to picture'], ['Enter', 'open the picture of a cell'], ['s', 'star it'],
  ['c', 'compare two pictures of a row; the arrows move the slider that has the focus'], ['Esc', 'close what is open'], ['?', 'this list']];

/** @param {{onClose: () => void}} given */
function Help({onClose}) {
  const box = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => { box.current?.showModal(); }, []);
  return html`<dialog class="paper" ref=${box} onClose=${onClose} aria-labelledby="keys-head"><h2 id="keys-head">Keys</h2>
    <dl>${KEYS.map(([key, does]) => html`<dt><kbd>${key}</kbd></dt><dd>${does}</dd>`)}</dl><p class="acts"><button onClick=${() => box.current?.close()}>Close</button></p></dialog>`;
}

const root = /** @type {HTMLElement} */ (document.getElementById('app'));
root.replaceChildren();
render(html`<${App} />`, root);
