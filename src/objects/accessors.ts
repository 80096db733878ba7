/**
 * Accessors of fields: how a property of an object reads and writes its place in memory. Wide
 * numbers have accessors of their own, in which everything but the handle's place is a constant;
 * the other kinds go through their codec.
 *
 * A field is tested for its kind when it is written, and ERR_SCHEMA names it: what does not fit is
 * never cut to size.
 */
import { RegionError } from '../errors.ts';
import type { Codec } from './codec.ts';
import { type Bound, misfit } from './core.ts';
import { type Handle, refOf } from './handles.ts';
import { inlineView, setInline } from './inline.ts';
import { type Field, isInline } from './record-layout.ts';
import { loadText } from './text.ts';

type Accessor = Required<Pick<PropertyDescriptor, 'get' | 'set'>> & ThisType<Handle>;

/** A codec finds slot `i` from a word; these are both for a field at so many bytes. */
export function placeOf({ at }: Field, width: number): { word: number; i: number } {
  const word = width === 8 ? at >>> 3 << 1 : at >>> 2;
  return { word, i: width >= 4 ? 0 : (at & 3) / width };
}

/** The accessor of a field for handles of one class. */
export function accessorOf(bound: Bound, field: Field): Accessor {
  if (isInline(field.kind)) return inlineAccessor(bound, field);
  const special = SPECIAL[field.kind.name];
  if (special !== undefined) return special(bound, field);
  return codecAccessor(bound, field, bound.core.codecOf(field.kind));
}

/** ERR_SCHEMA that names the field. */
function refuse(bound: Bound, field: Field, value: unknown): RegionError {
  return named(bound, field, misfit(field.kind, value));
}

function named({ type }: Bound, { name }: Field, error: unknown): RegionError {
  if (!(error instanceof RegionError) || error.code !== 'ERR_SCHEMA') throw error;
  return new RegionError('ERR_SCHEMA', `${type.text}.${name}: ${error.message}`, error);
}

const SPECIAL: Readonly<Record<string, (bound: Bound, field: Field) => Accessor>> = {
  f64(bound, field) {
    const { core, views: { f64 } } = bound;
    const k = field.at >>> 3;
    return {
      get() {
        const at = this.$at;
        if (at < 0) throw core.stale();
        return f64[(at >> 1) + k];
      },
      set(value: number) {
        const at = this.$at;
        if (at < 0) throw core.stale();
        if (typeof value !== 'number') throw refuse(bound, field, value);
        f64[(at >> 1) + k] = value;
      },
    };
  },
  f32(bound, field) {
    const { core, views: { f32 } } = bound;
    const k = field.at >>> 2;
    return {
      get() {
        const at = this.$at;
        if (at < 0) throw core.stale();
        return f32[at + k];
      },
      set(value: number) {
        const at = this.$at;
        if (at < 0) throw core.stale();
        if (typeof value !== 'number') throw refuse(bound, field, value);
        f32[at + k] = value;
      },
    };
  },
  i32(bound, field) {
    const { core, views: { i32 } } = bound;
    const k = field.at >>> 2;
    return {
      get() {
        const at = this.$at;
        if (at < 0) throw core.stale();
        return i32[at + k];
      },
      set(value: number) {
        const at = this.$at;
        if (at < 0) throw core.stale();
        const fits = typeof value === 'number' && (value | 0) === value;
        if (!fits) throw refuse(bound, field, value);
        i32[at + k] = value;
      },
    };
  },
  u32(bound, field) {
    const { core, views: { u32 } } = bound;
    const k = field.at >>> 2;
    return {
      get() {
        const at = this.$at;
        if (at < 0) throw core.stale();
        return u32[at + k];
      },
      set(value: number) {
        const at = this.$at;
        if (at < 0) throw core.stale();
        const fits = typeof value === 'number' && value >>> 0 === value;
        if (!fits) throw refuse(bound, field, value);
        u32[at + k] = value;
      },
    };
  },
  str: textAccessor,
  bool(bound, field) {
    const { core, views: { i32 } } = bound;
    const k = field.at >>> 2;
    const shift = (field.at & 3) << 3;
    const keep = ~(0xff << shift);
    return {
      get() {
        const at = this.$at;
        if (at < 0) throw core.stale();
        return ((i32[at + k] >>> shift) & 0xff) !== 0;
      },
      set(value: boolean) {
        const at = this.$at;
        if (at < 0) throw core.stale();
        if (typeof value !== 'boolean') throw refuse(bound, field, value);
        i32[at + k] = (i32[at + k] & keep) | (Number(value) << shift);
      },
    };
  },
};

/** Text: read without a detour through its codec. */
function textAccessor(bound: Bound, field: Field): Accessor {
  const { core, views: { i32 } } = bound;
  const { memory } = core;
  const k = field.at >>> 2;
  const { set } = codecAccessor(bound, field, core.codecOf(field.kind));
  return {
    set,
    get() {
      const at = this.$at;
      if (at < 0) throw core.stale();
      const text = loadText(memory, i32[at + k]);
      if (text === null) throw core.corrupt(i32[at + k], 'it holds no text');
      return text;
    },
  };
}

function codecAccessor(bound: Bound, field: Field, codec: Codec): Accessor {
  const { core, views } = bound;
  const { word, i } = placeOf(field, codec.width);
  return {
    get() {
      const at = this.$at;
      if (at < 0) throw core.stale();
      return codec.load(views, at + word, i);
    },
    set(value: unknown) {
      const at = this.$at;
      if (at < 0) throw core.stale();
      try {
        codec.store(views, at + word, i, value);
      } catch (error) {
        throw named(bound, field, error);
      }
    },
  };
}

/** Inside the object: read as a view that pins it, written by copying. */
function inlineAccessor(bound: Bound, field: Field): Accessor {
  const { core } = bound;
  return {
    get() {
      if (this.$at < 0) throw core.stale();
      return core.pins.add(refOf(this), inlineView(core.memory, refOf(this), field));
    },
    set(value: unknown) {
      if (this.$at < 0) throw core.stale();
      try {
        setInline(core.memory, refOf(this), field, value);
      } catch (error) {
        throw named(bound, field, error);
      }
    },
  };
}
