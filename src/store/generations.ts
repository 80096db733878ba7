/**
 * Generations of a region's file. Where readers hold a file back and much is waiting for it, the
 * writer goes on in a new file: a copy with everything that waited, which takes the old one's name.
 * Readers keep the old one until they let go of it. Each step leaves two whole files or one.
 */
import { closeSync, constants, existsSync, ftruncateSync, renameSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { copyRange, openRegular, syncDirectory, syncFile, writeWhole } from '../files.ts';
import { PAGE, STATE } from '../layout.ts';
import { loadShim } from '../native/load.ts';
import type { StoreCore } from './core.ts';
import type { RegionFile } from './region-file.ts';

export function beginGeneration(core: StoreCore, file: RegionFile): void {
  const temporary = file.path.replace(/\.region$/, '.tmp');
  if (existsSync(temporary)) unlinkSync(temporary);
  forgetGone(core);
  const fd = openRegular(temporary, constants.O_CREAT | constants.O_EXCL);
  try {
    const shim = core.mapper.name === 'shim' ? loadShim() : null;
    if (shim?.clone(file.fd, fd) !== true) copyRange(file.fd, fd, 0, file.length.bytes);
    ftruncateSync(fd, file.length.bytes);
    for (const [page, image] of file.overlay) writeWhole(fd, image, page * PAGE);
    writeWhole(fd, file.state(), STATE.at);
    if (core.durable) syncFile(fd);
    file.sums.renew(core.durable);
    renameSync(temporary, file.path);
    if (core.durable) syncDirectory(dirname(file.path));
  } catch (error) {
    closeSync(fd);
    if (existsSync(temporary)) unlinkSync(temporary);
    throw error;
  }
  core.left.set(file.inode, file.length.bytes);
  file.moveTo(fd);
  file.overlay.clear();
  file.touched = false;
}

/** Bytes of disk that readers keep, in files that have no name any more. */
export function heldBytes(core: StoreCore): number {
  forgetGone(core);
  return [...core.left.values()].reduce((n, bytes) => n + bytes, 0);
}

function forgetGone({ left, pins }: StoreCore): void {
  const held = new Set(pins.live.flatMap(({ files }) => Object.values(files ?? {})));
  for (const inode of left.keys()) if (!held.has(inode)) left.delete(inode);
}
