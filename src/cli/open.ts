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
import { assert, RegionError } from '../errors.ts';
import { attachRegion, openRegion } from '../region/region.ts';
import { systemError } from '../files.ts';
import { openStore, regionIn, type Store } from '../store/store.ts';
import type { Region } from '../types.ts';
import { privateFile, writableFile } from './direct-file.ts';
import { someOf } from './table.ts';

export interface Access {
  readonly mode: 'read' | 'write';
  /** Writing: use a file system whose locks and syncs are not known to hold. */
  readonly unsafeFileSystem?: boolean;
  /** What the verb wants of a store; a region by itself, which has none, is refused unopened. */
  readonly ofStore?: string;
}

/** A region that a verb is about. */
export interface Subject {
  readonly name: string;
  readonly kind: string;
  readonly region: Region;
}

/** What DIR names, opened. */
export interface Target {
  readonly type: 'store' | 'region';
  /** Absolute path of the store directory or the region file. */
  readonly path: string;
  /** null for a region by itself. */
  readonly store: Store | null;
  /** How many regions `subjects()` yields. */
  count(names?: readonly string[]): number;
  /** All regions, or those named, opened one by one. ERR_NOT_FOUND before the first. */
  subjects(names?: readonly string[]): Iterable<Subject>;
  /** `isDone` false = the verb failed: nothing it changed is kept. */
  close(isDone: boolean): void;
}

interface Place {
  readonly type: 'store' | 'region';
  readonly path: string;
  /** The region DIR itself names. */
  readonly regionId: string | null;
}

const STORED = /^([0-9a-f]{32})\.region$/;

export function openTarget(given: string, access: Access): Target {
  const place = placeOf(given);
  if (place.type === 'store') return openInStore(place, access);
  if (access.ofStore === undefined) return openAlone(place.path, access);
  throw new RegionError('ERR_BAD_OPTION',
    `${place.path} is not a store, so it has no ${access.ofStore}; give the directory of a store`);
}

/** The store of a target that was opened with `ofStore`. */
export function storeOf(target: Target): Store {
  assert(target.store !== null, 'a target that is a store');
  return target.store;
}

function placeOf(given: string): Place {
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

function openInStore({ path, regionId }: Place, access: Access): Target {
  const isReading = access.mode === 'read';
  const unsafeFileSystem = isReading || access.unsafeFileSystem === true;
  const store = openStore(path, { create: false, readOnly: isReading, unsafeFileSystem });
  try {
    const own = regionId === null ? null : nameOfId(store, regionId);
    return storeTarget(store, own);
  } catch (error) {
    store.abandon();
    throw error;
  }
}

function storeTarget(store: Store, own: string | null): Target {
  const all = own === null ? store.regions().map(({ name }) => name) : [own];
  const chosen = (names: readonly string[]) => names.length === 0 ? all : known(all, names, store);
  return {
    type: 'store',
    path: store.dir,
    store,
    count: (names = []) => chosen(names).length,
    *subjects(names = []) {
      const kinds = new Map(store.regions().map(({ name, kind }) => [name, kind]));
      for (const name of chosen(names)) {
        yield { name, kind: kinds.get(name) ?? 'region', region: regionIn(store, name) };
      }
    },
    close(isDone) {
      if (isDone) store.close();
      else store.abandon();
    },
  };
}

function nameOfId(store: Store, id: string): string {
  const found = store.regions().find((region) => region.id === id);
  if (found !== undefined) return found.name;
  throw new RegionError('ERR_NOT_FOUND',
    `${id}.region is not, or no longer, a region of the store ${store.dir}`);
}

function known(
  all: readonly string[], names: readonly string[], store: Store | null,
): readonly string[] {
  const missing = names.find((name) => !all.includes(name));
  if (missing === undefined) return [...new Set(names)];
  const where = store === null ? 'in this file' : `in ${store.dir}`;
  const there = all.length === 0 ? 'there is none' : `there is ${someOf(all)}`;
  throw new RegionError('ERR_NOT_FOUND',
    `there is no region '${missing}' ${where}; ${there}`);
}

function openAlone(path: string, access: Access): Target {
  const name = basename(path);
  const region = access.mode === 'read'
    ? openRegion(privateFile(path), { name })
    : openRegion(writableFile(path), { name });
  return regionTarget(path, { name, kind: 'region', region });
}

/**
 * A region file as it stands, not put in order first: for a check of one that `openTarget` refuses.
 * Nothing but checking and closing it is safe.
 */
export function openAsFound(given: string): Target {
  const { path } = placeOf(given);
  const discipline = privateFile(path);
  const name = basename(path);
  try {
    const { region } = attachRegion(discipline, null, name);
    return regionTarget(path, { name, kind: 'region', region });
  } catch (error) {
    discipline.close();
    throw error;
  }
}

function regionTarget(path: string, subject: Subject): Target {
  const chosen = (names: readonly string[]) => known([subject.name], names, null);
  return {
    type: 'region',
    path,
    store: null,
    count: () => 1,
    *subjects(names = []) {
      chosen(names);
      yield subject;
    },
    close: () => subject.region.close(),
  };
}
