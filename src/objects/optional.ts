/**
 * Slots of kind `optional`: a value or undefined. Each kind has a pattern that none of its values
 * has, so that nothing beside the slot says whether it is there: small numbers lie in wider slots,
 * floats and dates have a NaN of their own, references one that leads nowhere, and big integers lie
 * in a slot of kind `any`.
 */
import { RegionError } from '../errors.ts';
import { ANY, NO_VALUE } from '../layout-objects.ts';
import type { Codec } from './codec.ts';
import { fitsNumber } from './codecs.ts';
import { type Core, misfit } from './core.ts';
import { any, f64, i16, i32, type Kind } from './kinds.ts';
import type { Views } from './memory.ts';

/** How a slot that may be empty holds the values of a kind. */
interface Niche {
  readonly inner: Codec;
  isEmpty(views: Views, base: number, i: number): boolean;
  empty(views: Views, base: number, i: number): void;
  /** ERR_SCHEMA, where the inner codec takes more than the kind. */
  assertFits(value: unknown): void;
}

export function optionalCodec(core: Core, kind: Kind): Codec {
  const of = kind.of as Kind;
  if (of.name === 'any') return core.codecOf(of);
  if (of.name === 'array') {
    throw new RegionError('ERR_BAD_OPTION',
      'optional(array(…)): an array lies inside its object; use optional(list(…))');
  }
  return around(kind, nicheOf(core, kind, of));
}

function around(kind: Kind, { inner, isEmpty, empty, assertFits }: Niche): Codec {
  return {
    kind,
    width: inner.width,
    holds: inner.holds,
    blank: empty,
    load: (views, base, i) => isEmpty(views, base, i) ? undefined : inner.load(views, base, i),
    init(views, base, i, value) {
      if (value === undefined) return empty(views, base, i);
      assertFits(value);
      inner.init(views, base, i, value);
    },
    store(views, base, i, value) {
      if (value !== undefined) assertFits(value);
      if (value === undefined) {
        if (!isEmpty(views, base, i)) inner.drop(views, base, i);
        empty(views, base, i);
      } else if (isEmpty(views, base, i)) inner.init(views, base, i, value);
      else inner.store(views, base, i, value);
    },
    drop(views, base, i) {
      if (!isEmpty(views, base, i)) inner.drop(views, base, i);
    },
  };
}

function nicheOf(core: Core, kind: Kind, of: Kind): Niche {
  const { name } = of;
  const assertNumber = (value: unknown) => {
    if (!fitsNumber(name, value)) throw misfit(kind, value);
  };
  if (name === 'u8' || name === 'i8') return number(core, i16, NO_VALUE.half, assertNumber);
  if (name === 'u16' || name === 'i16') return number(core, i32, NO_VALUE.word, assertNumber);
  if (name === 'u32' || name === 'i32' || name === 'f32' || name === 'f64') {
    return { ...float(ownNaN(core.codecOf(f64), name === 'f32')), assertFits: assertNumber };
  }
  if (name === 'date') return float(core.codecOf(of));
  if (name === 'bool') {
    const u8 = core.codecOf({ name: 'u8' });
    return { inner: core.codecOf(of), assertFits: () => {},
      isEmpty: (views, base, i) => u8.load(views, base, i) === NO_VALUE.bool,
      empty: (views, base, i) => u8.init(views, base, i, NO_VALUE.bool) };
  }
  return name === 'i64' || name === 'u64' ? bigint(core, of) : reference(core.codecOf(of));
}

/** A number that the kind does not have, in a wider slot. */
function number(core: Core, slot: Kind, none: number, assertFits: Niche['assertFits']): Niche {
  const inner = core.codecOf(slot);
  return {
    inner,
    assertFits,
    isEmpty: (views, base, i) => inner.load(views, base, i) === none,
    empty: (views, base, i) => inner.init(views, base, i, none),
  };
}

/** Floats of which every NaN has the same bits, so that none of them looks like no value. */
function ownNaN(floats: Codec, isNarrow: boolean): Codec {
  const init: Codec['init'] = (views, base, i, value) => {
    floats.init(views, base, i, isNarrow ? Math.fround(value as number) : value);
    if (!Number.isNaN(value)) return;
    views.i32[base + i * 2] = 0;
    views.i32[base + i * 2 + 1] = ANY.nan;
  };
  return { ...floats, init, store: init };
}

/** A NaN that arithmetic does not make. */
function float(inner: Codec): Niche {
  return {
    inner,
    assertFits: () => {},
    isEmpty: ({ i32: words }, base, i) => words[base + i * 2 + 1] === ANY.undefined,
    empty({ i32: words }, base, i) {
      words[base + i * 2] = 0;
      words[base + i * 2 + 1] = ANY.undefined;
    },
  };
}

function bigint(core: Core, of: Kind): Niche {
  const inner = core.codecOf(any);
  const own = core.codecOf(of) as Codec & { hash(value: unknown): number };
  return {
    inner,
    // Its hash refuses what does not fit.
    assertFits: (value) => own.hash(value),
    isEmpty: (views, base, i) => inner.load(views, base, i) === undefined,
    empty: (views, base, i) => inner.init(views, base, i, undefined),
  };
}

/** A reference into the region's header, where no block is. */
function reference(inner: Codec): Niche {
  return {
    inner,
    assertFits: () => {},
    isEmpty: ({ i32: words }, base, i) => words[base + i] === NO_VALUE.ref,
    empty({ i32: words }, base, i) {
      words[base + i] = NO_VALUE.ref;
    },
  };
}
