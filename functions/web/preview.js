// A title as it would be set, drawn by the API while it is typed; nothing is paid.
import {html, useEffect, useRef, useState} from './preact.js';
import {ApiError, call} from './api.js';

const QUIET_MS = 250;

/**
 * @param {{wanted: Record<string, unknown> | null, caption: string}} given what `POST /preview` takes; null for nothing to show
 */
export function Preview({wanted, caption}) {
  const [shown, setShown] = useState(/** @type {any} */ (null));
  const [busy, setBusy] = useState(false);
  const asked = JSON.stringify(wanted);
  const first = useRef(true);
  useEffect(() => {
    if (!wanted) return;
    const stop = new AbortController();
    const wait = setTimeout(async () => {
      setBusy(true);
      try {
        const {data} = await call('POST', 'preview', {body: wanted, signal: stop.signal});
        setShown({src: `data:${data.media_type};base64,${data.image}`, warnings: data.warnings});
      } catch (error) {
        if (error instanceof ApiError) setShown((/** @type {any} */ before) => before && {...before, warnings: []});
      }
      if (!stop.signal.aborted) setBusy(false);
    }, first.current ? 0 : QUIET_MS);
    first.current = false;
    return () => { clearTimeout(wait); stop.abort(); };
  }, [asked]);
  return html`<figure class="preview" aria-busy=${busy}>
    <div class="frame">${shown && html`<img src=${shown.src} alt=${`Preview of “${wanted?.title ?? ''}”`} />`}</div>
    <figcaption class="quiet">${caption}</figcaption>
    ${shown?.warnings.map((/** @type {string} */ one) => html`<p class="warning">${one}</p>`)}
  </figure>`;
}
