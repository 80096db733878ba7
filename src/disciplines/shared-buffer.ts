/**
 * shared: a region in a SharedArrayBuffer, which several worker threads use at once. The buffer is
 * divided into shards, a power of two apart; each is a segment of the region with a lock of its
 * own, so that threads allocate and free side by side. What is where is said in the buffer itself:
 * an opener brings nothing but the buffer.
 *
 * Order of writes when a region is made: the magic number, by an exchange that only one thread
 * wins; the words about the buffer; who makes it; the region; `isReady` last. Openers wait for it.
 */
import { availableParallelism } from 'node:os';
import { RegionError } from '../errors.ts';
import { MAGIC, MAX_SHARDS, METHOD_START, PAGE, SHARED, SHARED_MAGIC } from '../layout.ts';
import { count, readOptions, size } from '../options.ts';
import type { Discipline } from '../types.ts';
import { type Division, divisionIn, ThreadLocks } from './thread-locks.ts';
import { ThreadTable } from './thread-table.ts';

const DEFAULT_CAPACITY = 2 ** 28;
/** Node 20 has no longer buffers, and 32-bit words reach no farther. */
const MOST = 2 ** 32;
const LEAST = METHOD_START + PAGE;
/** Shards of less than this are not worth a lock. */
const LEAST_SHARD = 2 ** 20;
const MOST_SHARDS = 16;
/** Growth step of large and of small shards. */
const ROUND = 64 * 1024;
/** An opener looks so often whether the maker is alive, and gives up after so many looks. */
const LOOK_MS = 4;
const LOOKS = 7500;
const BLANK_BYTES = 64 * 1024;

export interface SharedOptions {
  /** Bytes of the new buffer, or a string like '1GiB'; default 256 MiB, at most 4 GiB. */
  readonly capacity?: number | string;
  /**
   * Parts with a lock of their own, at most: a power of two up to 32. A block is smaller than a
   * part. Default: as many as the machine has processors, up to 16, of 1 MiB or more.
   */
  readonly shards?: number;
}

/** A discipline whose memory other threads can be given. */
export interface SharedDiscipline extends Discipline {
  /** To be posted to other threads, which give it to `shared()`. */
  readonly buffer: SharedArrayBuffer;
}

/**
 * Memory that the worker threads of a process use at once. One thread creates the region, the
 * others open it: `openRegion(shared(buffer))`. Without a buffer it makes one. ERR_BAD_OPTION for
 * what is no buffer, or too small.
 *
 * @example
 * const memory = shared({ capacity: '64MiB' });
 * const region = createRegion(memory, best);
 * new Worker(script, { workerData: memory.buffer });  // there: openRegion(shared(workerData))
 */
export function shared(options?: SharedOptions): SharedDiscipline;
export function shared(
  buffer: SharedArrayBuffer | undefined, options?: SharedOptions,
): SharedDiscipline;
export function shared(
  given?: SharedArrayBuffer | SharedOptions, more?: SharedOptions,
): SharedDiscipline {
  const buffer = bufferIn(given);
  const options = buffer === null && given !== undefined ? given : more;
  if (options !== more && more !== undefined) throw bad('shared: its first argument is no buffer');
  const read = readOptions<{ capacity?: number; shards?: number }>(options,
    { capacity: size, shards: count(1) }, 'shared');
  if (buffer !== null && read.capacity !== undefined) {
    throw bad('shared: capacity is that of the buffer; leave one of the two out');
  }
  const bytes = buffer?.byteLength ?? read.capacity ?? DEFAULT_CAPACITY;
  const division = divide(bytes, read.shards);
  return new SharedBuffer(buffer ?? newBuffer(division.capacity), division, {
    isNew: buffer === null, isStrict: read.shards !== undefined,
  });
}

/** What its maker knows about a buffer: that it is blank, that its shards were asked for. */
interface Origin {
  readonly isNew: boolean;
  readonly isStrict: boolean;
}

class SharedBuffer implements SharedDiscipline {
  readonly name = 'shared';
  readonly durable = false;
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #origin: Origin;
  #division: Division;
  #isOpen = false;
  #ticket = 0;
  #threads: ThreadTable | null = null;
  #locks: ThreadLocks | null = null;
  /** Bytes laid out per shard, while this thread makes the region. */
  #made: number[] | null = null;

  constructor(buffer: SharedArrayBuffer, division: Division, origin: Origin) {
    this.buffer = buffer;
    this.#division = division;
    this.#origin = origin;
    this.#words = new Int32Array(buffer, 0, buffer.byteLength >>> 2);
  }

