// Files: what is shared here, what others have, and what is on its way, chunk by chunk.
import { Refusal, command, getBlob, stream } from '../api.js';
import { Bag, later, perFrame, whileVisible } from '../bus.js';
import { add, fill, foreign, h, text } from '../dom.js';
import { byteRate, bytes, hue, plural, seconds } from '../format.js';
import { icon } from '../icons.js';
import { VirtualList } from '../list.js';
import { badge, card, empty, explain, fault, head, say, toast } from '../parts.js';
import { state } from '../state.js';

// Names differ a little from layer to layer; the first that is there counts.
const first = (item, ...names) => names.map((name) => item?.[name]).find((value) => value !== undefined && value !== null);
const listIn = (answer, ...names) => first(answer, ...names) ?? Object.values(answer ?? {}).find(Array.isArray) ?? [];
const rootOf = (item) => first(item, 'root', 'hash', 'link') ?? '';
const sizeOf = (item) => Number(first(item, 'size', 'bytes', 'length') ?? 0);
const nameOf = (item) => String(first(item, 'name', 'path', 'file') ?? rootOf(item).slice(0, 12));

const contentPath = (root) => `/v1/fileshare/content/${encodeURIComponent(root)}`;
const playable = /\.(mp4|webm|ogv|mp3|ogg|oga|wav|flac|m4a|png|jpe?g|gif|webp|avif|pdf|txt|md)$/i;

