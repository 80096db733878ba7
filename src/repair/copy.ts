/** The copy of one region or ring, put in order: a file by itself, which a store can adopt. */
import { closeSync, rmSync, statSync, truncateSync } from 'node:fs';
import { openRing } from '../buffers/ring.ts';
import { readRingHeader, rewriteIdentity } from '../buffers/ring-file.ts';
import { file } from '../disciplines/file.ts';
import { mmap } from '../disciplines/mmap.ts';
import { storedCapacity } from '../disciplines/stored-capacity.ts';
import type { RegionError } from '../errors.ts';
import { openRegular, readBootId } from '../files.ts';
import { MAX_SEGMENTS, SLOT_BYTES } from '../layout.ts';
import { RING_START } from '../layout-ring.ts';
import { loadShim } from '../native/load.ts';
import { attachRegion } from '../region/region.ts';
import type { Discipline } from '../types.ts';
import { mendFront } from './front.ts';
import type { Source } from './origins.ts';
import { kindIn, type MendedRegion, mendRegion } from './region.ts';

export interface RepairedRegion extends MendedRegion {
  readonly name: string;
  readonly kind: string;
  /** `partly` = mended, and something of it is lost or in doubt. */
  readonly state: 'sound' | 'mended' | 'partly';
}

const UNTOUCHED: MendedRegion = { findings: [], changes: [], losses: [], lossCount: 0,
  suspects: [] };

/**
 * Copies a region to a new file and puts that in order. What is made again needs room beside what
 * was there: where the region is full, another copy has twice its capacity.
 */
export function mendCopy(path: string, source: Source): RepairedRegion {
  for (let times = 1; ; times *= 2) {
    try {
      return mendFile(path, source, source.copyTo(path), times);
    } catch (error) {
      // A full disk is the cause of such an error, a full region is not.
      const { code, cause } = error as RegionError;
      if (code !== 'ERR_NO_SPACE' || cause !== undefined || times === MOST_TIMES) throw error;
      rmSync(path);
    }
  }
}

const MOST_TIMES = 8;

function mendFile(
  path: string, { name, kind, known }: Source, bad: readonly number[], times: number,
): RepairedRegion {
  const fd = openRegular(path);
  const damage: string[] = [];
  let capacity: number;
  try {
    damage.push(...mendFront(fd, known, { storeId: '', sequence: 0 }));
    capacity = Math.min(storedCapacity(fd) * times, MAX_SEGMENTS * SLOT_BYTES);
  } finally {
    closeSync(fd);
  }
  if (times > 1) damage.push(`it was full: its capacity is ${capacity} bytes now`);
  const discipline = plainFile(path, capacity);
  try {
    const handle = attachRegion(discipline, null, name);
    const found = kind ?? kindIn(handle.region);
    const done = mendRegion(handle, found, bad);
    discipline.sync();
    const changes = [...damage, ...done.changes];
    return { ...done, changes, name, kind: found, state: stateOf({ ...done, changes }) };
  } finally {
    discipline.close();
  }
}

/** The file of a region that is closed. */
export function plainFile(path: string, capacity: number): Discipline {
  return loadShim() === null ? file(path, { capacity }) : mmap(path, { create: false, capacity });
}

function stateOf({ findings, changes, lossCount, suspects }: MendedRegion):
    RepairedRegion['state'] {
  if (lossCount > 0 || suspects.length > 0) return 'partly';
  return findings.length + changes.length === 0 ? 'sound' : 'mended';
}

/** Copies a ring and puts the copy in order: the records say where they belong. */
export function mendRing(path: string, { name, known, copyTo }: Source): RepairedRegion {
  copyTo(path);
  const changes: string[] = [];
  const boot = readBootId();
  let storeId = '';
  try {
    const identity = readRingHeader(path);
    ({ storeId } = identity);
    const missing = RING_START + identity.size - statSync(path).size;
    if (missing > 0) {
      truncateSync(path, RING_START + identity.size);
      changes.push(`its file was cut short by ${missing} bytes`);
    }
  } catch (error) {
    if ((error as RegionError).code === 'ERR_VERSION') throw error;
    changes.push('its header was damaged');
    const size = Math.floor((statSync(path).size - RING_START) / RING_START) * RING_START;
    storeId = '0'.repeat(32);
    const fd = openRegular(path);
    try {
      rewriteIdentity(fd, { size, ringId: known?.id ?? storeId, storeId, createdAt: 0 });
    } finally {
      closeSync(fd);
    }
  }
  const ties = { name: () => name, shim: loadShim(), boot, now: Date.now };
  const asFound = openRing(path, storeId, { ...ties, readOnly: true });
  const findings = asFound.check();
  asFound.close();
  // Whoever opens it to write looks for its records where it says nothing that can be.
  const ring = openRing(path, storeId, { ...ties, readOnly: false });
  try {
    ring.check();
    const { damaged } = ring;
    if (findings.some(({ id }) => id === 'G1')) changes.push('its positions were damaged');
    const losses = damaged === 0 ? []
      : [{ address: 0, detail: `${damaged} records are damaged or missing` }];
    const done = { ...UNTOUCHED, findings, changes, losses, lossCount: damaged };
    return { ...done, name, kind: 'ring', state: stateOf(done) };
  } finally {
    ring.close();
  }
}