  get capacity(): number {
    return this.#division.capacity;
  }

  get slotBytes(): number {
    return 2 ** this.#division.slotShift;
  }

  get round(): number {
    return this.slotBytes >= LEAST_SHARD ? ROUND : PAGE;
  }

  get sharing(): ThreadLocks | null {
    return this.#locks;
  }

  open(): readonly number[] {
    if (this.#isOpen) {
      throw new RegionError('ERR_BUSY',
        'this shared() serves an open region; make another one of its buffer');
    }
    for (;;) {
      const sizes = this.#isMade() ? this.#join() : this.#look();
      if (sizes === null) continue;
      this.#isOpen = true;
      return sizes;
    }
  }

  window(segment: number): Uint8Array {
    const { slotBytes, capacity } = this;
    const at = segment * slotBytes;
    return new Uint8Array(this.buffer, at, Math.min(slotBytes, capacity - at));
  }

  /** All memory is there: what is in use the header says. */
  resize(segment: number, bytes: number): boolean {
    if (this.#locks === null) this.#claim();
    if (this.#made !== null) {
      this.#made[segment] = Math.max(bytes, this.#made[segment] ?? 0);
    }
    return bytes <= Math.min(this.slotBytes, this.capacity - segment * this.slotBytes);
  }

  sync(): void {}

  close(): void {
    const isReady = Atomics.load(this.#words, SHARED.isReady >>> 2) !== 0;
    if (this.#made !== null && !isReady) this.#wipe(this.#made);
    else if (this.#ticket !== 0) this.#threads?.leave(this.#ticket);
    this.#locks = null;
    this.#made = null;
    this.#ticket = 0;
    this.#isOpen = false;
  }

  /** Is there a shared region, or one in the making? */
  #isMade(): boolean {
    return Atomics.load(this.#words, SHARED.magic >>> 2) === SHARED_MAGIC;
  }

  /** Sizes of what is there though no shared region was; [] = nothing, null = now there is one. */
  #look(): readonly number[] | null {
    const bytes = new Uint8Array(this.buffer);
    if (isBlank(this.#origin.isNew ? bytes.subarray(0, METHOD_START) : bytes)) return [];
    if (this.#isMade()) return null;
    const isRegion = String.fromCharCode(...bytes.subarray(0, MAGIC.length)) === MAGIC;
    if (!isRegion) return [bytes.length];
    throw new RegionError('ERR_MISMATCH',
      'the buffer holds a region that was not made by shared(); open that where it was made');
  }

  /** Makes the buffer this thread's to lay out; ERR_EXISTS when another one was faster. */
  #claim(): void {
    const words = this.#words;
    if (Atomics.compareExchange(words, SHARED.magic >>> 2, 0, SHARED_MAGIC) !== 0) {
      throw new RegionError('ERR_EXISTS',
        'another thread makes a region in this buffer; openRegion() opens it');
    }
    const { shards, slotShift, capacity } = this.#division;
    words[SHARED.shards >>> 2] = shards;
    words[SHARED.slotShift >>> 2] = slotShift;
    words[SHARED.capacity >>> 2] = capacity / PAGE;
    this.#made = [];
    this.#enter();
    Atomics.store(words, SHARED.maker >>> 2, this.#ticket);
  }

  /** Opens what is laid out, or just being laid out by another thread; null = that gave up. */
  #join(): readonly number[] | null {
    const words = this.#words;
    for (let looks = LOOKS; Atomics.load(words, SHARED.isReady >>> 2) === 0; looks--) {
      if (Atomics.wait(words, SHARED.isReady >>> 2, 0, LOOK_MS) !== 'timed-out') continue;
      if (!this.#isMade()) return null;
      const maker = Atomics.load(words, SHARED.maker >>> 2);
      const isLost = maker !== 0 && new ThreadTable(this.buffer).isDead(maker);
      if (!isLost && looks > 1) continue;
      // It may have finished, or given up, and left since it was looked at.
      if (Atomics.load(words, SHARED.isReady >>> 2) !== 0) break;
      if (!this.#isMade()) return null;
      throw unfinished();
    }
    const found = divisionIn(words);
    if (!isSound(found, this.buffer.byteLength)) {
      throw new RegionError('ERR_CORRUPT',
        `the buffer of ${this.buffer.byteLength} bytes is not the one its region was made in, or ` +
          'is damaged; it was not changed');
    }
    if (this.#origin.isStrict && found.shards !== this.#division.shards) {
      throw new RegionError('ERR_MISMATCH',
        `the region in this buffer has ${found.shards} shards; leave out the option`);
    }
    this.#division = found;
    this.#enter();
    return Array.from({ length: found.shards }, (_, i) => this.window(i).length);
  }

  #enter(): void {
    this.#threads = new ThreadTable(this.buffer);
    this.#ticket = this.#threads.enter();
    this.#locks = new ThreadLocks(this.#words, this.#threads, this.#division, this.#ticket);
  }

  /** A region that could not be laid out leaves nothing; the magic number goes last. */
  #wipe(made: readonly number[]): void {
    made.forEach((bytes, shard) => {
      const window = this.window(shard);
      if (shard > 0) window.fill(0, 0, bytes);
      else window.fill(0, 0, SHARED.magic).fill(0, SHARED.magic + 4, Math.max(bytes, METHOD_START));
    });
    Atomics.store(this.#words, SHARED.magic >>> 2, 0);
  }
}

/** The buffer that was given, null = none was. */
function bufferIn(given: unknown): SharedArrayBuffer | null {
  if (given instanceof SharedArrayBuffer) return given;
  if (given === undefined) return null;
  const isOther = given instanceof ArrayBuffer || ArrayBuffer.isView(given);
  if (typeof given === 'object' && given !== null && !isOther) return null;
  throw bad(`shared: ${isOther ? 'memory that is not shared' : String(given)} was given; give a ` +
    'SharedArrayBuffer, or options');
}

function newBuffer(bytes: number): SharedArrayBuffer {
  try {
    return new SharedArrayBuffer(bytes);
  } catch (error) {
    throw new RegionError('ERR_NO_SPACE',
      `no memory for a buffer of ${bytes} bytes; give a smaller capacity`, error);
  }
}

/** Shards for so many bytes; ERR_BAD_OPTION where there can be none. */
function divide(bytes: number, wanted: number | undefined): Division {
  const capacity = Math.floor(Math.min(bytes, MOST) / PAGE) * PAGE;
  if (bytes > MOST || capacity < LEAST) {
    throw bad(`shared: ${bytes} bytes are too ${bytes > MOST ? 'many' : 'few'} for a region; ` +
      `give ${LEAST} to ${MOST}`);
  }
  if (wanted !== undefined && (wanted > MAX_SHARDS || (wanted & (wanted - 1)) !== 0)) {
    throw bad(`shared: shards is ${wanted}; give a power of two up to ${MAX_SHARDS}`);
  }
  const processors = 2 ** Math.ceil(Math.log2(availableParallelism()));
  const most = 2 ** Math.floor(Math.log2(Math.max(1, capacity / LEAST_SHARD)));
  const slotShift = Math.ceil(Math.log2(
    capacity / (wanted ?? Math.min(processors, MOST_SHARDS, most))));
  const rest = capacity % 2 ** slotShift;
  const whole = Math.floor(capacity / 2 ** slotShift);
  if (2 ** slotShift < LEAST) throw bad(`shared: ${bytes} bytes are too few for ${wanted} shards`);
  // A last shard that could hold next to nothing is left out.
  const isKept = rest >= Math.min(LEAST_SHARD, 2 ** slotShift / 2) || whole === 0;
  return isKept ? { shards: whole + 1, slotShift, capacity }
    : { shards: whole, slotShift, capacity: whole * 2 ** slotShift };
}

function isSound({ shards, slotShift, capacity }: Division, bytes: number): boolean {
  return shards >= 1 && shards <= MAX_SHARDS && slotShift >= 12 && slotShift <= 32
    && capacity >= LEAST && capacity <= bytes && Math.ceil(capacity / 2 ** slotShift) === shards;
}

function isBlank(bytes: Uint8Array): boolean {
  const blank = Buffer.alloc(BLANK_BYTES);
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < all.length; at += BLANK_BYTES) {
    const end = Math.min(at + BLANK_BYTES, all.length);
    if (all.compare(blank, 0, end - at, at, end) !== 0) return false;
  }
  return true;
}

function unfinished(): RegionError {
  return new RegionError('ERR_CORRUPT',
    'making the region in this buffer was never finished: the thread that did it died, or hangs; ' +
      'make another one in a new buffer');
}

function bad(message: string): RegionError {
  return new RegionError('ERR_BAD_OPTION', message);
}
