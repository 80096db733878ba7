/**
 * profile(inner): a method that counts, by call stack, what the program does with the blocks of
 * another one: allocations, frees, bytes, what is live, what was at most. All of it is in the
 * region, so that a region that is opened again goes on counting. Vmalloc's Vmprofile.
 *
 * A block of the inner method begins with a header of one granule: the stack, the size that was
 * asked for, how far in the payload lies, a hash of these. Where it lies further in, for its
 * alignment, the block begins with a lead that says how far (debug-header.ts).
 *
 * Ground truth are the headers; live counters are derived from them by `rebuild`. A header is
 * complete before the block is counted, and the block is freed before it is not any more.
 *
 * Invariants, reported by `check`:
 *   P1  the state is sane, and so are its tables
 *   P2  the header in front of a live block is as it was written
 *   P3  live bytes and blocks of every stack are those of its blocks
 */
import { GRANULE, PAGE } from '../layout.ts';
import { PROFILE_HEAD, PROFILE_HEADER } from '../layout-debug.ts';
import type { Profile } from '../profile.ts';
import type { Arena, Blocks, BlockStat, Finding, Method } from '../types.ts';
import { countInto } from './count.ts';
import { leadAt, writeLead } from './debug-header.ts';
import { assertInner, formatBehind, InnerArena, walkStart } from './inner-arena.ts';
import { checkProfile, liveIn } from './profile-check.ts';
import { formatProfile, Ledger, profileGeometryFor, profileGeometryOf, type ProfileOptions,
  profileOptionsOf, readProfileOptions } from './profile-state.ts';

const { stack: STACK, size: SIZE, front: FRONT, check: CHECK } = PROFILE_HEADER;
const HEAD = PROFILE_HEAD;
const MOST_BYTES = 2 ** 32;

/**
 * A method that counts what is allocated where; `profileOf` reads it. ERR_BAD_OPTION.
 *
 * @example
 * const region = createRegion(heap(), profile(best));
 * profileOf(region).total.live;
 */
export function profile(inner: Method, options?: ProfileOptions): Method {
  assertInner(inner, 'profile');
  const read = readProfileOptions(options);
  return profileWith(inner, () => read);
}

/** For one region that is there: later segments get the options its first one was made with. */
export function profileAsStored(inner: Method): Method {
  let stored: Partial<ProfileOptions> | null = null;
  const method = profileWith(inner, () => stored ?? {});
  return {
    ...method,
    attach(arena) {
      stored ??= profileOptionsOf(arena);
      return method.attach(arena);
    },
  };
}

function profileWith(inner: Method, options: () => Partial<ProfileOptions>): Method {
  return {
    name: `profile(${inner.name})`,
    format: (arena) => formatBehind(arena, profileGeometryFor(arena, options()).front, inner,
      () => formatProfile(arena, options())),
    attach: (arena) => new ProfileBlocks(arena, inner),
  };
}

export class ProfileBlocks implements Blocks {
  readonly freeHead?: number;
  readonly discard?: (granule: number) => void;
  readonly allocHidden?: (size: number) => number;
  readonly misfit?: (size: number, alignment: number) => string | null;
  readonly accuse?: (address: number) => Finding | null;
  readonly leaks?: (report: (finding: Finding) => void) => void;
  readonly #arena: Arena;
  readonly #gate: InnerArena;
  readonly #words: Int32Array;
  readonly #inner: Blocks;
  readonly #ledger: Ledger;
  readonly #shift: number;

