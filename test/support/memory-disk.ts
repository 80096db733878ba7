/** A file in memory that remembers what was done to it, and what a crash in between leaves. */
import type { Disk } from '../../src/disciplines/compressed-contents.ts';
import type { Random } from './oracle.ts';

export type Step =
  | { readonly what: 'write'; readonly at: number; readonly bytes: Buffer }
  | { readonly what: 'truncate'; readonly bytes: number }
  | { readonly what: 'sync' };

export interface MemoryDisk extends Disk {
  readonly log: Step[];
  image(): Buffer;
  /** Throws from the write after so many more bytes. */
  room: number;
}

export function memoryDisk(initial: Uint8Array = new Uint8Array(0)): MemoryDisk {
  let image: Buffer = Buffer.from(initial);
  const log: Step[] = [];
  const disk: MemoryDisk = {
    path: 'memory',
    log,
    room: Number.POSITIVE_INFINITY,
    image: () => Buffer.from(image),
    size: () => image.length,
    read: (bytes, at) => {
      const found = image.subarray(at, at + bytes.length);
      bytes.set(found);
      return found.length;
    },
    write(bytes, at) {
      const more = Math.max(0, at + bytes.length - image.length);
      if (more > disk.room) throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
      disk.room -= more;
      const step: Step = { what: 'write', at, bytes: Buffer.from(bytes) };
      image = applied(image, step);
      log.push(step);
    },
    truncate(bytes) {
      const step: Step = { what: 'truncate', bytes };
      image = applied(image, step);
      log.push(step);
    },
    sync() {
      log.push({ what: 'sync' });
    },
  };
  return disk;
}

function applied(image: Buffer, step: Step): Buffer {
  if (step.what === 'sync') return image;
  const bytes = step.what === 'truncate' ? step.bytes
    : Math.max(image.length, step.at + step.bytes.length);
  const next = Buffer.alloc(bytes);
  next.set(image.subarray(0, bytes));
  if (step.what === 'write') next.set(step.bytes, step.at);
  return next;
}

/**
 * The file after a crash behind `count` steps of the log: what was synced, and of every step since
 * then all, nothing, or some of its sectors.
 */
export function crashed(
  initial: Uint8Array, log: readonly Step[], count: number, random: Random,
): Buffer {
  const done = log.slice(0, count);
  const synced = done.findLastIndex(({ what }) => what === 'sync');
  let image: Buffer = Buffer.from(initial);
  done.forEach((step, i) => {
    const fate = i <= synced ? 0 : random(3);
    if (fate === 0) image = applied(image, step);
    if (fate !== 2 || step.what !== 'write') return;
    for (let at = 0; at < step.bytes.length; at += 512) {
      if (random(2) === 0) continue;
      const part = step.bytes.subarray(at, at + 512);
      image = applied(image, { what: 'write', at: step.at + at, bytes: part });
    }
  });
  return image;
}
