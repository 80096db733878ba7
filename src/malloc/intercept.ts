/**
 * Sees what a program allocates by putting stand-ins in the place of the constructors and functions
 * of JavaScript and Node that make buffers (stand-ins.ts). Copies made through a species
 * constructor (`slice`, `map`, `filter`, `from`, `of`) come by the stand-ins too.
 *
 * Nothing is replaced unless everything can be. Other realms (node:vm) and what Node's own C++
 * allocates are not seen.
 */
import { types } from 'node:util';
import type { Ledger } from './ledger.ts';
import { type Callable, type Constructor, constructorFor, functionFor } from './stand-ins.ts';

type AnyBuffer = ArrayBuffer | SharedArrayBuffer;

const { apply, getOwnPropertyDescriptor } = Reflect;
const { isAnyArrayBuffer } = types;

const BUFFERS = ['ArrayBuffer', 'SharedArrayBuffer'] as const;
const VIEWS = ['Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array', 'Uint16Array',
  'Int32Array', 'Uint32Array', 'Float16Array', 'Float32Array', 'Float64Array', 'BigInt64Array',
  'BigUint64Array'] as const;
const BUFFER_CALLS = ['alloc', 'allocUnsafe', 'allocUnsafeSlow', 'from', 'of', 'concat',
  'copyBytesFrom'] as const;
/** Of typed arrays: of a Buffer they make a class of Node's own, which has no stand-in. */
const COPYING_CALLS = ['slice', 'map', 'filter', 'with', 'toReversed', 'toSorted'] as const;

/** A property that is to be replaced, and by what. */
interface Change {
  readonly owner: object;
  readonly key: string;
  readonly value: unknown;
}

/** Puts the stand-ins in place; null, or why they cannot be. */
export function intercept(ledger: Ledger): string | null {
  const changes = [
    ...BUFFERS.flatMap((name) => constructorChanges(name, (made, by) =>
      ledger.meet(made as AnyBuffer, by, true))),
    ...VIEWS.flatMap((name) => constructorChanges(name, viewMet(ledger))),
    ...BUFFER_CALLS.flatMap((key) => bufferCall(ledger, key)),
    ...copyingCalls(ledger),
    ...resizingCalls(ledger),
  ];
  const fixed = changes.find(({ owner, key }) => !isReplaceable(owner, key));
  if (fixed !== undefined) {
    return `${fixed.key} is frozen, so allocations cannot be seen; run without frozen intrinsics`;
  }
  for (const { owner, key, value } of changes) {
    Object.defineProperty(owner, key, { ...getOwnPropertyDescriptor(owner, key), value });
  }
  return null;
}

function isReplaceable(owner: object, key: string): boolean {
  const found = getOwnPropertyDescriptor(owner, key);
  return found?.configurable === true && found.writable === true;
}

type Met = (made: object, by: string, given: readonly unknown[]) => void;

/** The global, and the way to it from every instance. */
function constructorChanges(name: string, met: Met): Change[] {
  const target: unknown = Reflect.get(globalThis, name);
  if (typeof target !== 'function') return [];
  const original = target as unknown as Constructor;
  const value = constructorFor(original, (made, given) => met(made, name, given));
  return [
    { owner: globalThis, key: name, value },
    { owner: original.prototype, key: 'constructor', value },
  ];
}

const viewPrototype = Object.getPrototypeOf(Uint8Array.prototype) as object;
const bufferGetter = getOwnPropertyDescriptor(viewPrototype, 'buffer')?.get as Callable;
const NOTHING: readonly unknown[] = [];

function bufferOf(view: object): AnyBuffer {
  return apply(bufferGetter, view, NOTHING) as AnyBuffer;
}

/** A view of a buffer that is given allocates nothing. */
function viewMet(ledger: Ledger): Met {
  return (made, by, given) => {
    const [first] = given;
    const isNumber = typeof first !== 'object' || first === null;
    if (!isNumber && isAnyArrayBuffer(first)) return;
    ledger.meet(bufferOf(made), by, isNumber);
  };
}

/** What is done with the result of a call. */
type After = (self: unknown, made: object, given: readonly unknown[]) => void;

function callChange(owner: object, key: string, done: After): Change[] {
  const original: unknown = Reflect.get(owner, key);
  if (typeof original !== 'function' || !Object.hasOwn(owner, key)) return [];
  const value = functionFor(original as Callable, (self, made, given) =>
    done(self, made as object, given));
  return [{ owner, key, value }];
}

function bufferCall(ledger: Ledger, key: string): Change[] {
  const by = `Buffer.${key}`;
  return callChange(Buffer, key, (_self, made, given) => {
    if (isAnyArrayBuffer(given[0])) return;
    ledger.meet(bufferOf(made), by, key === 'alloc' && given.length === 1);
  });
}

function copyingCalls(ledger: Ledger): Change[] {
  return COPYING_CALLS.flatMap((key) => callChange(viewPrototype, key, (_self, made) =>
    ledger.meet(bufferOf(made), `TypedArray.${key}`, false)));
}

function resizingCalls(ledger: Ledger): Change[] {
  const own = ArrayBuffer.prototype;
  const resized = (by: string): After => (self) => ledger.resized(self as AnyBuffer, by);
  const moved = (by: string): After => (self, made) =>
    ledger.moved(self as AnyBuffer, made as AnyBuffer, by);
  return [
    ...callChange(own, 'resize', resized('ArrayBuffer.resize')),
    ...callChange(SharedArrayBuffer.prototype, 'grow', resized('SharedArrayBuffer.grow')),
    ...callChange(own, 'transfer', moved('ArrayBuffer.transfer')),
    ...callChange(own, 'transferToFixedLength', moved('ArrayBuffer.transferToFixedLength')),
  ];
}
