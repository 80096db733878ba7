/**
 * One process per region file. `flock` on the file itself is the lock where the shim is; it ends
 * with its owner. A small file beside it, `PATH.lock`, tells who it is, and is the lock where there
 * is no shim: it is taken over when its process, start time included, or its boot is gone. With the
 * shim a directory that takes no lock file is fine.
 */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { RegionError } from '../errors.ts';
import type { Shim } from '../native/shim.ts';
import { systemError } from '../files.ts';

/** Takes the lock or throws ERR_LOCKED; the result releases it. */
export function lockFile(fd: number, path: string, shim: Shim | null, bootId: string): () => void {
  const name = `${path}.lock`;
  // Closing the descriptor is not enough: a map that stays keeps the lock.
  const unlock = () => shim?.unlock(fd);
  if (shim !== null && !shim.lock(fd, true)) throw locked(path, read(name));
  try {
    const mine = `${process.pid} ${startOf(process.pid)} ${bootId}\n`;
    take(name, path, mine);
    return () => {
      if (read(name) === mine) rmSync(name, { force: true });
      unlock();
    };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const isReadOnly = code === 'EACCES' || code === 'EPERM' || code === 'EROFS';
    if (isReadOnly && shim !== null) return unlock;
    unlock();
    throw systemError(`locking ${path}`, error);
  }
}

/** A lock file appears under its name whole, and only where there was none. */
function take(name: string, path: string, mine: string): void {
  const draft = `${name}.${process.pid}`;
  writeFileSync(draft, mine, { mode: 0o600 });
  try {
    for (let tries = 0; tries < 3; tries++) {
      const holder = read(name);
      if (holder !== null && isAlive(holder, mine)) throw locked(path, holder);
      if (holder !== null) removeStale(name, holder);
      try {
        linkSync(draft, name);
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
    }
    throw locked(path, read(name));
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Another process may have taken over in between: what is moved away must be what was read. */
function removeStale(name: string, holder: string): void {
  const aside = `${name}.${process.pid}.stale`;
  try {
    renameSync(name, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (read(aside) !== holder) linkSync(aside, name);
  rmSync(aside, { force: true });
}

function isAlive(holder: string, mine: string): boolean {
  const [pid, start, bootId] = holder.trim().split(' ');
  const [, , myBoot] = mine.trim().split(' ');
  if (bootId !== myBoot) return false;
  try {
    process.kill(Number(pid), 0);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'EPERM';
  }
  return startOf(Number(pid)) === start;
}

/** When a process started, in clock ticks since boot; '0' where the system does not tell. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '0';
  } catch {
    return '0';
  }
}

function read(name: string): string | null {
  try {
    return readFileSync(name, 'latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function locked(path: string, holder: string | null): RegionError {
  const who = holder === null ? 'another process' : `process ${holder.split(' ')[0]}`;
  return new RegionError('ERR_LOCKED',
    `${path} is in use by ${who}, or open in this one; close it there first`);
}
