// The views, one line each: what it is called, when it is there, and the module that draws it.
import { talk } from './views/talk.js';

// A view whose module is loaded when it is first wanted.
const view = (id, title, icon, isThere, load) => ({ id, title, icon, isThere, load: async () => (await load())[id] });
const always = () => true;

// In the order in which they are shown. `isThere` looks at the layers that are on. A view's module exports an object of
// its id's name: `mount(root, place)` draws it and answers { show(place), close() }, where place is what stands in the
// address behind the id.
export const views = [
  { id: 'talk', title: 'Talk', icon: 'talk', isThere: (node) => node.has('gossip') || node.has('routing'), load: async () => talk },
  view('files', 'Files', 'files', (node) => node.has('fileshare') || node.has('search'), () => import('./views/files.js')),
  view('network', 'Network', 'network', always, () => import('./views/network.js')),
  view('stats', 'Stats', 'stats', always, () => import('./views/stats.js')),
  view('node', 'Node', 'node', always, () => import('./views/node.js')),
];

// Loads what was not needed at first, once there is nothing better to do.
export const loadRest = () => Promise.allSettled([...views.map((item) => item.load()), import('./views/layer.js')]);
