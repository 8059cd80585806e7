// The views, one line each. A view is a module: an object with an id, a title, an icon, when it is there, and `mount`.
import { files } from './views/files.js';
import { network } from './views/network.js';
import { node } from './views/node.js';
import { stats } from './views/stats.js';
import { talk } from './views/talk.js';

// In the order in which they are shown. `isThere` looks at the layers that are on; `mount(root, place)` draws the view
// and answers { show(place), close() }, where place is what stands in the address behind the view's id.
export const views = [talk, files, network, stats, node];
