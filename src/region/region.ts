/**
 * Creating and opening regions. `createRegion` and `openRegion` serve a program directly and keep
 * the durable state of the region's own file: it is marked unclean while it is open, so that the
 * next opener knows when it has to be rebuilt. `formatRegion` and `attachRegion` are the forms a
 * store builds on, which keeps that state itself.
 *
 * createRegion is the border where a region gets its random id and its date (STYLE rule 10).
 */
import { randomUUID } from 'node:crypto';
import { RegionError } from '../errors.ts';
import { crashOf } from '../files.ts';
import { HEADER, METHOD_START, PAGE, STATE } from '../layout.ts';
import { methodNamed } from '../methods/registry.ts';
import { heap } from '../disciplines/heap.ts';
import { best } from '../methods/best.ts';
import { type Readers, readOptions, text } from '../options.ts';
import { vacate } from '../tenants.ts';
import type { RegionEvents, RegionFlags } from '../events.ts';
import type { Address, Crash, Discipline, Method, Region } from '../types.ts';
import {
  decodeState,
  encodeState,
  extentProblem,
  type Header,
  headerError,
  type Identity,
  readHeader,
  segmentProblem,
  writeHeader,
} from './header.ts';
import { checkRegion } from './check.ts';
import { OpenRegion, type Ties } from './open-region.ts';
import { Space } from './space.ts';
import { events, FLAGS } from './watch.ts';

/** Flags are those of `configure`. */
export interface RegionOptions extends Partial<RegionFlags> {
  /** What messages call it; default: the discipline's name. */
  readonly name?: string;
  readonly on?: RegionEvents;
}

/** A region and what its store may do to it. */
export interface RegionHandle {
  readonly region: Region;
  /** It can be used: the handler `open` is called. */
  announce(how: 'created' | 'opened'): void;
  /** Before its store is closed: ERR_BUSY where its handler vetoes. */
  askToClose(): void;
  /** Other handlers for its events. */
  listen(on: RegionEvents): void;
  /** Its memory was reverted or loaded again: drops everything derived. */
  revive(): void;
  /** From now on every call throws `error`; the discipline is not touched, views stay harmless. */
  retire(error: RegionError): void;
  /** The store is about to close: regions in this one's memory are closed first. */
  vacate(error: RegionError): void;
  /** The store calls it by another name from now on. */
  rename(name: string): void;
}

/** Who a new region is. */
export interface NewRegion extends Omit<Identity, 'method'> {
  readonly capacity: number;
  readonly name: string;
}

/** A number that was read from memory, as an address. ERR_BAD_ADDRESS when it cannot be one. */
export function toAddress(n: number): Address {
  if (Number.isSafeInteger(n) && n >= 0) return n as Address;
  throw new RegionError('ERR_BAD_ADDRESS',
    `${String(n)} is not an address: give a whole number from 0 to 2^53`);
}

/**
 * A new region in the memory of a discipline. ERR_EXISTS when there are bytes already.
 *
 * @example const region = createRegion(mmap('notes.region'), best);
 */
export function createRegion(
  discipline: Discipline,
  method: Method,
  options?: RegionOptions,
): Region {
  const { name, ...wishes } = wishesFrom(options, discipline, 'createRegion');
  const regionId = randomUUID().replaceAll('-', '');
  const { capacity } = discipline;
  const identity = { regionId, storeId: '', createdAt: Date.now(), capacity, name };
  const sizes = openNew(discipline);
  return closingOnFailure(discipline, () => {
    const { space, id } = format(discipline, sizes, method, identity);
    if (discipline.durable) writeState(space, id, false);
    if (discipline.lend === undefined) discipline.sync();
    const region = new OpenRegion(name, id, space, tied(space, id, wishes));
    discipline.sharing?.publish();
    region.announce('created');
    return region;
  });
}

