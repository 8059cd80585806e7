// Talks to the node: the token goes in a header, and streams are read as they come and taken up again when they end.

const tokenKey = 'strata.token';
let token = null;
let onRefused = () => {};

// Takes the token from the address, where it stands behind the #, and keeps it for this tab only.
export function takeToken() {
  const found = /[#&]token=([0-9a-fA-F]{16,})/.exec(location.hash);
  if (found) history.replaceState(null, '', location.pathname + location.search);
  token = found ? found[1] : sessionStorage.getItem(tokenKey);
  return token;
}

// Keeps it for as long as the tab is there. A browser takes its time for that, so the node is asked first.
export const keepToken = () => { if (token) sessionStorage.setItem(tokenKey, token); };

export const hasToken = () => Boolean(token);
export function setToken(value) { token = value; sessionStorage.setItem(tokenKey, value); }
export function forgetToken() { token = null; sessionStorage.removeItem(tokenKey); }
export function whenRefused(body) { onRefused = body; }

// What the node said when it refused: its own words, and a code that stays the same.
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? `the node answered with ${status}`);
    this.status = status;
    this.code = problem?.code ?? '';
    this.problem = problem ?? {};
  }
}

const headers = (more) => ({ Authorization: `Bearer ${token}`, ...more });

async function refusal(answer) {
  let problem = null;
  try { problem = await answer.json(); } catch { /* Not one of the node's own answers. */ }
  if (answer.status === 401) onRefused();
  return new Refusal(answer.status, problem);
}

async function ask(method, path, body, signal, more) {
  const options = { method, headers: headers(more), signal, cache: 'no-store' };
  if (body !== undefined) {
    options.headers['Content-Type'] = 'application/json';
    options.body = JSON.stringify(body);
  }
  let answer;
  try { answer = await fetch(path, options); } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Refusal(0, { detail: 'The node does not answer. Is it still running?', code: 'no-answer' });
  }
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

export const get = async (path, signal) => (await ask('GET', path, undefined, signal)).json();
export const getText = async (path, signal) => (await ask('GET', path, undefined, signal)).text();
export const getBlob = async (path, signal, more) => (await ask('GET', path, undefined, signal, more)).blob();
export const post = async (path, body = {}, signal) => (await ask('POST', path, body, signal)).json();
export const patch = async (path, body) => (await ask('PATCH', path, body)).json();
export const command = (layer, name, input = {}, signal) => post(`/v1/${layer}/${name}`, input, signal);

// Reads server-sent events from an answer's body.
async function readEvents(answer, onEvent, onSign) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let event = '', data = '', id = null;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    onSign?.();
    rest += value;
    let start = 0;
    for (let end = rest.indexOf('\n', start); end >= 0; end = rest.indexOf('\n', start)) {
      const line = rest.slice(start, end);
      start = end + 1;
      if (line === '') {
        if (data || event) onEvent({ event, id, data: data ? JSON.parse(data) : null });
        event = data = '';
        id = null;
      } else if (line.startsWith('data: ')) data += line.slice(6);
      else if (line.startsWith('event: ')) event = line.slice(7);
      else if (line.startsWith('id: ')) id = line.slice(4);
    }
    rest = rest.slice(start);
  }
}

// Calls a command and is told of its progress; the answer is how it ended. `onProgress` may answer `true` for enough.
export async function stream(layer, name, input, onProgress, signal) {
  const control = new AbortController();
  signal?.addEventListener('abort', () => control.abort());
  const answer = await fetch(`/v1/${layer}/${name}`, {
    method: 'POST', body: JSON.stringify(input), signal: control.signal,
    headers: headers({ 'Content-Type': 'application/json', Accept: 'text/event-stream' }),
  });
  if (!answer.ok) throw await refusal(answer);
  if (!answer.headers.get('Content-Type')?.startsWith('text/event-stream')) return answer.json();
  let result, failure, enough = false;
  try {
    await readEvents(answer, ({ event, data }) => {
      if (event === 'progress') { if (onProgress?.(data)) { enough = true; control.abort(); } }
      else if (event === 'finished') result = data;
      else if (event === 'failed') failure = new Refusal(data.status, data);
    });
  } catch (error) { if (!enough) throw error; }
  if (failure) throw failure;
  return result;
}

// A stream that is taken up again whenever it ends, where it had stopped; it rests while nobody sees the page.
export class Feed {
  constructor(path, onEvent, onState) {
    Object.assign(this, { path, onEvent, onState, state: 'closed', lastID: null, tries: 0, wanted: false });
    this.look = () => {
      clearTimeout(this.resting);
      if (document.hidden) this.resting = setTimeout(() => this.pause(), 30000);
      else if (this.wanted && this.state === 'paused') this.run();
    };
  }

  open() {
    if (this.wanted) return;
    this.wanted = true;
    document.addEventListener('visibilitychange', this.look);
    this.run();
  }

  close() {
    this.wanted = false;
    document.removeEventListener('visibilitychange', this.look);
    clearTimeout(this.resting);
    clearTimeout(this.waiting);
    this.control?.abort();
    this.tell('closed');
  }

  pause() {
    if (!this.wanted) return;
    this.tell('paused');
    clearTimeout(this.waiting);
    this.control?.abort();
  }

  tell(state) {
    if (this.state === state) return;
    this.state = state;
    this.onState?.(state);
  }

  async run() {
    const control = this.control = new AbortController();
    clearTimeout(this.waiting);
    if (this.state !== 'waiting') this.tell('connecting');
    // The node gives a sign of life every 15 seconds; one that gives none is gone, whatever the network says.
    let watchdog = 0;
    const alive = () => { clearTimeout(watchdog); watchdog = setTimeout(() => control.abort(), 40000); };
    try {
      alive();
      const more = this.lastID ? { 'Last-Event-ID': this.lastID } : {};
      const answer = await fetch(this.path, { headers: headers(more), signal: control.signal, cache: 'no-store' });
      if (!answer.ok) throw await refusal(answer);
      this.tries = 0;
      this.tell('open');
      await readEvents(answer, (item) => {
        if (item.id) this.lastID = item.id;
        this.onEvent(item);
      }, alive);
    } catch (error) {
      if (error.status === 401) this.wanted = false;
    }
    clearTimeout(watchdog);
    if (!this.wanted || this.state === 'paused' || this.control !== control) return;
    this.tell('waiting');
    const pause = Math.min(15000, 400 * 2 ** this.tries++) * (0.75 + Math.random() / 2);
    this.waiting = setTimeout(() => this.run(), pause);
  }
}
