/**
 * What DIR means. A directory is a store; a file `regions/<id>.region` of a store is that store
 * with the one region; any other region file is a region by itself. Anything else is refused before
 * it is opened, so that a verb never creates, locks or waits for what is none.
 *
 * Reading opens change nothing: a store is opened read-only, its pending images shown over it; a
 * single file is looked at through private memory.
 */
import { existsSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { RegionError } from '../errors.ts';
import { systemError } from '../files.ts';
import type { Access, Target } from './target.ts';

interface Place {
  readonly type: 'store' | 'region';
  readonly path: string;
  /** The region DIR itself names. */
  readonly regionId: string | null;
}

const STORED = /^([0-9a-f]{32})\.region$/;

/** What opens a store is only loaded for a store, and nothing for what is refused. */
export async function openTarget(given: string, access: Access): Promise<Target> {
  const { type, path, regionId } = placeOf(given);
  if (type === 'store') {
    const { openInStore } = await import('./open-store.ts');
    return openInStore(path, regionId, access);
  }
  if (access.ofStore === undefined) {
    const { openAlone } = await import('./open-region.ts');
    return openAlone(path, access);
  }
  throw new RegionError('ERR_BAD_OPTION',
    `${path} is not a store, so it has no ${access.ofStore}; give the directory of a store`);
}

/** A region file as it stands, for a check of one that `openTarget` refuses. */
export async function openAsFound(given: string): Promise<Target> {
  const { path } = placeOf(given);
  const { openAsItStands } = await import('./open-region.ts');
  return openAsItStands(path);
}

export function placeOf(given: string): Place {
  let path: string;
  try {
    path = realpathSync(given);
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    if (!isMissing) throw systemError(`looking for ${given}`, error);
    throw new RegionError('ERR_NOT_FOUND',
      `there is no ${given}; give the directory of a store, or a region file`);
  }
  const stats = statSync(path);
  if (stats.isDirectory()) return { type: 'store', path, regionId: null };
  if (!stats.isFile()) {
    throw new RegionError('ERR_BAD_OPTION',
      `${path} is neither a directory nor a regular file; ` +
        'give the directory of a store, or a region file');
  }
  const store = dirname(dirname(path));
  const id = STORED.exec(basename(path))?.[1];
  const isStored = id !== undefined && basename(dirname(path)) === 'regions'
    && existsSync(join(store, 'catalog.db'));
  if (isStored) return { type: 'store', path: store, regionId: id };
  return { type: 'region', path, regionId: null };
}