/**
 * The region that is in the memory of a discipline, with the method its header names. ERR_NOT_FOUND
 * when there is nothing, ERR_CORRUPT or ERR_VERSION when it is not a region this program can use;
 * it is then left as it was.
 */
export function openRegion(discipline: Discipline, options?: RegionOptions): Region {
  const { name, ...wishes } = wishesFrom(options, discipline, 'openRegion');
  const sizes = discipline.open();
  return closingOnFailure(discipline, () => {
    const { space, header } = attach(discipline, sizes, name, refuseStores(name));
    const id = header.regionId;
    let crash: Crash | null = null;
    if (discipline.durable) {
      if (!wasClosed(space, header)) crash = recover(space, header, name);
      else verifySegments(space, header, name);
      writeState(space, id, false);
      if (discipline.lend === undefined) discipline.sync();
    } else verifySegments(space, header, name);
    const region = new OpenRegion(name, id, space, tied(space, id, wishes));
    if (crash !== null) {
      const { busyBlocks, busyBytes } = region.stat();
      region.recovery = { crash, busyBlocks, busyBytes };
    }
    region.announce('opened');
    return region;
  });
}

/** A new region of a store. */
export function formatRegion(
  discipline: Discipline,
  method: Method,
  identity: NewRegion,
  on: RegionEvents = {},
): RegionHandle {
  const { space, id } = format(discipline, discipline.open(), method, identity);
  return handleOf(new OpenRegion(identity.name, id, space, untied(on)));
}

/** A region of a store. ERR_MISMATCH when it is not the one that is expected. */
export function attachRegion(
  discipline: Discipline,
  expected: { readonly regionId: string; readonly storeId: string } | null,
  name: string,
  on: RegionEvents = {},
): RegionHandle {
  const { space, header } = attach(discipline, discipline.open(), name, ({ regionId, storeId }) => {
    if (expected === null) return;
    if (regionId === expected.regionId && storeId === expected.storeId) return;
    throw new RegionError('ERR_MISMATCH',
      `region '${name}' is another region than expected (${regionId}, of store ` +
        `${storeId || 'none'}); put the right file in its place`);
  });
  verifySegments(space, header, name);
  return handleOf(new OpenRegion(name, header.regionId, space, untied(on)));
}

function handleOf(region: OpenRegion): RegionHandle {
  return {
    region,
    announce: (how) => region.announce(how),
    askToClose: () => region.askToClose(),
    listen: (on) => region.listen(on),
    revive: () => region.revive(),
    retire: (error) => region.retire(error),
    vacate: (error) => vacate(region, error),
    rename: (name) => {
      region.name = name;
    },
  };
}

/** A discipline that serves an open region is no place for a new one. */
function openNew(discipline: Discipline): readonly number[] {
  try {
    return discipline.open();
  } catch (error) {
    if (!(error instanceof RegionError && error.code === 'ERR_BUSY')) throw error;
    throw new RegionError('ERR_EXISTS', error.message, error);
  }
}

function closingOnFailure<T>(discipline: Discipline, work: () => T): T {
  try {
    return work();
  } catch (error) {
    discipline.close();
    throw error;
  }
}

/** Header and first segment in memory that holds nothing yet; the header's checksum comes last. */
function format(
  discipline: Discipline,
  sizes: readonly number[],
  method: Method,
  identity: NewRegion,
) {
  assertMethod(method);
  if (sizes.length > 0) {
    throw new RegionError('ERR_EXISTS',
      `there is something where region '${identity.name}' is to be created; openRegion() opens it`);
  }
  const id = identity.regionId;
  const first = Math.ceil(METHOD_START / discipline.round) * discipline.round;
  if (discipline.capacity < first || !discipline.resize(0, first)) {
    throw new RegionError('ERR_NO_SPACE',
      `a region needs at least ${first} bytes; give it a larger capacity`);
  }
  // Memory that threads share is blank, and its locks are there already.
  if (!discipline.sharing) discipline.window(0).fill(0, 0, METHOD_START);
  const space = new Space(discipline, method);
  const count = discipline.sharing?.shards ?? 1;
  while (space.parts.length < count && space.add(id) !== null);
  if (space.parts.length < count) {
    throw new RegionError('ERR_NO_SPACE',
      `no room to lay out a region of method '${method.name}'; give it a larger capacity`,
      space.refusal ?? undefined);
  }
  const pages = space.parts.map(({ index }) => space.pages(index));
  writeHeader(discipline.window(0).subarray(0, PAGE), { ...identity, method: method.name });
  pages.forEach((held, index) => space.setPages(index, held));
  return { space, id };
}

