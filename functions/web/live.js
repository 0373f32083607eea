// A run as it goes on: asked for once a second while somebody looks, and told only what changed.
import {useCallback, useEffect, useRef, useState} from './preact.js';
import {ApiError, call, runPath} from './api.js';

const SEEN_MS = 1000, HIDDEN_MS = 15_000, ENDED_MS = 10_000, MOST_MS = 20_000;

/**
 * The next state of a run with the links of the one before: another link to the same picture would load it again.
 * @param {any} before @param {any} now @param {boolean} renew
 */
export function settled(before, now, renew) {
  if (!before || renew) return now;
  const links = new Map(before.cells.map((/** @type {any} */ cell) => [cell.key, cell.image_url]));
  return {...now, cells: now.cells.map((/** @type {any} */ cell) => (cell.image_url && links.get(cell.key) ? {...cell, image_url: links.get(cell.key)} : cell))};
}

/** What was asked for a moment ago: its matrix is there before the API has said anything of it. @type {{id: string, run: any}} */
const asked = {id: '', run: null};

/** @param {string} id @param {{prompts: string[], models: string[], formats: string[]}} request */
export function expectRun(id, {prompts, models, formats}) {
  const cells = prompts.flatMap((title, row) => models.map((model, column) => ({row, column, title, model, state: 'pending', variants: [], formats: {}})));
  const counts = {total: cells.length, pending: cells.length, running: 0, succeeded: 0, failed: 0, deleted: 0};
  Object.assign(asked, {id, run: {run_id: id, status: 'RUNNING', started_at: new Date().toISOString(), titles: prompts, models, formats, counts, cells}});
}

/** @param {string} id */
export function useRun(id) {
  const [run, setRun] = useState(/** @type {any} */ (asked.id === id ? asked.run : null));
  const [winners, setWinners] = useState(/** @type {any[]} */ ([]));
  const [error, setError] = useState(/** @type {ApiError | null} */ (null));
  const now = useRef({etag: '', stale: false, stop: false, timer: 0, misses: 0, run: /** @type {any} */ (null)});

  const look = useCallback(async () => {
    const own = now.current;
    clearTimeout(own.timer);
    try {
      const renew = own.stale;
      own.stale = false;
      const headers = own.etag && !renew ? {'if-none-match': own.etag} : {};
      const {status, data, etag} = await call('GET', runPath(id), {headers: /** @type {any} */ (headers)});
      if (own.stop) return;
      own.misses = 0;
      setError(null);
      // A run that has only just begun may not know its cells yet.
      if (status !== 304 && (data.cells.length || data.status !== 'RUNNING' || asked.id !== id)) {
        own.etag = etag ?? '';
        own.run = settled(own.run, data, renew);
        setRun(own.run);
      }
      const ended = own.run && own.run.status !== 'RUNNING';
      if (ended || own.run?.counts.succeeded) call('GET', `${runPath(id)}/winners`).then((answer) => { if (!own.stop) setWinners(answer.data.winners); }, () => null);
      own.timer = window.setTimeout(look, document.hidden ? HIDDEN_MS : ended ? ENDED_MS : SEEN_MS);
    } catch (caught) {
      if (own.stop || !(caught instanceof ApiError)) return;
      setError(caught);
      // What is not there will not come; a stack that went down may come back.
      if (caught.status !== 404) own.timer = window.setTimeout(look, Math.min(MOST_MS, SEEN_MS * 2 ** ++own.misses));
    }
  }, [id]);

  useEffect(() => {
    const own = now.current;
    own.stop = false;
    look();
    const seen = () => { if (!document.hidden) look(); };
    document.addEventListener('visibilitychange', seen);
    window.addEventListener('online', seen);
    return () => {
      own.stop = true;
      clearTimeout(own.timer);
      document.removeEventListener('visibilitychange', seen);
      window.removeEventListener('online', seen);
    };
  }, [look]);

  /** A picture did not open: its link may have run out. Asked once for all pictures that say so. */
  const renew = useCallback(() => {
    const own = now.current;
    if (own.stale) return;
    own.stale = true;
    clearTimeout(own.timer);
    own.timer = window.setTimeout(look, SEEN_MS);
  }, [look]);
  return {run, winners, setWinners, error, look, renew};
}