  constructor(arena: Arena, method: Method) {
    const geometry = profileGeometryOf(arena) ?? profileGeometryFor(arena, {});
    this.#arena = arena;
    this.#gate = new InnerArena(arena, geometry.front);
    this.#words = this.#gate.words;
    this.#shift = geometry.front;
    this.#ledger = new Ledger(arena, geometry);
    this.#inner = method.attach(this.#gate);
    const inner = this.#inner;
    if (inner.freeHead !== undefined) this.freeHead = inner.freeHead;
    if (inner.discard !== undefined) this.discard = (granule) => this.#give(granule, 'discard');
    if (inner.misfit !== undefined) {
      this.misfit = (size, alignment) =>
        inner.misfit?.(Math.max(1, size) + HEAD * GRANULE, alignment) ?? null;
    }
    if (inner.allocHidden !== undefined) {
      // Without a header: nobody but the region sees it.
      this.allocHidden = (size) => {
        const i = inner.allocHidden?.(size) ?? 0;
        return i === 0 ? 0 : i + this.#shift;
      };
    }
    if (inner.accuse !== undefined) this.accuse = (address) => this.#accuse(address);
    if (inner.leaks !== undefined) {
      this.leaks = (report) => inner.leaks?.((finding) => report(this.#moved(finding)));
    }
  }

  alloc(size: number): number {
    return this.#take(size, GRANULE, this.#ledger.here());
  }

  align(size: number, alignment: number): number {
    return this.#take(size, alignment, this.#ledger.here());
  }

  free(granule: number): boolean {
    return this.#give(granule, 'free');
  }

  resize(granule: number, size: number): boolean {
    const p = granule - this.#shift;
    const i = this.#innerOf(p);
    const padded = Math.max(1, size) + (p - i) * GRANULE;
    if (i === 0 || padded >= MOST_BYTES || !this.#inner.resize(i, padded)) return false;
    const { stack, size: old } = this.#header(p);
    this.#seal(p, i, stack, size);
    if (this.#ledger.has(stack)) this.#ledger.resized(stack, old, size);
    return true;
  }

  sizeOf(granule: number): number {
    const p = granule - this.#shift;
    const i = this.#innerOf(p);
    return i === 0 ? -1 : this.#inner.sizeOf(i) - (p - i) * GRANULE;
  }

  startOf(granule: number): number {
    const place = granule - this.#shift;
    const i = place > 0 ? this.#inner.startOf(place) : 0;
    const p = i === 0 ? 0 : this.#payloadOf(i, this.#inner.sizeOf(i));
    return p === 0 || place < p ? 0 : p + this.#shift;
  }

  hide(granule: number): void {
    const p = granule - this.#shift;
    const i = this.#innerOf(p);
    if (i === 0) return;
    const { stack, size } = this.#header(p);
    this.#inner.hide(i);
    if (this.#ledger.has(stack)) this.#ledger.forgotten(stack, size);
  }

  walk(visit: (granule: number, bytes: number, busy: boolean) => boolean, from = 0): void {
    const place = from - this.#shift;
    this.#inner.walk((i, bytes, busy) => {
      const p = busy ? this.#payloadOf(i, bytes) : i + HEAD;
      const room = bytes - (p - i) * GRANULE;
      return p !== 0 && p >= place && visit(p + this.#shift, Math.max(0, room), busy);
    }, walkStart(this.#inner, place, HEAD));
  }

  stat(into: BlockStat): void {
    this.walk(countInto(into));
  }

  check(report: (finding: Finding) => void): void {
    this.#inner.check((finding) => report(this.#moved(finding)));
    const isSane = profileGeometryOf(this.#arena)?.front === this.#shift;
    checkProfile(this.#arena, isSane, this.#ledger, (visit) => this.#each(visit), report);
  }

  trim(): void {
    this.#inner.trim();
  }

  clear(): void {
    this.#inner.clear();
    this.#ledger.setLive(new Map());
  }

  rebuild(): boolean {
    if (profileGeometryOf(this.#arena) === null || !this.#inner.rebuild()) return false;
    this.#inner.walk((i, bytes, busy) => {
      const p = busy ? this.#payloadOf(i, bytes) : 0;
      // A block whose allocation was cut off, or that was written before: nobody's stack.
      if (p !== 0 && !this.#isSealed(p)) this.#seal(p, i, 0, bytes - (p - i) * GRANULE);
      return false;
    });
    this.#ledger.setLive(liveIn(this.#ledger, (visit) => this.#each(visit)));
    return true;
  }

  profile(): Profile {
    return this.#ledger.read();
  }

  /** Every live block: its payload in the arena, and what its header says, if that holds. */
  #each(visit: (granule: number, header: { stack: number; size: number } | null) => void): void {
    this.#inner.walk((i, bytes, busy) => {
      const p = busy ? this.#payloadOf(i, bytes) : 0;
      if (p !== 0) visit(p + this.#shift, this.#isSealed(p) ? this.#header(p) : null);
      return false;
    });
  }

  #take(size: number, alignment: number, stack: number): number {
    // The window of the inner method begins at a page; it knows no larger alignment.
    const step = alignment / GRANULE;
    const isFar = alignment > PAGE;
    const least = isFar ? step + HEAD : Math.max(HEAD, step);
    // A payload lies inside its inner block, of no bytes too.
    const padded = Math.max(1, size) + least * GRANULE;
    const isUnfit = this.misfit !== undefined && alignment > GRANULE;
    if (padded >= MOST_BYTES || isUnfit) return 0;
    const inner = this.#inner;
    const i = isFar || alignment <= GRANULE ? inner.alloc(padded) : inner.align(padded, alignment);
    if (i === 0) return 0;
    const p = isFar ? Math.ceil((i + HEAD + this.#shift) / step) * step - this.#shift : i + least;
    if (p - i > HEAD) writeLead(this.#words, i, p - i);
    this.#seal(p, i, stack, size);
    this.#ledger.allocated(stack, size, this.#arena.end());
    return p + this.#shift;
  }

  #give(granule: number, how: 'free' | 'discard'): boolean {
    const p = granule - this.#shift;
    const i = this.#innerOf(p);
    if (i === 0) return false;
    const { stack, size } = this.#header(p);
    if (how === 'discard') this.#inner.discard?.(i);
    else if (!this.#inner.free(i)) return false;
    if (this.#ledger.has(stack)) this.#ledger.freed(stack, size);
    return true;
  }

  #innerOf(p: number): number {
    const i = p - HEAD;
    if (i < this.#gate.start || p >= this.#gate.end()) return 0;
    if (this.#inner.sizeOf(i) >= 0) return leadAt(this.#words, i, HEAD) === 0 ? i : 0;
    const start = this.#inner.startOf(p);
    return start !== 0 && start + leadAt(this.#words, start, HEAD) === p && start < i ? start : 0;
  }

  #payloadOf(i: number, bytes: number): number {
    const front = leadAt(this.#words, i, HEAD) || HEAD;
    if (front * GRANULE <= bytes) return i + front;
    return HEAD * GRANULE <= bytes ? i + HEAD : 0;
  }

  #seal(p: number, i: number, stack: number, size: number): void {
    const words = this.#words;
    const w = p << 2;
    words[w + STACK] = stack;
    words[w + SIZE] = size | 0;
    words[w + FRONT] = p - i;
    words[w + CHECK] = hashOf(p, stack, size | 0, p - i);
  }

  #header(p: number): { stack: number; size: number } {
    const w = p << 2;
    return { stack: this.#words[w + STACK], size: this.#words[w + SIZE] >>> 0 };
  }

  #isSealed(p: number): boolean {
    const words = this.#words;
    const w = p << 2;
    const hash = hashOf(p, words[w + STACK], words[w + SIZE], words[w + FRONT]);
    return words[w + CHECK] === hash && this.#ledger.has(words[w + STACK]);
  }

  #accuse(address: number): Finding | null {
    const found = this.#inner.accuse?.(address - this.#shift * GRANULE) ?? null;
    return found === null ? null : this.#moved(found);
  }

  #moved(finding: Finding): Finding {
    return { ...finding, address: finding.address + this.#shift * GRANULE };
  }
}

function hashOf(p: number, stack: number, size: number, front: number): number {
  let hash = Math.imul(p ^ 0x2545f491, 0x9e3779b1) ^ stack;
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b) ^ size;
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35) ^ front;
  return (hash ^ (hash >>> 16)) | 0;
}
