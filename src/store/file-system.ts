/** Which file systems a store may live on. */
import { statfsSync } from 'node:fs';
import { RegionError } from '../errors.ts';

/** What statfs calls the file systems we know; ones that lose synced data or locks are refused. */
const LOCAL = new Set([0xef53, 0x58465342, 0x9123683e, 0x794c7630, 0xf2f52010, 0x2fc12fc1,
  0xca451a4e, 0x3153464a, 0x52654973]);
const MEMORY = new Set([0x01021994, 0x858458f6]);

/**
 * Refuses file systems whose fsync or locks are not known to hold. A memory file system is fine
 * when the caller said durability is not wanted.
 */
export function refuseFileSystem(dir: string, durable: boolean): void {
  if (process.platform !== 'linux') return;
  const type = Number(statfsSync(dir).type) >>> 0;
  if (LOCAL.has(type)) return;
  if (MEMORY.has(type)) {
    if (!durable) return;
    throw new RegionError('ERR_BAD_OPTION',
      `${dir} is on a memory file system, which a power cut empties; choose a directory on disk, ` +
        "or open with { sync: 'off' }");
  }
  throw new RegionError('ERR_BAD_OPTION',
    `${dir} is on a network or unknown file system (type 0x${type.toString(16)}), where locks ` +
      'and syncs are not known to hold; choose a local directory, or force it with ' +
      '{ unsafeFileSystem: true }');
}
