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
import { type Callable, type Constructor, constructorFor, type Done, functionFor }
  from './stand-ins.ts';

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
    ...BUFFERS.flatMap((name) => constructorChanges(name, (made, _self, _given, below) =>
      ledger.meet(made as AnyBuffer, { name, below }, true))),
    ...VIEWS.flatMap((name) => constructorChanges(name, viewMet(ledger, name))),
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

/** The global, and the way to it from every instance. */
function constructorChanges(name: string, done: Done): Change[] {
  const target: unknown = Reflect.get(globalThis, name);
  if (typeof target !== 'function') return [];
  const original = target as unknown as Constructor;
  const value = constructorFor(original, done);
  return [
    { owner: globalThis, key: name, value },
    { owner: original.prototype, key: 'constructor', value },
  ];
}

const viewPrototype = Object.getPrototypeOf(Uint8Array.prototype) as object;
const bufferGetter = getOwnPropertyDescriptor(viewPrototype, 'buffer')?.get as Callable;
const NOTHING: readonly unknown[] = [];

function bufferOf(view: unknown): AnyBuffer {
  return apply(bufferGetter, view, NOTHING) as AnyBuffer;
}

/** A view of a buffer that is given allocates nothing. */
function viewMet(ledger: Ledger, name: string): Done {
  return (made, _self, [first], below) => {
    const isNumber = typeof first !== 'object' || first === null;
    if (!isNumber && isAnyArrayBuffer(first)) return;
    ledger.meet(bufferOf(made), { name, below }, isNumber);
  };
}

function callChange(owner: object, key: string, done: Done): Change[] {
  const original: unknown = Reflect.get(owner, key);
  if (typeof original !== 'function' || !Object.hasOwn(owner, key)) return [];
  return [{ owner, key, value: functionFor(original as Callable, done) }];
}

function bufferCall(ledger: Ledger, key: string): Change[] {
  const name = `Buffer.${key}`;
  return callChange(Buffer, key, (made, _self, given, below) => {
    if (isAnyArrayBuffer(given[0])) return;
    ledger.meet(bufferOf(made), { name, below }, key === 'alloc' && given.length === 1);
  });
}

function copyingCalls(ledger: Ledger): Change[] {
  return COPYING_CALLS.flatMap((key) => {
    const name = `TypedArray.${key}`;
    return callChange(viewPrototype, key, (made, _self, _given, below) =>
      ledger.meet(bufferOf(made), { name, below }, false));
  });
}

function resizingCalls(ledger: Ledger): Change[] {
  const own = ArrayBuffer.prototype;
  const resized = (name: string): Done => (_made, self, _given, below) =>
    ledger.resized(self as AnyBuffer, { name, below });
  const moved = (name: string): Done => (made, self, _given, below) =>
    ledger.moved(self as AnyBuffer, made as AnyBuffer, { name, below });
  return [
    ...callChange(own, 'resize', resized('ArrayBuffer.resize')),
    ...callChange(SharedArrayBuffer.prototype, 'grow', resized('SharedArrayBuffer.grow')),
    ...callChange(own, 'transfer', moved('ArrayBuffer.transfer')),
    ...callChange(own, 'transferToFixedLength', moved('ArrayBuffer.transferToFixedLength')),
  ];
}
