// undici's index also loads fetch, WebSocket, caches and mocks: 9 MB of memory and 100 ms on one core of every pod's
// start. The data path takes what it needs from the files themselves; the version is pinned in package.json.
import buildConnector from 'undici/lib/core/connect.js';
import Client from 'undici/lib/dispatcher/client.js';
import Pool from 'undici/lib/dispatcher/pool.js';

export type { Dispatcher } from 'undici';
export { buildConnector, Client, Pool };
