/**
 * Named addresses inside the region. Entries follow each other in one table: the rest of the header
 * page, or, when that is full, a hidden block the header refers to. A table that is full is copied,
 * without its dead entries, to its spare or to one of twice the size.
 *
 * Order of writes, so that a process killed at any instant leaves the old or the new state: an
 * entry is written whole and the table ended behind it before the one word that makes it live; a
 * value is one store; a copied table is complete before the one store that refers to it.
 */
import { assert, RegionError } from '../errors.ts';
import { HEADER, NAME_BYTES, ROOT, ROOT_LIVE, ROOTS_BLOCK } from '../layout.ts';
import type { Address, Roots } from '../types.ts';
import { decodeText, encodeText } from './text.ts';

/** Bytes of the first table outside the header page. */
const FIRST_BLOCK = 8192;
const LENGTH_BITS = ROOT_LIVE - 1;
const NAME_WORD = ROOT.nameBytes / 4;
const HASH_WORD = ROOT.hash / 4;

/** Bytes of a region: offsets of the buffer they lie in. */
export interface Place {
  readonly buffer: ArrayBufferLike;
  readonly at: number;
}

/** What the roots need of their region. */
export interface RootsHome {
  /** Window of segment 0. */
  readonly header: Uint8Array;
  /** Others may change the memory: a table holds for one call only. */
  readonly isShared?: boolean;
  /** Throws when the region can no longer be used. */
  assertUsable(): void;
  /** A hidden block; throws ERR_NO_SPACE. */
  allocHidden(bytes: number): Address;
  /** Where `bytes` bytes at an address are, or null where there is no such memory. */
  place(address: number, bytes: number): Place | null;
}

/** A table of entries. Places in it are bytes from `entries`, its first one. */
export interface Table {
  /** 0 = in the header page. */
  readonly address: number;
  readonly bytes: number;
  readonly values: Float64Array;
  readonly words: Uint32Array;
  readonly names: Uint8Array;
}

export class RootTable implements Roots {
  readonly #home: RootsHome;
  readonly #block: Float64Array;
  #table: Table | null = null;

  constructor(home: RootsHome) {
    this.#home = home;
    this.#block = rootsBlockOf(home.header);
  }

  get(name: string): Address {
    const table = this.#current();
    const at = find(table, encodeName(name));
    return (at < 0 ? 0 : table.values[at / 8]) as Address;
  }

  set(name: string, address: Address | number): void {
    if (!Number.isSafeInteger(address) || address < 0) {
      throw new RegionError('ERR_BAD_OPTION',
        `root '${name}': ${String(address)} is not an address; give a whole number from 0 to 2^53`);
    }
    this.#put(encodeName(name), address);
  }

  add(name: string, n: number): number {
    const table = this.#current();
    const bytes = encodeName(name);
    const at = find(table, bytes);
    const sum = (at < 0 ? 0 : table.values[at / 8]) + n;
    if (!Number.isSafeInteger(n) || !Number.isSafeInteger(sum)) {
      throw new RegionError('ERR_BAD_OPTION',
        `root '${name}': adding ${String(n)} gives no whole number below 2^53; it is unchanged`);
    }
    this.#put(bytes, sum);
    return sum;
  }

  delete(name: string): boolean {
    const table = this.#current();
    const at = find(table, encodeName(name));
    if (at < 0) return false;
    table.words[(at >>> 2) + NAME_WORD] &= ~ROOT_LIVE;
    return true;
  }

  [Symbol.iterator](): IterableIterator<[string, Address]> {
    const table = this.#current();
    const all: [string, Address][] = [];
    visitEntries(table, (at, length) => {
      const name = decodeText(table.names.subarray(at + ROOT.name, at + ROOT.name + length));
      if (name === null) throw damaged();
      all.push([name, table.values[at / 8] as Address]);
      return false;
    });
    return all[Symbol.iterator]();
  }