// Opens a file's bytes, which the node fetches as they are read. The token goes in a header, so a plain link won't do.
async function openFile(item) {
  try {
    const url = URL.createObjectURL(await getBlob(contentPath(rootOf(item))));
    const link = h('a', { href: url, download: nameOf(item) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
  } catch (error) { toast(error.message, 'bad'); }
}

// Shows what a file holds, on the page.
async function showFile(item, place) {
  fill(place, h('p', { class: 'muted' }, 'Fetching …'));
  try {
    const blob = await getBlob(contentPath(rootOf(item)));
    const url = URL.createObjectURL(blob), name = nameOf(item);
    if (/\.(mp4|webm|ogv)$/i.test(name)) fill(place, h('video', { controls: true, autoplay: true, src: url }));
    else if (/\.(mp3|ogg|oga|wav|flac|m4a)$/i.test(name)) fill(place, h('audio', { controls: true, autoplay: true, src: url }));
    else if (/\.(png|jpe?g|gif|webp|avif)$/i.test(name)) fill(place, h('img', { src: url, alt: name }));
    else fill(place, h('pre', { class: 'file-text' }, (await blob.slice(0, 200000).text())));
  } catch (error) { fill(place, fault(error.message)); }
}

// Which parts are here, and from whom each came: a strip that holds as many cells as it has room for.
function chunkMap(item) {
  const chunks = first(item, 'chunks', 'map', 'bitmap');
  const total = Number(first(item, 'chunkCount', 'totalChunks') ?? (Array.isArray(chunks) ? chunks.length : 0));
  if (!Array.isArray(chunks) || !total) return null;
  const cells = Math.min(160, total);
  return h('div', { class: 'chunk-map', role: 'img', 'aria-label': `${chunks.filter(Boolean).length} of ${total} chunks are here` },
    Array.from({ length: cells }, (_, place) => {
      const holder = chunks[Math.floor(place * chunks.length / cells)];
      return h('span', { class: holder ? 'here' : '', style: holder ? { '--hue': hue(String(holder)) } : {}, title: holder && typeof holder === 'string' ? holder : null });
    }));
}

export const files = {
  mount(root) {
    const bag = new Bag();
    const canSearch = state.has('search'), canShare = state.has('fileshare');
    const results = new Map();
    let searching = null;
    const preview = h('div', { class: 'preview' });
    const download = async (item, holder) => {
      try {
        const input = { link: first(item, 'link') ?? rootOf(item) };
        if (holder) input.from = holder;
        await stream('fileshare', 'download', input, () => { loadDownloads(); return true; });
        say(`Fetching ${nameOf(item)}.`);
        loadDownloads();
      } catch (error) { toast(error.message, 'bad'); }
    };

    // Search
    const words = h('input', { type: 'search', id: 'words', 'aria-label': 'Search words', placeholder: 'Words, "a phrase", name:*.pdf, size:>1MiB', autocomplete: 'off' });
    const mode = h('select', { 'aria-label': 'How to search' }, h('option', { value: '' }, 'as set'), h('option', { value: 'ring' }, 'ring'), h('option', { value: 'flood' }, 'flood'));
    const found = new VirtualList({
      key: (item) => item.key, estimate: 74, label: 'Files that were found', class: 'found', most: 480,
      render: ({ item, holders }) => h('article', { class: 'file' }, h('div', { class: 'file-words' }, foreign(nameOf(item), { class: 'name' }),
        h('span', { class: 'muted small' }, bytes(sizeOf(item)), ' · ', h('span', { class: 'mono' }, rootOf(item).slice(0, 16)), ' · ', plural(holders.length, 'holder')),
        h('ul', { class: 'holders' }, holders.slice(0, 12).map((one) => h('li', {}, foreign(String(first(one, 'name', 'holder', 'origin') ?? 'somebody')),
          h('span', { class: 'mono muted small' }, ` ${first(one, 'address', 'host') ?? ''}`),
          canShare ? h('button', { type: 'button', class: 'small', onclick: () => download(item, first(one, 'name', 'holder', 'origin')) }, 'From there') : null)))),
      canShare ? h('button', { type: 'button', class: 'primary small', 'aria-label': `Download ${nameOf(item)}`, onclick: () => download(item) }, icon('down', 16), 'Download') : null),
    });
    const note = h('p', { class: 'muted small', role: 'status' });
    const drawFound = perFrame(() => { found.root.hidden = results.size === 0; found.set([...results.values()]); });
    const takeResult = (step) => {
      for (const item of Array.isArray(step) ? step : first(step, 'results', 'files', 'matches') ?? [step]) {
        const key = rootOf(item) || nameOf(item);
        if (!key || results.size > 10000) continue;
        const before = results.get(key) ?? { key, item, holders: [] };
        const holders = first(item, 'holders') ?? [];
        const all = [...before.holders];
        for (const one of holders.length ? holders : [item]) {
          if (!all.some((known) => JSON.stringify(known) === JSON.stringify(one))) all.push(one);
        }
        results.set(key, { key, item: { ...before.item, ...item }, holders: all });
      }
      text(note, `${plural(results.size, 'file')} so far`);
      drawFound();
    };
    const searchForm = h('form', { class: 'row search-form', role: 'search', onsubmit: async (event) => {
      event.preventDefault();
      searching?.abort();
      const mine = searching = new AbortController();
      results.clear();
      drawFound();
      text(note, 'Searching …');
      const list = words.value.match(/"[^"]*"|\S+/g) ?? [];
      const schema = state.layer('search').commands.find((item) => item.name === 'find')?.input.properties ?? {};
      const key = Object.keys(schema).find((name) => /words|query|keywords/.test(name)) ?? 'words';
      const input = { [key]: schema[key]?.type === 'array' ? list : words.value };
      if (mode.value) input.mode = mode.value;
      try {
        const answer = await stream('search', 'find', input, takeResult, mine.signal);
        const rest = first(answer, 'results', 'files', 'matches');
        if (Array.isArray(rest)) takeResult(rest);
        text(note, results.size ? `${plural(results.size, 'file')} found.` : 'Nothing was found.');
      } catch (error) { if (error.name !== 'AbortError') fill(note, fault(error.message)); }
    } }, words, mode, h('button', { type: 'submit', class: 'primary' }, icon('search', 18), 'Search'));

    // Sharing
    const path = h('input', { 'aria-label': 'Path of a file or folder on this machine', placeholder: 'Path of a file or folder on this machine', autocomplete: 'off', spellcheck: 'false' });
    const shareNote = h('div', {});
    const share = async (what) => {
      fill(shareNote);
      try {
        const schema = state.layer('fileshare').commands.find((item) => item.name === 'share')?.input.properties ?? {};
        const key = Object.keys(schema).find((name) => /path/.test(name)) ?? 'paths';
        await stream('fileshare', 'share', { [key]: schema[key]?.type === 'string' ? what[0] : what }, (step) => {
          fill(shareNote, h('p', { class: 'muted small' }, `Hashing: ${bytes(sizeOf(step))}`));
        });
        fill(shareNote);
        toast(`Shared: ${what.join(', ')}`);
        loadShared();
      } catch (error) {
        if (!(error instanceof Refusal)) console.error(error);
        fill(shareNote, fault(error.message));
      }
    };
    const drop = h('div', { class: 'drop' }, h('p', {}, 'Drop files here, or give a path.'), h('form', { class: 'row', onsubmit: (event) => { event.preventDefault(); if (path.value) share([path.value]); } },
      path, h('button', { type: 'submit' }, 'Share')), shareNote);
    drop.addEventListener('dragover', (event) => { event.preventDefault(); drop.classList.add('over'); });
    drop.addEventListener('dragleave', () => drop.classList.remove('over'));
    drop.addEventListener('drop', (event) => {
      event.preventDefault();
      drop.classList.remove('over');
      // A browser tells a page the names of dropped files, not where they lie; some desktops give the paths as text.
      const paths = event.dataTransfer.getData('text/uri-list').split('\n').filter((line) => line.startsWith('file://')).map((line) => decodeURIComponent(new URL(line.trim()).pathname));
      if (paths.length) share(paths);
      else fill(shareNote, fault('The browser does not say where these files lie. Give the path instead.'));
    });
    const shared = new VirtualList({
      key: (item) => rootOf(item) + nameOf(item), estimate: 52, label: 'Files shared here', class: 'shared', most: 380,
      render: (item) => h('div', { class: 'file' }, h('div', { class: 'file-words' }, foreign(nameOf(item), { class: 'name' }),
        h('span', { class: 'muted small' }, bytes(sizeOf(item)), ' · ', h('span', { class: 'mono' }, rootOf(item).slice(0, 24)))),
      h('button', { type: 'button', class: 'small', onclick: () => navigator.clipboard?.writeText(String(first(item, 'link') ?? rootOf(item))).then(() => toast('The link is copied.')) }, 'Copy link'),
      playable.test(nameOf(item)) ? h('button', { type: 'button', class: 'small', onclick: () => showFile(item, preview) }, 'Show') : null,
      h('button', { type: 'button', class: 'ghost small', onclick: async () => {
        try { await command('fileshare', 'unshare', { path: first(item, 'path', 'name'), root: rootOf(item) }); loadShared(); } catch (error) { toast(error.message, 'bad'); }
      } }, 'Unshare')),
    });
    const noShared = empty('Nothing is shared here yet.');
    async function loadShared() {
      try {
        const list = listIn(await command('fileshare', 'list', {}), 'files', 'shared');
        noShared.hidden = list.length > 0;
        shared.root.hidden = !list.length;
        shared.set(list);
      } catch (error) { fill(shareNote, fault(error.message)); }
    }

    // Downloads
    const downloads = h('div', { class: 'downloads' });
    async function loadDownloads() {
      if (!state.hasCommand('fileshare', 'downloads')) return;
      try {
        const list = listIn(await command('fileshare', 'downloads', {}), 'downloads');
        fill(downloads, list.length ? list.slice(0, 200).map((item) => {
          const size = sizeOf(item), done = Number(first(item, 'done', 'received', 'have', 'bytesDone') ?? 0), share2 = size ? done / size : 0;
          const act = (name, label) => h('button', { type: 'button', class: 'small', onclick: async () => {
            try { await command('fileshare', name, { root: rootOf(item) }); loadDownloads(); } catch (error) { toast(error.message, 'bad'); }
          } }, label);
          const now = String(first(item, 'state', 'status') ?? (share2 >= 1 ? 'done' : 'running'));
          return h('article', { class: 'download' }, h('div', { class: 'row' }, foreign(nameOf(item), { class: 'name' }), badge(now, now === 'failed' ? 'bad' : '')),
            h('div', { class: 'bar', role: 'progressbar', 'aria-valuenow': Math.round(share2 * 100), 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-label': nameOf(item) }, h('span', { style: { width: `${share2 * 100}%` } })),
            h('p', { class: 'muted small' }, `${bytes(done)} of ${bytes(size)}`, first(item, 'rate') ? `, ${byteRate(first(item, 'rate'))}` : '', first(item, 'left', 'timeLeft') ? `, ${seconds(Number(first(item, 'left', 'timeLeft')))} left` : '',
              first(item, 'holders')?.length ? `, from ${plural(item.holders.length, 'holder')}` : ''),
            chunkMap(item),
            h('div', { class: 'row' }, now === 'paused' ? act('resume', 'Go on') : share2 < 1 ? act('pause', 'Pause') : null, share2 < 1 ? act('cancel', 'Cancel') : null,
              playable.test(nameOf(item)) ? h('button', { type: 'button', class: 'small', onclick: () => showFile(item, preview) }, 'Show') : null,
              share2 >= 1 ? h('button', { type: 'button', class: 'small', onclick: () => openFile(item) }, 'Save') : null));
        }) : empty('Nothing is being fetched.'));
      } catch (error) { fill(downloads, fault(error.message)); }
    }
    const soon = later(400, loadDownloads);

    add(root, head('Files', 'What is shared between nodes: found by a word, fetched from all who have it at once.'),
      explain('files', h('p', {}, 'A file is cut into ', h('em', {}, 'chunks'), ', each with its hash, and the hash over all of them names the file. So it does not matter who sends a chunk: a wrong one is noticed, and asked for elsewhere.')),
      h('div', { class: 'stack' },
        canSearch ? card('Search', {}, searchForm, note, found.root) : null,
        canShare ? [card('Downloads', {}, downloads, preview), card('Shared here', {}, drop, shared.root, noShared)] : null));
    found.root.hidden = shared.root.hidden = true;
    if (canShare) {
      loadShared();
      loadDownloads();
      bag.add(whileVisible(2000, loadDownloads), state.on('events', (batch) => { if (batch.some((item) => item.layer === 'fileshare')) soon(); }));
    }
    return { close() { bag.empty(); searching?.abort(); found.close(); shared.close(); } };
  },
};
