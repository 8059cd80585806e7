// Files: what is shared here, what others have, and what is on its way, part by part.
import { Refusal, command, stream } from '../api.js';
import { Bag, later, perFrame } from '../bus.js';
import { add, fill, foreign, h, text } from '../dom.js';
import { bytes, plural } from '../format.js';
import { icon } from '../icons.js';
import { VirtualList } from '../list.js';
import { badge, card, empty, explain, fault, head, say, toast } from '../parts.js';
import { state } from '../state.js';
import { downloadList } from './downloads.js';
import { saveFile, showFile, verbOf } from './preview.js';

// Only unreserved characters stand in a link as they are.
const encoded = (name) => encodeURIComponent(name).replace(/[!'()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`);

// The link to a file that was found; its root alone where its size isn't known.
const linkTo = (item) => item.link ?? (item.size === undefined ? item.root
  : `strata:file?root=${item.root}&size=${item.size}${item.chunkSize && item.chunkSize !== 8192 ? `&chunk=${item.chunkSize}` : ''}&name=${encoded(item.name)}`);
const lastPart = (path) => path.slice(path.lastIndexOf('/') + 1);

export const files = {
  mount(root) {
    const bag = new Bag();
    const canSearch = state.has('search'), canShare = state.has('fileshare');
    const preview = h('div', { class: 'preview-place' });
    const downloads = canShare ? downloadList(bag, preview) : null;

    // Begins a download; it goes on by itself, whether anybody looks or not.
    async function download(item, from) {
      const input = { file: linkTo(item) };
      if (from) input.from = from;
      const last = await stream('fileshare', 'download', input, (step) => { downloads.take(step); return true; });
      if (last) downloads.take(last);
      say(`Fetching ${item.name}.`);
      downloads.load();
    }
    const fetching = async (item, from) => { try { await download(item, from); } catch (error) { toast(error.message, 'bad'); } };
    // Shows a file at once: what is shown is fetched first.
    const show = async (item) => {
      try {
        if (!item.isLocal) await download(item);
        await showFile(preview, item.root, item.name, item.size);
      } catch (error) { toast(error.message, 'bad'); }
    };

    const search = canSearch ? searchCard({ fetching, show, canShare }) : null;
    const shared = canShare ? sharedCard(bag, preview) : null;
    const link = h('input', { 'aria-label': 'A link to a file', placeholder: 'strata:file?root=…', autocomplete: 'off', spellcheck: 'false' });
    const byLink = h('form', { class: 'row link-form', onsubmit: (event) => {
      event.preventDefault();
      if (link.value.trim()) fetching({ link: link.value.trim(), name: 'the file' });
      link.value = '';
    } }, link, h('button', { type: 'submit' }, 'Fetch'));

    add(root, head('Files', 'What nodes share: found by a word, fetched from all who have it at once.'),
      explain('files', h('p', {}, 'A file is cut into ', h('em', {}, 'chunks'), ', each with its hash, and the hash over all of them names the file. So it does not matter who sends a chunk: a wrong one is noticed, and asked for elsewhere.')),
      h('div', { class: 'stack' }, search?.root ?? null, preview,
        canShare ? h('div', { class: 'files-columns' }, card('Downloads', {}, byLink, downloads.root), shared.root) : null));
    return { close() { bag.empty(); search?.close(); shared?.close(); } };
  },
};

function searchCard({ fetching, show, canShare }) {
  const results = new Map();
  let searching = null;
  const words = h('input', { type: 'search', id: 'words', 'aria-label': 'Search words', placeholder: 'Words, "a phrase", name:*.pdf, size:>1MiB', autocomplete: 'off' });
  const mode = h('select', { 'aria-label': 'How to search' }, h('option', { value: '' }, 'as the node is set'), h('option', { value: 'ring' }, 'ring by ring'), h('option', { value: 'flood' }, 'as a flood'));
  const note = h('p', { class: 'muted small search-note', role: 'status' }, 'A search asks neighbours, they ask theirs, and answers come back the same way.');
  const holderItem = (item, one) => h('li', {}, foreign(one.name ?? state.nameOf(one.address ?? 'somebody'), { class: 'holder-name' }), h('span', { class: 'mono muted small' }, one.address ?? ''),
    h('span', { class: 'muted small' }, [one.hops === undefined ? '' : one.hops === 0 ? 'a neighbour' : `${plural(one.hops, 'node')} between`, one.isWhole ? '' : `${plural(one.chunks, 'chunk')} of it`].filter(Boolean).join(', ')),
    canShare && !item.isLocal && (one.address || one.name) ? h('button', { type: 'button', class: 'small', 'aria-label': `Download ${item.name} from ${one.name ?? one.address} only`, onclick: () => fetching(item, one.address ?? one.name) }, 'From there') : null);
  const found = new VirtualList({
    key: (item) => item.root, estimate: 96, label: 'Files that were found', class: 'found', most: 480,
    render: (item) => h('article', { class: 'file' }, h('div', { class: 'file-words' }, foreign(item.name, { class: 'name' }),
      h('span', { class: 'muted small' }, item.size === undefined ? 'size unknown' : bytes(item.size), ' · ', h('span', { class: 'mono', title: item.root }, item.root.slice(0, 16)), ' · ', item.isLocal ? 'here' : plural(item.holders.length, 'holder'),
        item.isFull || item.isLocal ? '' : ', not all of it'),
      item.holders.length ? h('ul', { class: 'holders' }, item.holders.slice(0, 12).map((one) => holderItem(item, one))) : null),
    canShare ? h('div', { class: 'row file-buttons' },
      verbOf(item.name) ? h('button', { type: 'button', class: 'small', 'aria-label': `${verbOf(item.name)} ${item.name}`, onclick: () => show(item) }, verbOf(item.name)) : null,
      item.isLocal ? badge('shared here', 'good') : h('button', { type: 'button', class: 'primary small', 'aria-label': `Download ${item.name}`, onclick: () => fetching(item) }, icon('down', 16), 'Download')) : null),
  });
  const draw = perFrame(() => { found.root.hidden = results.size === 0; found.set([...results.values()]); });
  const take = (item) => {
    if (!results.has(item.root) && results.size >= 10000) return;
    results.set(item.root, item);
    text(note, `${plural(results.size, 'file')} so far …`);
    draw();
  };
  const form = h('form', { class: 'row search-form', role: 'search', onsubmit: async (event) => {
    event.preventDefault();
    if (!words.value.trim()) return words.focus();
    searching?.abort();
    const mine = searching = new AbortController();
    results.clear();
    draw();
    text(note, 'Searching …');
    const input = { words: [words.value.trim()] };
    if (mode.value) input.mode = mode.value;
    try {
      const answer = await stream('search', 'find', input, take, mine.signal);
      for (const item of answer?.files ?? []) take(item);
      if (searching === mine) text(note, results.size ? `${plural(results.size, 'file')} found.` : 'Nothing was found. Other words, or a flood, may find more.');
    } catch (error) { if (error.name !== 'AbortError') fill(note, fault(error.message)); }
  } }, words, mode, h('button', { type: 'submit', class: 'primary' }, icon('search', 18), 'Search'));
  found.root.hidden = true;
  return { root: card('Search', {}, form, note, found.root), close() { searching?.abort(); found.close(); } };
}

function sharedCard(bag, preview) {
  const path = h('input', { id: 'share-path', 'aria-label': 'Path of a file or folder on this machine', placeholder: '/path/of/a/file/or/folder', autocomplete: 'off', spellcheck: 'false' });
  const note = h('div', {});
  const share = async (paths) => {
    fill(note);
    try {
      const answer = await stream('fileshare', 'share', { paths }, (step) => {
        fill(note, h('p', { class: 'muted small' }, `Hashing: ${bytes(step.bytes)} of ${bytes(step.ofBytes)}`));
      });
      const skipped = answer.shared.flatMap((entry) => entry.skipped);
      fill(note, skipped.length ? h('p', { class: 'muted small' }, `Left out: ${skipped.join(', ')}.`) : null);
      toast(`Shared: ${plural(answer.shared.reduce((sum, entry) => sum + entry.files, 0), 'file')}.`);
      path.value = '';
      load();
    } catch (error) {
      if (!(error instanceof Refusal)) console.error(error);
      fill(note, fault(error.message));
    }
  };
  const drop = h('div', { class: 'drop' }, h('p', { class: 'muted' }, 'Drop files here from a file manager, or give a path.'),
    h('form', { class: 'row share-form', onsubmit: (event) => { event.preventDefault(); if (path.value.trim()) share([path.value.trim()]); } }, path, h('button', { type: 'submit' }, 'Share')), note);
  drop.addEventListener('dragover', (event) => { event.preventDefault(); drop.classList.add('over'); });
  drop.addEventListener('dragleave', () => drop.classList.remove('over'));
  drop.addEventListener('drop', (event) => {
    event.preventDefault();
    drop.classList.remove('over');
    // A browser tells a page the names of dropped files, not where they lie; some desktops give the paths as text.
    const paths = event.dataTransfer.getData('text/uri-list').split('\n').filter((line) => line.startsWith('file://')).map((line) => decodeURIComponent(new URL(line.trim()).pathname));
    if (paths.length) share(paths);
    else fill(note, fault('The browser does not say where these files lie. Give the path instead.'));
  });
  const list = new VirtualList({
    key: (item) => item.path, estimate: 58, label: 'Files shared here', class: 'shared', most: 380,
    render: (item) => {
      const name = lastPart(item.path);
      return h('article', { class: 'file' }, h('div', { class: 'file-words' }, foreign(name, { class: 'name' }),
        h('span', { class: 'muted small' }, bytes(item.size), ' · ', foreign(item.path.slice(0, -name.length)), ' ', h('span', { class: 'mono', title: item.root }, item.root.slice(0, 12)))),
      h('div', { class: 'row file-buttons' }, verbOf(name) ? h('button', { type: 'button', class: 'small', 'aria-label': `${verbOf(name)} ${name}`, onclick: () => showFile(preview, item.root, name, item.size) }, verbOf(name))
        : h('button', { type: 'button', class: 'small', 'aria-label': `Save ${name}`, onclick: () => saveFile(item.root, name) }, 'Save'),
      h('button', { type: 'button', class: 'small', 'aria-label': `Copy the link to ${name}`, onclick: () => navigator.clipboard?.writeText(item.link).then(() => toast('The link is copied.')) }, 'Copy link')));
    },
  });
  const shares = h('ul', { class: 'shares' });
  const none = empty('Nothing is shared here yet.');
  const more = h('p', { class: 'muted small' });
  const setting = state.setting('fileshare', 'shared');
  async function load() {
    try {
      const answer = await command('fileshare', 'list', { limit: 10000 });
      none.hidden = answer.files.length > 0;
      list.root.hidden = !answer.files.length;
      list.set(answer.files);
      text(more, answer.total > answer.files.length ? `and ${answer.total - answer.files.length} more` : '');
      fill(shares, answer.shares.map((one) => h('li', {}, foreign(one, { class: 'mono small wrap' }), one === setting ? badge('by the settings')
        : h('button', { type: 'button', class: 'ghost small', 'aria-label': `Unshare ${one}`, onclick: async () => {
          try { await command('fileshare', 'unshare', { paths: [one] }); load(); } catch (error) { toast(error.message, 'bad'); }
        } }, 'Unshare'))));
    } catch (error) { fill(note, fault(error.message)); }
  }
  const soon = later(400, load);
  bag.add(state.on('events', (batch) => { if (batch.some((item) => item.layer === 'fileshare' && /shared/.test(item.event))) soon(); }));
  list.root.hidden = true;
  load();
  return { root: card('Shared here', {}, drop, shares, list.root, more, none), close: () => list.close() };
}