  /**
   * Drops every root. The header's own table is emptied first: it shows when the block is let go.
   */
  clear(): void {
    headerTable(this.#home.header).words[NAME_WORD] = 0;
    this.#block[0] = 0;
    this.#table = null;
  }

  /** Memory was replaced under it: nothing derived from it holds any longer. */
  revive(): void {
    this.#table = null;
  }

  /** Addresses of the blocks in use for roots; throws ERR_CORRUPT where they make no sense. */
  blocksInUse(): number[] {
    const { address } = this.#current();
    if (address === 0) return [];
    const place = this.#home.place(address, ROOTS_BLOCK.entries);
    assert(place !== null, 'the place of the current roots block');
    const spare = new Float64Array(place.buffer, place.at + ROOTS_BLOCK.spare, 1)[0];
    return spare === 0 ? [address] : [address, spare];
  }

  #put(name: Uint8Array, value: number): void {
    let table = this.#current();
    const at = find(table, name);
    if (at >= 0) {
      table.values[at / 8] = value;
      return;
    }
    let end = endOf(table);
    if (end + entryBytes(name.length) > table.bytes) {
      table = this.#move(table, entryBytes(name.length));
      end = endOf(table);
    }
    append(table, end, name, value);
  }

  #current(): Table {
    this.#home.assertUsable();
    const address = this.#block[0];
    if (this.#table?.address === address && this.#home.isShared !== true) return this.#table;
    const table = readTable(this.#home, address);
    if (table === null) throw damaged();
    this.#table = table;
    return table;
  }

  /** Copies the live entries to a table with room for `need` more bytes. */
  #move(from: Table, need: number): Table {
    let live = need;
    visitEntries(from, (_, length) => {
      live += entryBytes(length);
      return false;
    });
    const to = this.#target(from, live);
    to.words[NAME_WORD] = 0;
    let end = 0;
    visitEntries(from, (at, length) => {
      const name = from.names.subarray(at + ROOT.name, at + ROOT.name + length);
      append(to, end, name, from.values[at / 8]);
      end += entryBytes(length);
      return false;
    });
    this.#block[0] = to.address;
    this.#table = to;
    return to;
  }

  /** The spare while a quarter of it would stay empty, else a table of twice the size. */
  #target(from: Table, live: number): Table {
    let bytes = FIRST_BLOCK - ROOTS_BLOCK.entries;
    if (from.address !== 0) {
      bytes = from.bytes;
      const spare = this.#blockWord(from.address, ROOTS_BLOCK.spare);
      if (live <= bytes * 0.75 && spare[0] !== 0) {
        const table = readTable(this.#home, spare[0]);
        if (table === null || table.address === 0 || table.bytes !== bytes) throw damaged();
        this.#blockWord(table.address, ROOTS_BLOCK.spare)[0] = from.address;
        return table;
      }
    }
    const isSame = from.address !== 0 && live <= bytes * 0.75;
    while (live > bytes * 0.75) bytes *= 2;
    const address = this.#home.allocHidden(ROOTS_BLOCK.entries + bytes);
    this.#blockWord(address, ROOTS_BLOCK.spare)[0] = isSame ? from.address : 0;
    this.#blockWord(address, ROOTS_BLOCK.bytes)[0] = bytes;
    const table = readTable(this.#home, address);
    assert(table !== null, 'a new roots block');
    return table;
  }

  #blockWord(address: number, offset: number): Float64Array {
    const place = this.#home.place(address, ROOTS_BLOCK.entries);
    assert(place !== null, 'the place of a roots block');
    return new Float64Array(place.buffer, place.at + offset, 1);
  }
}

/** The table at an address, or null where there cannot be one. */
export function readTable(home: RootsHome, address: number): Table | null {
  if (address === 0) return headerTable(home.header);
  const place = home.place(address, ROOTS_BLOCK.entries);
  if (place === null || place.at % 8 !== 0) return null;
  const bytes = new Float64Array(place.buffer, place.at + ROOTS_BLOCK.bytes, 1)[0];
  if (!Number.isSafeInteger(bytes) || bytes < ROOT.name || bytes % 8 !== 0) return null;
  if (home.place(address, ROOTS_BLOCK.entries + bytes) === null) return null;
  return tableAt(address, place.buffer, place.at + ROOTS_BLOCK.entries, bytes);
}

