/**
 * Where the fields of a struct lie in its objects. Wide fields first, so that nothing is lost to
 * alignment; what is small fills the gap behind the tag. The layout is stored with the type: other
 * programs, and later versions of this one, need not come to the same.
 */
import { OBJECT } from '../layout-objects.ts';
import { type Kind, textOf } from './kinds.ts';

const WORD_BYTES = 4;
const WIDEST = 8;

/** A field in its place. */
export interface Field {
  readonly name: string;
  readonly kind: Kind;
  /** Bytes from the start of the object. */
  readonly at: number;
  /** What it was called in the type before; absent where it is new. */
  readonly was?: string;
}

export interface Layout {
  readonly name: string;
  /** In the order of declaration. */
  readonly fields: readonly Field[];
  /** Of an object, its tag included. */
  readonly bytes: number;
  /** Number of the type that objects of this struct had before. */
  readonly previous?: number;
}

/** Bytes of a field inside an object; `widthOf` = bytes of a slot of a kind. */
export function inlineBytes(kind: Kind, widthOf: (kind: Kind) => number): number {
  if (kind.name === 'bytes' && kind.length !== undefined) return kind.length;
  if (kind.name !== 'array' || kind.of === undefined) return widthOf(kind);
  return (kind.length ?? 0) * NUMBER_BYTES[kind.of.name as keyof typeof NUMBER_BYTES];
}

/** Bytes of an element of a typed array. */
const NUMBER_BYTES = { u8: 1, i8: 1, u16: 2, i16: 2, u32: 4, i32: 4, f32: 4, f64: 8, i64: 8,
  u64: 8 } as const;

/** Lies inside the object, seen through a view, not in a slot. */
export function isInline({ name, length }: Kind): boolean {
  return name === 'array' || (name === 'bytes' && length !== undefined);
}

export function layOut(
  name: string, kinds: readonly (readonly [string, Kind])[], widthOf: (kind: Kind) => number,
): Layout {
  const places = new Map<string, number>();
  const holes: { at: number; bytes: number }[] = [];
  let end = OBJECT.fields * WORD_BYTES;
  const place = (bytes: number, align: number): number => {
    const hole = holes.find((one) => one.bytes >= bytes && one.at % align === 0);
    if (hole !== undefined) {
      hole.at += bytes;
      hole.bytes -= bytes;
      return hole.at - bytes;
    }
    const at = Math.ceil(end / align) * align;
    if (at > end) holes.push({ at: end, bytes: at - end });
    end = at + bytes;
    return at;
  };
  const sized = kinds.map(([field, kind]) => {
    const bytes = inlineBytes(kind, widthOf);
    return { field, bytes, align: isInline(kind) ? WIDEST : bytes };
  });
  for (const { field, bytes, align } of sized.toSorted((a, b) => b.align - a.align)) {
    places.set(field, place(bytes, align));
  }
  const fields = kinds.map(([field, kind]) => ({ name: field, kind, at: places.get(field) ?? 0 }));
  return { name, fields, bytes: end };
}

/** What is stored of a layout, and compared: two structs are the same where this is. */
export function describe({ name, fields, ...rest }: Layout): string {
  const texts = fields.map((field) => ({ ...field, kind: textOf(field.kind) }));
  return JSON.stringify({ struct: name, ...rest, fields: texts });
}
