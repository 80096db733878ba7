/** Refuses pairs of Node and better-sqlite3 that are known to end the process. */
import { createRequire } from 'node:module';
import { RegionError } from '../errors.ts';

const require = createRequire(import.meta.url);

/** better-sqlite3 13 needs Node 22 and crashes the process on 20; say so instead. */
export function refuseBadSqlite(): void {
  const { version } = require('better-sqlite3/package.json') as { version: string };
  const node = Number(process.versions.node.split('.')[0]);
  if (Number(version.split('.')[0]) >= 13 && node < 22) {
    throw new RegionError('ERR_VERSION',
      `better-sqlite3 ${version} crashes Node ${process.versions.node}; ` +
        'install better-sqlite3@^12.11.1, or run Node 22 or newer');
  }
}
