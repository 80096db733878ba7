/**
 * Slots of kind `any`, 64 bits: a number as it is, else a NaN that says what there is (ANY). null,
 * undefined and booleans are in the slot; everything else is a reference to a block that says what
 * it holds. Texts, moments, big integers, bytes and typed arrays belong to the slot alone; objects
 * and collections are shared. Plain objects, arrays, Maps and Sets are copied in (copy-in.ts).
 *
 * As keys: what the slot owns is equal by its contents (dates by their time, bytes by class and
 * bytes, so do not write to bytes that are a key), since what is given is copied; objects and
 * collections are equal by identity, so their handles are given.
 */
import { isDate } from 'node:util/types';
import { RegionError } from '../errors.ts';
import { ANY, ROLE } from '../layout-objects.ts';
import { arrayAt, bigintAt, elementOf, hashArray, hashBigint, hashMoment, momentAt, newArray,
  newBigint, newMoment, roleAt, sameArray, type TypedArray } from './any-blocks.ts';
import type { KeyCodec } from './codec.ts';
import { hashNumber } from './codecs.ts';
import { copyIn, handleIn, isContainer } from './copy-in.ts';
import { type Core, misfit } from './core.ts';
import type { Kind } from './kinds.ts';
import type { Views } from './memory.ts';
import { equalsText, hashText, loadText, mix, newText } from './text.ts';

/** Of the codes from ANY.undefined on. */
const CONSTANTS: readonly unknown[] = [undefined, null, false, true];
/** A set of roles: blocks that belong to their slot. */
const OWNED = [ROLE.latin1, ROLE.utf8, ROLE.utf16, ROLE.bytes, ROLE.bigint, ROLE.moment]
  .reduce((bits, role) => bits | (1 << role), 0);

export function anyCodec(core: Core, kind: Kind): KeyCodec {
  const drop: KeyCodec['drop'] = ({ i32 }, base, i) => {
    const at = base + i * 2;
    if (i32[at + 1] === ANY.ref) release(core, i32[at]);
  };
  return {
    kind, width: 8, holds: 'any', drop,
    load({ f64, i32 }, base, i) {
      const at = base + i * 2;
      const code = i32[at + 1];
      if (code < ANY.undefined || code > ANY.ref) return f64[at >> 1];
      return code === ANY.ref ? loadBlock(core, i32[at]) : CONSTANTS[code - ANY.undefined];
    },
    init(views, base, i, value) {
      const code = codeOf(value);
      write(views, base + i * 2, code, code === ANY.ref ? refFor(core, value) : 0, value);
    },
    store(views, base, i, value) {
      const code = codeOf(value);
      const made = code === ANY.ref ? refFor(core, value) : 0;
      drop(views, base, i);
      write(views, base + i * 2, code, made, value);
    },
    blank: (views, base, i) => write(views, base + i * 2, ANY.undefined, 0, undefined),
    hash: (value) => hashAny(core, value),
    hashNow({ i32 }, base, i, known) {
      const at = base + i * 2;
      return i32[at + 1] === ANY.ref && !isOwned(core, i32[at]) ? mix(i32[at]) : known;
    },
    equals(views, base, i, value) {
      const at = base + i * 2;
      const code = views.i32[at + 1];
      if (code === ANY.ref) return equalsBlock(core, views.i32[at], value);
      if (code >= ANY.undefined && code < ANY.ref) return code === codeOf(value);
      const mine = views.f64[at >> 1];
      return mine === value || (Number.isNaN(mine) && Number.isNaN(value));
    },
  };
}

/** What the high word says of a value; 0 = it is a number. */
function codeOf(value: unknown): number {
  switch (typeof value) {
    case 'number': return Number.isNaN(value) ? ANY.nan : 0;
    case 'undefined': return ANY.undefined;
    case 'boolean': return value ? ANY.true : ANY.false;
    default: return value === null ? ANY.null : ANY.ref;
  }
}

