// Talk: what everybody hears, what one other hears, and who is there.
import { Refusal, command, stream } from '../api.js';
import { Bag, perFrame } from '../bus.js';
import { add, fill, foreign, h, text } from '../dom.js';
import { clock, dayAndClock, plural, seconds } from '../format.js';
import { icon } from '../icons.js';
import { VirtualList } from '../list.js';
import { avatar, badge, dot, empty, explain, head, say, timeAgo, toast } from '../parts.js';
import { state } from '../state.js';
import { talk as model } from '../talkmodel.js';

const states = {
  waiting: ['clock', 'on its way'], delivered: ['double', 'delivered'], 'sent, no receipts': ['check', 'sent; no receipt comes this way'],
  'no route': ['warn', 'no way there'], 'no answer': ['warn', 'no answer'],
};

// When the first lines were drawn, for whoever measures.
let isMarked = false;

function rumorRow(rumor) {
  if (rumor.isFault) {
    return h('div', { class: 'line fault-line' }, icon('warn', 18), h('p', {}, foreign(rumor.origin),
      ` has said something else before under its number ${rumor.id}. This second text was refused: `, foreign(rumor.text)));
  }
  const isMine = rumor.origin === model.me;
  const facts = [];
  if (isMine) facts.push('from here');
  else if (rumor.from) facts.push(['by way of ', foreign(state.nameOf(rumor.from))]);
  if (!isMine && rumor.hops !== undefined && rumor.hops !== null) facts.push(rumor.hops === 0 ? 'from next door' : `${plural(rumor.hops, 'node')} between`);
  if (!isMine && rumor.delay > 0) facts.push(seconds(rumor.delay));
  return h('article', { class: `line ${isMine ? 'mine' : ''}` }, avatar(rumor.origin),
    h('div', { class: 'line-body' },
      h('div', { class: 'line-head' }, foreign(rumor.origin, { class: 'name' }),
        rumor.topic ? h('a', { class: 'topic', href: `#/talk/topic/${encodeURIComponent(rumor.topic)}` }, '#', foreign(rumor.topic)) : null,
        rumor.id === null ? badge('simple') : null,
        h('time', { datetime: new Date(rumor.at).toISOString(), title: dayAndClock(rumor.at) }, clock(rumor.at))),
      h('p', { class: 'said', dir: 'auto' }, rumor.text),
      facts.length ? h('p', { class: 'facts' }, facts.map((fact, place) => [place ? ' · ' : '', fact])) : null));
}

function messageRow(message) {
  const isOurs = message.state !== 'received';
  const [sign, words] = states[message.state] ?? [null, ''];
  const isBad = sign === 'warn';
  return h('div', { class: `bubble-row ${isOurs ? 'ours' : 'theirs'}` },
    h('div', { class: `bubble ${isBad ? 'bad' : ''}` }, h('p', { class: 'said', dir: 'auto' }, message.text),
      h('p', { class: 'facts' }, h('time', { datetime: new Date(message.at).toISOString(), title: dayAndClock(message.at) }, clock(message.at)),
        isOurs ? h('span', { class: `state ${isBad ? 'bad' : ''}` }, icon(sign, 15), words) : null)));
}

