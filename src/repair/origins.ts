/**
 * Where a repair gets regions from, in the best way there still is: from the store, opened for
 * reading, where it opens; from a copy of it in which damaged files were put in order, where that
 * opens; from the files one by one, where the catalog is lost. What is found is only copied.
 */
import { closeSync, constants, existsSync, fstatSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { RegionError } from '../errors.ts';
import { copyRange, namesIn, openRegular, readWhole, systemError } from '../files.ts';
import { METHOD_START, PAGE, STATE } from '../layout.ts';
import { loadShim } from '../native/load.ts';
import { crc32c } from '../native/crc32c.ts';
import { decodeState, readHeader } from '../region/header.ts';
import type { Store } from '../store/api.ts';
import { Catalog, type RegionRow } from '../store/catalog.ts';
import { type RowLeft, rowsLeft } from '../store/catalog-remains.ts';
import type { Entry, StoreCore } from '../store/core.ts';
import { isRegionName, openRegionFile } from '../store/recover.ts';
import { bytesInUse, copyRegion, endOf } from '../store/region-copy.ts';
import { coreOf, openStore } from '../store/store.ts';
import { Sums } from '../store/sums.ts';
import { tellWork } from '../work.ts';
import { type Known, mendFront } from './front.ts';

/** A region or ring that is there, in whatever state. */
export interface Source {
  readonly name: string;
  /** As the catalog says; null = nothing says it. */
  readonly kind: string | null;
  readonly known: Known | null;
  /** Copies it to a new file; the pages of that which do not match their checksums. */
  copyTo(path: string): number[];
}

/** What cannot be had of a store. */
export interface Lost {
  readonly name: string;
  readonly why: string;
  /** What there is of it, as it is; null = nothing. */
  readonly file: string | null;
}

export interface Origin {
  readonly sources: readonly Source[];
  /** What is damaged in the store itself. */
  readonly damage: readonly string[];
  readonly lost: readonly Lost[];
  /** The store, where it opens as it is. */
  readonly store: Store | null;
  close(): void;
}

const STORE_FILE = /^([0-9a-f]{32})\.(region|ring)$/;

/** `work` = an empty directory for copies. ERR_NOT_FOUND, ERR_LOCKED, ERR_VERSION. */
export function originOf(dir: string, work: string): Origin {
  try {
    return ofStore(dir, [], [], true);
  } catch (error) {
    // A wrong byte may look like a later version.
    if (!isDamage(error) && (error as RegionError).code !== 'ERR_VERSION') throw error;
    // What is looked at is a copy of the catalog, which nobody knows of.
    const damage = [(error as Error).message.replace(/readers\/[0-9a-f]+\//, '')];
    return ofMendedCopy(dir, work, damage) ?? ofFiles(dir, work, damage);
  }
}

/** Can something be done about it here? */
function isDamage(error: unknown): boolean {
  const { code } = error as { code?: string };
  return code === 'ERR_CORRUPT' || code === 'ERR_MISMATCH' || code === 'ERR_IO';
}

function ofStore(
  dir: string, damage: readonly string[], lost: readonly Lost[], isItself: boolean,
): Origin {
  const store = openStore(dir, { create: false, readOnly: true, unsafeFileSystem: true });
  const core = coreOf(store);
  try {
    const sources = [...core.current.values()].map((entry) => {
      if (entry.kind !== 'ring' && entry.file === null) openRegionFile(core, entry);
      return sourceIn(core, entry);
    });
    return { sources, damage, lost, store: isItself ? store : null, close: () => store.close() };
  } catch (error) {
    store.abandon();
    throw error;
  }
}

function sourceIn(core: StoreCore, entry: Entry): Source {
  const { id, name, kind, method, capacity } = entry;
  return {
    name, kind, known: { id, method, capacity },
    copyTo(path) {
      if (kind === 'ring') {
        copyFile(core.ringPath(id), path);
        return [];
      }
      const file = entry.file ?? openRegionFile(core, entry);
      copyRegion(file, path, { storeId: core.id, shim: loadShim(), crc: core.mapper.crc,
        onPiece: toldOf(bytesInUse(file.committedPages)) });
      rmSync(path.replace(/\.region$/, '.sums'), { force: true });
      return [...file.mismatches()];
    },
  };
}

/** Says how far a copy of so many bytes is. */
function toldOf(all: number): (bytes: number) => void {
  let done = 0;
  return (bytes) => {
    done += bytes;
    tellWork('copying', done, all);
  };
}

/** A copy, shared where the file system can; holes stay. */
export function copyFile(from: string, to: string): void {
  const source = openRegular(from, 0, true);
  try {
    const made = openRegular(to, constants.O_CREAT | constants.O_EXCL);
    try {
      if (loadShim()?.clone(source, made) !== true) {
        const { size } = fstatSync(source);
        copyRange(source, made, 0, size, toldOf(size));
      }
    } finally {
      closeSync(made);
    }
  } catch (error) {
    throw systemError(`copying ${from}`, error);
  } finally {
    closeSync(source);
  }
}

/** null = its catalog cannot be used, or the copy does not open either. */
function ofMendedCopy(dir: string, work: string, damage: string[]): Origin | null {
  const copy = join(work, 'store');
  if (!existsSync(join(dir, 'catalog.db'))) return null;
  copyStore(dir, copy);
  const lost: Lost[] = [];
  const before = damage.length;
  try {
    mendFiles(dir, copy, damage, lost);
    return opened(copy, damage, lost);
  } catch (error) {
    if (!isDamage(error)) throw error;
    damage.splice(before);
    rmSync(copy, { recursive: true, force: true });
    return null;
  }
}

function copyStore(dir: string, copy: string): void {
  for (const name of ['', 'regions', 'images']) mkdirSync(join(copy, name), { recursive: true });
  const names = ['catalog.db', 'catalog.db-wal',
    ...['regions', 'images'].flatMap((folder) => !existsSync(join(dir, folder)) ? []
      : namesIn(join(dir, folder)).map((name) => join(folder, name)))];
  for (const name of names) if (existsSync(join(dir, name))) {
    copyFile(join(dir, name), join(copy, name));
  }
}

/** With what waits in images, or, where that is damaged, without. */
function opened(copy: string, damage: string[], lost: Lost[]): Origin {
  try {
    return ofStore(copy, damage, lost, false);
  } catch (error) {
    if (!isDamage(error)) throw error;
    const catalog = Catalog.open(join(copy, 'catalog.db'), 'off', crc32c, null);
    try {
      const { newest } = catalog;
      const waiting = catalog.pending(catalog.applied);
      catalog.settle({ applied: newest, lowWater: newest, regions: [], keep: 1 });
      catalog.changeHistory((tables) => tables.cut(newest + 1));
      const why = 'what they changed was not in the files yet, and cannot be read';
      if (waiting.length === 0) damage.push('the way back to earlier checkpoints is lost');
      for (const one of waiting) {
        lost.push({ name: `images of checkpoint ${one}`, why, file: null });
      }
    } finally {
      catalog.close();
    }
    return ofStore(copy, damage, lost, false);
  }
}

/** Every file is what the catalog says, or its row goes. */
function mendFiles(dir: string, copy: string, damage: string[], lost: Lost[]): void {
  const catalog = Catalog.open(join(copy, 'catalog.db'), 'off', crc32c, null);
  try {
    const rows = catalog.regions();
    const gone: string[] = [];
    for (const row of rows) {
      const why = whyLost(row, copy, catalog, damage);
      if (why === null) continue;
      gone.push(row.id);
      const file = join(dir, 'regions', fileOf(row));
      if (row.dropped === null) {
        lost.push({ name: row.name, why, file: existsSync(file) ? file : null });
      }
      rmSync(join(copy, 'regions', fileOf(row)), { force: true });
    }
    catalog.forgetRegions(gone);
    setAside(dir, copy, rows, damage, lost);
  } finally {
    catalog.close();
  }
}

function fileOf({ id, kind }: Pick<RegionRow, 'id' | 'kind'>): string {
  return `${id}.${kind === 'ring' ? 'ring' : 'region'}`;
}

/** null = its file is in order now. */
function whyLost(
  row: RegionRow, copy: string, catalog: Catalog, damage: string[],
): string | null {
  const path = join(copy, 'regions', fileOf(row));
  if (!isRegionName(row.name)) return 'its row in the catalog is damaged';
  if (!existsSync(path)) return row.dropped === null ? 'its file is missing' : 'dropped';
  if (row.kind === 'ring') return null;
  const fd = openRegular(path);
  try {
    const found = sequenceIn(fd, row, catalog.id);
    if (found !== null && found >= row.sequence && found <= catalog.newest) return null;
    const sequence = Math.min(catalog.newest, Math.max(row.sequence, found ?? 0));
    const lines = mendFront(fd, row, { storeId: catalog.id, sequence });
    if (found !== null) {
      lines.push(`its file is of checkpoint ${found}, the catalog of ${row.sequence} to ` +
        `${catalog.newest}`);
    }
    damage.push(...lines.map((line) => `'${row.name}': ${line}`));
    return null;
  } catch (error) {
    if (!(error instanceof RegionError) || error.code === 'ERR_VERSION') throw error;
    return error.message;
  } finally {
    closeSync(fd);
  }
}

/** The checkpoint of a file whose front is sound; null = it is not. */
function sequenceIn(fd: number, { id, method }: RegionRow, storeId: string): number | null {
  const front = new Uint8Array(METHOD_START);
  readWhole(fd, front, 0);
  const header = readHeader(front);
  const state = decodeState(front.subarray(STATE.at, STATE.at + STATE.bytes));
  if ('problem' in header || state === null) return null;
  const isIt = header.regionId === id && header.storeId === storeId && header.method === method;
  return isIt && fstatSync(fd).size >= endOf(state.segmentPages) ? state.sequence : null;
}

/** Files that no row names: another store's, or of a newer catalog. */
function setAside(
  dir: string, copy: string, rows: readonly RegionRow[], damage: string[], lost: Lost[],
): void {
  for (const name of namesIn(join(copy, 'regions'))) {
    const id = STORE_FILE.exec(name)?.[1];
    if (id === undefined || rows.some((row) => row.id === id)) continue;
    rmSync(join(copy, 'regions', name));
    damage.push(`regions/${name} is in no row of the catalog`);
    lost.push({ name, why: 'the catalog does not know it; adopt takes it into a store',
      file: join(dir, 'regions', name) });
  }
}

/** Without a catalog: every file that says what it is. */
function ofFiles(dir: string, work: string, damage: string[]): Origin {
  const names = rowsIn(dir, work);
  const folder = join(dir, 'regions');
  const sources: Source[] = [];
  for (const name of existsSync(folder) ? namesIn(folder) : []) {
    const [, id, kind] = STORE_FILE.exec(name) ?? [];
    if (id === undefined) continue;
    const row = names.get(id);
    if (row?.isDropped === true) continue;
    const path = join(folder, name);
    const isRing = kind === 'ring';
    sources.push({
      name: row?.name ?? `${isRing ? 'ring' : 'region'}-${id.slice(0, 8)}`,
      kind: isRing ? 'ring' : row?.kind ?? null,
      known: row ?? null,
      copyTo: (to) => copyRaw(path, to, isRing),
    });
  }
  const images = join(dir, 'images');
  const isWaiting = existsSync(images) && namesIn(images).length > 0;
  damage.push(names.size > 0 ? 'names are those that could still be read in the catalog'
    : 'without a catalog nobody knows the names: regions are called after their files');
  if (isWaiting) damage.push('what waited in images to be written to the files is not in them');
  return { sources, damage, lost: [], store: null, close: () => {} };
}

function copyRaw(path: string, to: string, isRing: boolean): number[] {
  copyFile(path, to);
  if (isRing) return [];
  const fd = openRegular(path, 0, true);
  try {
    const pages = fstatSync(fd).size / PAGE;
    return [...new Sums(path, crc32c).mismatches(fd, (page) => page < pages)];
  } finally {
    closeSync(fd);
  }
}

/** Rows of a damaged catalog; SQLite writes beside a database even to read it, so of a copy. */
function rowsIn(dir: string, work: string): Map<string, RowLeft> {
  if (!existsSync(join(dir, 'catalog.db'))) return new Map();
  const path = join(work, 'catalog.db');
  for (const end of ['', '-wal']) {
    const file = join(dir, `catalog.db${end}`);
    if (existsSync(file)) copyFile(file, `${path}${end}`);
  }
  return rowsLeft(path);
}

/**
 * Keeps what cannot be mended, as it is, with the checksums beside it; returns the name it got,
 * which is that of nothing else.
 */
export function quarantine(from: string, folder: string, wanted: string): string {
  mkdirSync(folder, { recursive: true });
  const [, end] = /(\.\w+)$/.exec(from) as RegExpExecArray;
  let name = `${wanted}${end}`;
  for (let i = 2; existsSync(join(folder, name)); i++) name = `${wanted}-${i}${end}`;
  copyFile(from, join(folder, name));
  const sums = from.replace(/\.region$/, '.sums');
  if (sums !== from && existsSync(sums)) {
    copyFile(sums, join(folder, name.replace(/\.region$/, '.sums')));
  }
  return name;
}