function write(views: Views, at: number, code: number, low: number, value: unknown): void {
  if (code === 0) {
    views.f64[at >> 1] = value as number;
  } else {
    views.i32[at] = low;
    views.i32[at + 1] = code;
  }
}

/** What the slot refers to from now on. */
function refFor(core: Core, value: unknown): number {
  const { memory } = core;
  if (typeof value === 'string') return newText(memory, value);
  if (typeof value === 'bigint') return newBigint(memory, value);
  if (typeof value === 'object' && value !== null) {
    const handle = handleIn(value);
    if (handle !== null) return core.refOf(handle);
    if (isDate(value)) return newMoment(memory, timeOf(value));
    const element = elementOf(value);
    if (element >= 0) return newArray(memory, value as TypedArray, element);
  }
  return copyIn(core, value);
}

function loadBlock(core: Core, ref: number): unknown {
  const { memory } = core;
  switch (ref === 0 ? ROLE.latin1 : roleAt(memory, ref)) {
    case ROLE.latin1: case ROLE.utf8: case ROLE.utf16: {
      const text = loadText(memory, ref);
      if (text === null) throw core.corrupt(ref, 'a text leads out of the heap');
      return text;
    }
    case ROLE.bigint: return bigintAt(core, ref);
    case ROLE.moment: return new Date(momentAt(memory, ref));
    case ROLE.bytes: return core.pins.add(ref, arrayAt(core, ref));
    default: return core.handleOf(ref);
  }
}

/** What belongs to the slot goes, unless a program looks into it. */
function release(core: Core, ref: number): void {
  const { memory, pins } = core;
  if (ref === 0) return;
  memory.dropped(ref);
  if (isOwned(core, ref) && !pins.has(ref)) memory.free(ref);
}

/** Does the block belong to its slot? The empty text has none. */
function isOwned({ memory }: Core, ref: number): boolean {
  return ref === 0 || ((OWNED >> roleAt(memory, ref)) & 1) === 1;
}

function hashAny(core: Core, value: unknown): number {
  switch (typeof value) {
    case 'number': return hashNumber(value);
    case 'string': return hashText(value);
    case 'bigint': return hashBigint(value);
    case 'object': return value === null ? mix(ANY.null) : hashObject(core, value);
    case 'function': case 'symbol': throw misfit({ name: 'any' }, value);
    default: return mix(codeOf(value));
  }
}

function hashObject(core: Core, value: object): number {
  const handle = handleIn(value);
  if (handle !== null) return mix(core.refOf(handle));
  if (isDate(value)) return hashMoment(timeOf(value));
  if (elementOf(value) >= 0) return hashArray(value as TypedArray);
  if (!isContainer(value)) throw misfit({ name: 'any' }, value);
  throw new RegionError('ERR_SCHEMA',
    'an object, array, Map or Set cannot be a key, for a copy of it would be: keys are equal by ' +
      'identity; store it first, and give the handle that reading it gives');
}

/** A value of a kind that has a block, against a block. */
function equalsBlock(core: Core, ref: number, value: unknown): boolean {
  const { memory } = core;
  if (typeof value === 'string') return equalsText(memory, ref, value);
  if (ref === 0 || value === null) return false;
  if (typeof value === 'bigint') {
    return roleAt(memory, ref) === ROLE.bigint && bigintAt(core, ref) === value;
  }
  if (typeof value !== 'object') return false;
  const handle = handleIn(value);
  if (handle !== null) return core.leadsTo(ref, core.refOf(handle));
  if (isDate(value)) {
    return roleAt(memory, ref) === ROLE.moment && Object.is(momentAt(memory, ref), timeOf(value));
  }
  return elementOf(value) >= 0 && roleAt(memory, ref) === ROLE.bytes
    && sameArray(arrayAt(core, ref), value as TypedArray);
}

/** Of a date of any realm, whatever its methods were made to do. */
function timeOf(value: Date): number {
  return Date.prototype.getTime.call(value);
}
