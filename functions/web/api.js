// The HTTP API, as the page's own address leads to it.

/** @typedef {{field: string, message: string}} Problem */

const KEY = 'thumbs-api-key';

/** What the API, or the way to it, refused. Status 0: there was no answer. */
export class ApiError extends Error {
  /** @param {number} status @param {string} code @param {string} message @param {Problem[]} problems */
  constructor(status, code, message, problems = []) {
    super(message);
    this.status = status;
    this.code = code;
    this.problems = problems;
  }
}

/** Is told that the key is missing or wrong; answers with another one, or null.
 * @type {{ask: () => Promise<string | null>}} */
export const door = {ask: async () => null};

/** @type {Promise<string | null> | null} */
let asking = null;

/**
 * @param {string} method @param {string} path below the stage, without a slash in front
 * @param {{body?: unknown, headers?: Record<string, string>, signal?: AbortSignal}} [more]
 * @returns {Promise<{status: number, data: any, etag: string | null}>}
 */
export async function call(method, path, {body, headers = {}, signal} = {}) {
  const key = sessionStorage.getItem(KEY);
  /** @type {Response} */
  let answer;
  let data = null;
  try {
    answer = await fetch(new URL(path, document.baseURI), {
      method,
      headers: {
        ...(body === undefined ? {} : {'content-type': 'application/json'}),
        ...(key ? {'x-api-key': key} : {}),
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: 'no-store',
      signal: signal ?? AbortSignal.timeout(30_000),
    });
    const text = await answer.text();
    data = text ? JSON.parse(text) : null;
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, navigator.onLine ? 'no_answer' : 'offline', 'there was no answer');
  }
  if (answer.ok || answer.status === 304) return {status: answer.status, data, etag: answer.headers.get('etag')};
  if (answer.status === 401 || data?.code === 'api_key_rejected') {
    sessionStorage.removeItem(KEY);
    asking ??= door.ask().finally(() => { asking = null; });
    const given = await asking;
    if (given) {
      sessionStorage.setItem(KEY, given);
      return call(method, path, {body, headers, signal});
    }
  }
  throw new ApiError(answer.status, data?.code ?? '', data?.message ?? answer.statusText, data?.problems ?? []);
}

/** @param {string} path */
export const get = async (path) => (await call('GET', path)).data;

/** @param {string} path @param {unknown} body @param {Record<string, string>} [headers] */
export const post = async (path, body, headers) => (await call('POST', path, {body, headers})).data;

/** A run's path. @param {string} id */
export const runPath = (id) => `runs/${encodeURIComponent(id)}`;

/**
 * What a person reads when something went wrong, and what they can do about it.
 * @param {unknown} error
 * @returns {string}
 */
export function kindly(error) {
  if (!(error instanceof ApiError)) return 'Something in this page went wrong. Reload it: what you typed is kept.';
  const here = ['localhost', '127.0.0.1', '[::1]'].includes(location.hostname);
  switch (error.code || error.status) {
    case 'offline': return 'You are offline. Nothing is lost: try again when the connection is back.';
    case 'no_answer':
      return here
        ? 'The stack does not answer. Start it with “thumbs up”, then try again. Nothing you typed is lost.'
        : 'The service does not answer. Wait a moment, then try again. Nothing you typed is lost.';
    case 'api_key_rejected': case 401: return 'This needs the API key of the deployment. Reload the page to enter it.';
    case 'body_too_large': case 413: return 'This is more text than one request holds. Make it in two runs.';
    case 'too_many_requests': return 'That was a lot at once. Wait a few seconds, then try again.';
    case 'no_images': return 'There is no finished image to pack yet.';
    case 'nothing_to_redrive': return 'Every image of this run is there: nothing is left to make.';
    case 'run_under_way': return 'This run is still under way. Wait for it, or stop it first.';
    case 'run_has_ended': return 'This run has ended already.';
    case 'unavailable': case 503: return 'A service behind this gave no answer. Try again in a moment.';
    case 'internal_error': case 500: return 'The API met a fault of its own. Try again; its log says more.';
    default: return sentence(error.message);
  }
}

/** @param {string} text */
export const sentence = (text) => (text ? text[0].toUpperCase() + text.slice(1) + (/[.!?…]$/.test(text) ? '' : '.') : '');