/** A region's own file, opened without its store, would no longer match what the store knows. */
function refuseStores(name: string): (header: Header) => void {
  return ({ storeId }) => {
    if (storeId === '') return;
    throw new RegionError('ERR_MISMATCH',
      `region '${name}' belongs to store ${storeId}; open that store, or export from it`);
  };
}

/** `admit` sees the header before anything is changed, and may throw. */
function attach(
  discipline: Discipline,
  sizes: readonly number[],
  name: string,
  admit: (header: Header) => void,
) {
  if (sizes.length === 0) {
    throw new RegionError('ERR_NOT_FOUND',
      `there is no region '${name}' here; createRegion() makes one`);
  }
  const what = `region '${name}'`;
  if (sizes[0] < METHOD_START) throw truncated(what, 0, METHOD_START, sizes[0]);
  const header = readHeader(discipline.window(0).subarray(0, PAGE));
  if ('problem' in header) throw headerError(header, what);
  admit(header);
  const problem = extentProblem(header, discipline.slotBytes);
  if (problem !== null) throw headerError(problem, what);
  header.segmentPages.forEach((pages, i) => {
    const held = sizes[i] ?? 0;
    if (held < pages * PAGE) throw truncated(what, i, pages * PAGE, held);
  });
  const method = methodNamed(header.method);
  const space = new Space(discipline, method);
  const extent = header.segmentPages.length - 1;
  if (header.segmentPages[extent] * PAGE > space.limit(extent)) {
    throw new RegionError('ERR_BAD_OPTION',
      `${what} is larger than the capacity of ${discipline.capacity} bytes; give a larger one`);
  }
  space.attach();
  setCapacity(discipline, header);
  giveBackTails(discipline, header, sizes);
  return { space, header };
}

/** The discipline decides how far it may grow from now on. */
function setCapacity(discipline: Discipline, header: Header): void {
  if (discipline.capacity === header.capacity) return;
  const { buffer, byteOffset } = discipline.window(0);
  new Float64Array(buffer, byteOffset + HEADER.capacity, 1)[0] = discipline.capacity;
}

/** Memory beyond the extent is growth that a crash left unused. */
function giveBackTails(discipline: Discipline, header: Header, sizes: readonly number[]): void {
  for (let i = sizes.length - 1; i >= 0; i--) {
    const used = (header.segmentPages[i] ?? 0) * PAGE;
    if (sizes[i] > used) discipline.resize(i, used);
  }
}

function verifySegments(space: Space, header: Header, name: string): void {
  for (const { index, window } of space.parts) {
    if (index === 0) continue;
    const problem = segmentProblem(window.subarray(0, PAGE), header.regionId, index);
    if (problem === null) continue;
    throw new RegionError('ERR_CORRUPT',
      `region '${name}', segment ${index}: ${problem}; restore it from a backup`);
  }
}

/** Was it closed in order, with everything on disk? */
function wasClosed(space: Space, header: Header): boolean {
  const bytes = space.discipline.window(0).subarray(STATE.at, STATE.at + STATE.bytes);
  const state = decodeState(bytes);
  return state?.clean === true && state.regionId === header.regionId;
}