/** Calls `visit` with place and name length of every live entry; true stops. */
export function visitEntries(
  table: Table,
  visit: (at: number, length: number) => boolean,
): void {
  for (let at = 0; at + ROOT.name <= table.bytes; ) {
    const word = table.words[(at >>> 2) + NAME_WORD];
    const length = word & LENGTH_BITS;
    if (length === 0) return;
    if (length > NAME_BYTES || at + entryBytes(length) > table.bytes) throw damaged();
    if ((word & ROOT_LIVE) !== 0 && visit(at, length)) return;
    at += entryBytes(length);
  }
}

export function hashOf(name: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of name) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

export function storedHash(table: Table, at: number): number {
  return table.words[(at >>> 2) + HASH_WORD];
}

/** The word of the header that names the block of the roots. */
export function rootsBlockOf({ buffer, byteOffset }: Uint8Array): Float64Array {
  return new Float64Array(buffer, byteOffset + HEADER.rootsBlock, 1);
}

function headerTable({ buffer, byteOffset }: Uint8Array): Table {
  return tableAt(0, buffer, byteOffset + HEADER.roots, HEADER.rootsEnd - HEADER.roots);
}

function tableAt(address: number, buffer: ArrayBufferLike, at: number, bytes: number): Table {
  return {
    address,
    bytes,
    values: new Float64Array(buffer, at, bytes / 8),
    words: new Uint32Array(buffer, at, bytes / 4),
    names: new Uint8Array(buffer, at, bytes),
  };
}

function entryBytes(length: number): number {
  return (ROOT.name + length + ROOT.align - 1) & -ROOT.align;
}

/**
 * Place of the live entry of a name, or -1. Its own loop: a visitor per entry costs ten times it.
 */
function find(table: Table, name: Uint8Array): number {
  const { words, bytes } = table;
  const hash = hashOf(name);
  const wanted = name.length | ROOT_LIVE;
  for (let at = 0; at + ROOT.name <= bytes; ) {
    const word = words[(at >>> 2) + NAME_WORD];
    const length = word & LENGTH_BITS;
    if (length === 0) return -1;
    if (length > NAME_BYTES || at + entryBytes(length) > bytes) throw damaged();
    const isCandidate = word === wanted && words[(at >>> 2) + HASH_WORD] === hash;
    if (isCandidate && isNamed(table, at, name)) return at;
    at += entryBytes(length);
  }
  return -1;
}

function isNamed(table: Table, at: number, name: Uint8Array): boolean {
  const from = at + ROOT.name;
  for (let i = 0; i < name.length; i++) if (table.names[from + i] !== name[i]) return false;
  return true;
}

/** Where the next entry goes. */
function endOf(table: Table): number {
  const { words, bytes } = table;
  let at = 0;
  while (at + ROOT.name <= bytes) {
    const length = words[(at >>> 2) + NAME_WORD] & LENGTH_BITS;
    if (length === 0) break;
    at += entryBytes(length);
  }
  return at;
}

function append(table: Table, at: number, name: Uint8Array, value: number): void {
  const next = at + entryBytes(name.length);
  assert(next <= table.bytes, 'room for a root');
  if (next + ROOT.name <= table.bytes) table.words[(next >>> 2) + NAME_WORD] = 0;
  table.values[at / 8] = value;
  table.words[(at >>> 2) + HASH_WORD] = hashOf(name);
  table.names.set(name, at + ROOT.name);
  table.words[(at >>> 2) + NAME_WORD] = name.length | ROOT_LIVE;
}

function encodeName(name: unknown): Uint8Array {
  const bytes = encodeText(name, 'the name of a root');
  if (bytes.length >= 1 && bytes.length <= NAME_BYTES) return bytes;
  throw new RegionError('ERR_BAD_OPTION',
    `the name of a root has ${bytes.length} bytes of UTF-8; give 1 to ${NAME_BYTES}`);
}

function damaged(): RegionError {
  return new RegionError('ERR_CORRUPT',
    'the roots of this region are damaged; check() says where; restore it from a backup');
}
