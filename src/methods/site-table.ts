/**
 * A table of interned keys inside an arena: each key once, named by the offset of its entry, so
 * that blocks can say in one word where they were allocated. Call sites are text; stacks of call
 * sites are lists of words. Its room is fixed when it is laid out; a key that finds no room has
 * the name 0 = unknown.
 *
 * Entries are only added: complete, then counted in `used`, then linked to the front of the list of
 * their bucket. So a list leads to ever smaller offsets and cannot go in a circle, and what a
 * killed process left half done is outside all lists. Everything read here may be hostile.
 *
 * What is known by its text is remembered in JavaScript, as long as these blocks are attached; the
 * region attaches them anew when its memory goes back in time.
 */
import { SITE, SITES, SITES_MAGIC } from '../layout-debug.ts';

const { next: NEXT, hash: HASH, keyBytes: KEY_BYTES, words: ENTRY } = SITE;
const { buckets: BUCKETS, used: USED, extra: EXTRA, room: WORDS } = SITES;
/** Words of a table for one bucket. */
const WORDS_PER_BUCKET = 32;
/** A longer key keeps its end. */
export const MOST_KEY_BYTES = 1024;

/** Lays out an empty table of `n` words, an even number, with `extra` words an entry, even too. */
export function formatSites(words: Int32Array, at: number, n: number, extra = 0): void {
  const first = firstEntry(n);
  words.fill(0, at, at + first);
  words[at + WORDS] = n;
  words[at + USED] = first;
  words[at + EXTRA] = extra;
  words[at + SITES.magic] = SITES_MAGIC;
}

/** Buckets: a power of two. */
function bucketsOf(n: number): number {
  return 2 ** Math.floor(Math.log2(Math.max(1, n / WORDS_PER_BUCKET)));
}

function firstEntry(n: number): number {
  return (BUCKETS + bucketsOf(n) + 1) & ~1;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class SiteTable {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  /** First word of the table, its words, words of an entry before its key. */
  readonly #at: number;
  readonly #n: number;
  readonly #fixed: number;
  readonly #first: number;
  readonly #mask: number;
  readonly #names = new Map<string, number>();

  /** `n` and `extra` are what the owner knows, whatever the table says of itself. */
  constructor(words: Int32Array, at: number, n: number, extra = 0) {
    this.#words = words;
    this.#bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
    this.#at = at;
    this.#n = n;
    this.#fixed = ENTRY + extra;
    this.#first = firstEntry(n);
    this.#mask = bucketsOf(n) - 1;
  }

  /** Name of a text; 0 = there is no room for it. */
  nameOf(text: string): number {
    const name = this.#names.get(text);
    if (name !== undefined) return name;
    const bytes = encoder.encode(text);
    const isLong = bytes.length > MOST_KEY_BYTES;
    const found = this.intern(isLong ? bytes.subarray(bytes.length - MOST_KEY_BYTES) : bytes);
    if (found !== 0) this.#names.set(text, found);
    return found;
  }

  /** The text of a name, or '' where there is none. */
  textOf(name: number): string {
    const key = this.keyOf(name);
    return key === null ? '' : decoder.decode(key.slice());
  }

  /** Name of a key; 0 = there is no room for it. */
  intern(key: Uint8Array): number {
    const words = this.#words;
    const hash = hashOf(key);
    const bucket = this.#at + BUCKETS + (hash & this.#mask);
    let above = this.#used();
    for (let name = words[bucket]; name >= this.#first && name < above; ) {
      const entry = this.#at + name;
      if (words[entry + HASH] === hash && this.#isKey(name, key)) return name;
      above = name;
      name = words[entry + NEXT];
    }
    return this.#add(key, hash, bucket);
  }

  /** The bytes of a key, a view; null = no entry can have this name. */
  keyOf(name: number): Uint8Array | null {
    const used = this.#used();
    if (name < this.#first || (name & 1) !== 0 || name + this.#fixed > used) return null;
    const length = this.#words[this.#at + name + KEY_BYTES];
    const end = name + this.#fixed + wordsFor(length);
    if (length < 0 || length > MOST_KEY_BYTES || end > used) return null;
    const from = (this.#at + name + this.#fixed) * 4;
    return this.#bytes.subarray(from, from + length);
  }

  /** First of the owner's words of an entry, an even word index. */
  extraOf(name: number): number {
    return this.#at + name + ENTRY;
  }

  /** Names of all entries, in the order they were added; it ends where they make no sense. */
  *names(): Generator<number> {
    for (let name = this.#first; name < this.#used(); ) {
      const key = this.keyOf(name);
      if (key === null) return;
      yield name;
      name += this.#fixed + wordsFor(key.length);
    }
  }

  /** What is wrong with it, or ''. */
  problem(): string {
    const words = this.#words;
    if (words[this.#at + SITES.magic] !== SITES_MAGIC) return 'the table of call sites is missing';
    const n = words[this.#at + WORDS];
    const said = words[this.#at + USED];
    if (n !== this.#n || words[this.#at + EXTRA] + ENTRY !== this.#fixed) {
      return `the table of call sites says it has ${n} words of ${this.#n}`;
    }
    if (said !== this.#used()) return `the table of call sites cannot have ${said} words in use`;
    let end = this.#first;
    for (const name of this.names()) {
      const key = this.keyOf(name) as Uint8Array;
      const hash = words[this.#at + name + HASH];
      if (hashOf(key) !== hash) return `call site ${name} has another hash`;
      end = name + this.#fixed + wordsFor(key.length);
    }
    return end === said ? '' : `call site ${end} makes no sense`;
  }

  /** Words in use, never more than there are. */
  #used(): number {
    const used = this.#words[this.#at + USED];
    return used >= this.#first && used <= this.#n ? used : this.#first;
  }

  #isKey(name: number, key: Uint8Array): boolean {
    const held = this.keyOf(name);
    if (held === null || held.length !== key.length) return false;
    for (let i = 0; i < key.length; i++) if (held[i] !== key[i]) return false;
    return true;
  }

  #add(key: Uint8Array, hash: number, bucket: number): number {
    const words = this.#words;
    const name = this.#used();
    const end = name + this.#fixed + wordsFor(key.length);
    if (end > this.#n) return 0;
    const entry = this.#at + name;
    words.fill(0, entry, this.#at + end);
    words[entry + NEXT] = words[bucket];
    words[entry + HASH] = hash;
    words[entry + KEY_BYTES] = key.length;
    this.#bytes.set(key, (entry + this.#fixed) * 4);
    words[this.#at + SITES.count] += 1;
    words[this.#at + USED] = end;
    words[bucket] = name;
    return name;
  }
}

/** Entries start at even words. */
function wordsFor(bytes: number): number {
  return ((bytes + 7) >>> 3) << 1;
}

/** FNV-1a. */
function hashOf(key: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of key) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash | 0;
}