/**
 * After a crash. When only the process died, memory is as it left it and the free structures are
 * derived again; when the machine did, or that is not known, pages may be of different times: the
 * same derivation, and everything must then check, or the region is refused.
 */
function recover(space: Space, header: Header, name: string): Crash {
  const last = space.parts[space.parts.length - 1];
  const page = last.window.subarray(0, PAGE);
  if (last.index > 0 && page.every((byte) => byte === 0)) space.drop();
  verifySegments(space, header, name);
  const isRebuilt = space.parts.every((part) => part.blocks.rebuild());
  const findings = isRebuilt ? checkRegion(space, header.regionId) : [];
  const broken = findings.filter(({ id, byProgram }) => id !== 'R8' && byProgram !== true);
  if (isRebuilt && broken.length === 0) return crashBefore(space);
  const where = broken.slice(0, 3).map((f) => `${f.id} at ${f.address}: ${f.detail}`).join('; ');
  throw new RegionError('ERR_CORRUPT',
    `region '${name}' was not closed and does not hold together ` +
      `(${where || 'its blocks overlap'}); restore it from a backup`);
}

/** How it ended, by the boot it was opened in; before the state says that it is open again. */
function crashBefore({ discipline }: Space): Crash {
  const bytes = discipline.window(0).subarray(STATE.at, STATE.at + STATE.bytes);
  return crashOf(decodeState(bytes)?.bootId ?? '', discipline.bootId ?? '');
}

/** Writes the durable state into the region's own memory. */
function writeState(space: Space, regionId: string, clean: boolean): void {
  const { discipline } = space;
  const segmentPages = space.parts.map((part) => space.pages(part.index));
  const state = { sequence: 0, clean, regionId, bootId: discipline.bootId ?? '', segmentPages };
  discipline.window(0).set(encodeState(state), STATE.at);
}

type Wishes = Pick<Ties, 'on' | 'flags'>;

/** Before a direct region is closed: data first, then the mark that says so. */
function tied(space: Space, id: string, wishes: Wishes): Ties {
  const beforeClose = () => {
    const { discipline } = space;
    if (!discipline.durable) return;
    // Memory inside another region becomes durable with that one.
    const isOwn = discipline.lend === undefined;
    if (isOwn) discipline.sync();
    writeState(space, id, true);
    if (isOwn) discipline.sync();
  };
  return { ...untied(wishes.on), ...wishes, beforeClose };
}

/** A region of a store, which keeps the durable state itself. */
function untied(on: RegionEvents): Ties {
  const scratch = (method: Method) => createRegion(heap(), method, { name: 'scratch' });
  return { beforeClose: () => {}, scratch, on, flags: {} };
}

function assertMethod(method: Method): void {
  const { name } = method;
  if (/^[\x21-\x7e]{1,24}$/.test(name) && name.length <= HEADER.methodBytes) return;
  throw new RegionError('ERR_BAD_OPTION',
    `'${name}' cannot name a method: give 1 to ${HEADER.methodBytes} visible ASCII characters`);
}

const OPTIONS: Readers<RegionOptions> = { name: text, on: events, ...FLAGS };

function wishesFrom(
  options: RegionOptions | undefined, discipline: Discipline, where: string,
): Wishes & { readonly name: string } {
  const { name, on, ...flags } = readOptions<RegionOptions>(options, OPTIONS, where);
  return { name: name ?? discipline.name, on: on ?? {}, flags };
}

/**
 * A throwaway region in memory of its own, which is gone when it is closed. Vmalloc's vmgetmem.
 *
 * @example using work = scratch(); const block = work.alloc(100);
 */
export function scratch(method: Method = best): Region {
  return createRegion(heap(), method, { name: 'scratch' });
}

function truncated(what: string, segment: number, needed: number, held: number): RegionError {
  return new RegionError('ERR_CORRUPT',
    `${what} was cut off: segment ${segment} needs ${needed} bytes, ${held} are there; restore ` +
      'it from a backup; it was not changed');
}