export const talk = {
  mount(root, first) {
    const bag = new Bag();
    let where = null, list = null, composer = null;
    const threads = h('nav', { class: 'threads', 'aria-label': 'Conversations' });
    const stage = h('section', { class: 'thread', 'aria-label': 'Conversation' });
    const people = h('aside', { class: 'people', 'aria-label': 'Who is there' });
    const peopleButton = h('button', { type: 'button', class: 'ghost only-narrow', 'aria-expanded': 'false', onclick: () => {
      const isOpen = root.classList.toggle('people-open');
      peopleButton.setAttribute('aria-expanded', String(isOpen));
    } }, icon('people', 18), 'Who is there');
    add(root,
      head('Talk', 'What nodes tell each other, with no server in between.', peopleButton),
      explain('talk', h('p', {}, h('strong', {}, 'You are looking at one node, '), foreign(state.node.name, { class: 'strong' }),
        ', through its own eyes. It is linked to a few ', h('em', {}, 'neighbours'), ' only. What it says to everybody is a ',
        h('em', {}, 'rumor'), ': it tells a neighbour, who tells another, until all have heard it. Nobody needs to know them all. ',
        state.has('routing') ? ['A ', h('em', {}, 'private message'), ' goes from neighbour to neighbour to one node only, and a receipt comes back.'] : null)),
      h('div', { class: 'talk' }, threads, stage, people));

    const drawThreads = perFrame(() => {
      const entry = (key, href, mark, label, note) => h('li', {}, h('a', { href, 'aria-current': where === key ? 'true' : null },
        mark, h('span', { class: 'thread-name' }, label), note ? h('span', { class: 'thread-note' }, note) : null,
        model.unread.get(key) ? h('span', { class: 'count', 'aria-label': `${model.unread.get(key)} unread` }, model.unread.get(key)) : null));
      const topics = [...model.topics ?? []].sort((a, b) => b[1] - a[1]).slice(0, 50);
      const partners = model.partners.map((item) => item.with);
      if (where?.startsWith('@') && !partners.includes(where.slice(1))) partners.unshift(where.slice(1));
      fill(threads,
        state.has('gossip') ? h('ul', {}, entry('', '#/talk', h('span', { class: 'thread-mark' }, icon('people', 18)), 'Everybody', String(model.rumors.length || ''))) : null,
        topics.length ? [h('h2', {}, 'Topics'), h('ul', {}, topics.map(([topic, number]) =>
          entry(`#${topic}`, `#/talk/topic/${encodeURIComponent(topic)}`, h('span', { class: 'thread-mark' }, '#'), foreign(topic), String(number))))] : null,
        state.has('routing') ? [h('h2', {}, 'Private'), partners.length
          ? h('ul', {}, partners.slice(0, 200).map((name) => entry(`@${name}`, `#/talk/with/${encodeURIComponent(name)}`, avatar(name, true), foreign(name))))
          : h('p', { class: 'muted small' }, 'Choose somebody under Origins to write to.')] : null);
    });

    const drawPeople = perFrame(() => {
      const neighbours = state.neighbours;
      const origins = model.origins.filter((item) => item.origin !== model.me).sort((a, b) => b.heardAt - a.heardAt);
      fill(people,
        h('h2', {}, 'Neighbours', h('span', { class: 'thread-note' }, String(neighbours.length))),
        h('p', { class: 'muted small' }, 'Nodes that this one exchanges packets with directly.'),
        neighbours.length ? h('ul', { class: 'person-list' }, neighbours.map((item) => {
          const isSilent = state.isSilent(item);
          return h('li', {}, dot(isSilent ? 'bad' : 'good', isSilent ? 'silent' : 'here'),
            h('div', {}, foreign(state.nameOf(item.address), { class: 'name' }),
              h('span', { class: 'muted small' }, h('span', { class: 'mono' }, item.address), ' · ', isSilent ? 'silent, heard ' : 'heard ', timeAgo(item.heardAt))));
        })) : h('p', { class: 'small' }, 'None yet.'),
        state.unresolved.map((name) => h('p', { class: 'small' }, badge('unknown name', 'warn'), ' ', h('span', { class: 'mono' }, name))),
        h('h2', {}, 'Origins', h('span', { class: 'thread-note' }, String(origins.length))),
        h('p', { class: 'muted small' }, 'Everybody whose rumors have come here, however far away.'),
        origins.length ? h('ul', { class: 'person-list' }, origins.slice(0, 100).map((item) => {
          const way = model.routes.get(item.origin);
          const far = way ? [way.hops === 0 ? 'next door' : way.hops === undefined ? 'over ' : `${plural(way.hops, 'node')} between, over `,
            way.hops === 0 ? null : foreign(state.nameOf(way.nextHop))] : state.has('routing') ? 'no way known' : null;
          return h('li', {}, avatar(item.origin, true), h('div', {}, foreign(item.origin, { class: 'name' }), h('span', { class: 'muted small' }, far)),
            state.has('routing') ? h('a', { class: 'button small', href: `#/talk/with/${encodeURIComponent(item.origin)}`, 'aria-label': `Write to ${item.origin}` }, 'Write') : null);
        })) : h('p', { class: 'small' }, 'Nobody has been heard yet.'),
        origins.length > 100 ? h('p', { class: 'muted small' }, `and ${origins.length - 100} more`) : null);
    });

    function items() {
      if (where.startsWith('@')) return model.messages.filter((item) => item.with === where.slice(1));
      if (where.startsWith('#')) return model.rumors.filter((item) => item.topic === where.slice(1));
      return model.rumors;
    }

    const drawLines = perFrame(() => {
      if (!list) return;
      const all = items();
      list.root.classList.toggle('is-empty', all.length === 0);
      list.set(all.slice());
      if (all.length && !isMarked) { isMarked = true; requestAnimationFrame(() => setTimeout(() => performance.mark('first-rumor'))); }
      more.hidden = list.atEnd;
    });

    const more = h('button', { type: 'button', class: 'more', hidden: true, onclick: () => { list.atEnd = true; list.draw(); more.hidden = true; } }, icon('down', 16), 'Newest');

    function open(place) {
      const [kind, name] = place;
      const wanted = kind === 'with' && name && state.has('routing') ? `@${name}` : kind === 'topic' && name ? `#${name}` : state.has('gossip') ? '' : `@${model.partners[0]?.with ?? model.me}`;
      root.classList.remove('people-open');
      if (wanted === where) return;
      where = wanted;
      model.read(where);
      list?.close();
      const isPrivate = where.startsWith('@');
      const name2 = where.slice(1);
      list = new VirtualList({
        render: isPrivate ? messageRow : rumorRow, key: (item) => item.key, estimate: isPrivate ? 64 : 84, follow: true,
        label: 'What was said', class: isPrivate ? 'bubbles' : 'lines', onEnd: () => { more.hidden = true; },
      });
      composer = makeComposer(isPrivate ? name2 : null, where.startsWith('#') ? name2 : null);
      fill(stage,
        h('div', { class: 'thread-head' },
          isPrivate ? [avatar(name2, true), h('h2', {}, foreign(name2)), wayNote(name2)]
            : where ? [h('h2', {}, '#', foreign(name2)), h('span', { class: 'muted small' }, 'rumors on this topic')]
              : [h('h2', {}, 'Everybody'), h('span', { class: 'muted small' }, 'rumors, which reach all nodes')]),
        h('div', { class: 'thread-list' }, list.root,
          isPrivate ? empty('Nothing was said between you yet.', 'Only the two of you read what is written here; the nodes between pass it on, and could read it too.')
            : empty('Nothing was heard yet.', 'Say something, or wait for a neighbour to.'), more),
        composer);
      drawThreads();
      drawLines();
    }

    function wayNote(name) {
      const note = h('span', { class: 'muted small' });
      const show = () => {
        const way = model.routes.get(name);
        if (name === model.me) text(note, 'that is this node itself');
        else if (!way) text(note, 'no way there is known yet');
        else fill(note, way.hops === 0 ? 'next door' : ['next hop ', foreign(state.nameOf(way.nextHop)), way.hops === undefined ? '' : `, ${plural(way.hops, 'node')} between`]);
      };
      show();
      note.update = show;
      return note;
    }

    function makeComposer(to, topic) {
      const box = h('textarea', { id: 'say', rows: '1', required: true, 'aria-label': to ? `Message to ${to}` : 'What to say to everybody', placeholder: to ? `Write to ${to}` : 'Say something' });
      const about = to || topic ? null : h('input', { class: 'topic-input', 'aria-label': 'Topic, optional', placeholder: '# topic', maxlength: '100', autocomplete: 'off' });
      const complaint = h('p', { class: 'fault', role: 'alert', hidden: true });
      const size = () => { box.style.height = 'auto'; box.style.height = `${Math.min(160, box.scrollHeight)}px`; };
      box.addEventListener('input', size);
      box.addEventListener('keydown', (event) => {
        if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
        event.preventDefault();
        form.requestSubmit();
      });
      const form = h('form', { class: 'composer', onsubmit: async (event) => {
        event.preventDefault();
        const words = box.value;
        if (!words.trim()) return;
        box.value = '';
        size();
        complaint.hidden = true;
        list.atEnd = true;
        try {
          if (to) {
            // Its number is enough: what becomes of it is told as an event.
            await stream('routing', 'send', { name: to, text: words }, () => { model.refreshMessages(); return true; });
            model.refreshMessages();
          } else {
            const subject = topic ?? about.value.replace(/^#/, '').trim();
            await command('gossip', 'publish', subject ? { text: words, topic: subject } : { text: words });
          }
          say('Said.');
        } catch (error) {
          if (!(error instanceof Refusal)) console.error(error);
          box.value = box.value || words;
          size();
          complaint.hidden = false;
          fill(complaint, icon('warn', 16), h('span', {}, error.message));
        }
      } }, complaint, h('div', { class: 'composer-row' }, about, box, h('button', { type: 'submit', class: 'primary icon-only', 'aria-label': 'Say it' }, icon('send'))));
      return form;
    }

    bag.add(model.on('rumors', () => { drawLines(); drawThreads(); }), model.on('messages', () => { drawLines(); drawThreads(); }),
      model.on('people', () => { drawPeople(); stage.querySelector('.thread-head .muted')?.update?.(); }), model.on('unread', drawThreads),
      state.on('neighbours', drawPeople), model.on('news', (words) => say(words)), model.on('fault', (error) => toast(error.message, 'bad')));
    open(first);
    drawPeople();
    return { show: open, close() { bag.empty(); list?.close(); model.open = null; } };
  },
};
