/** Random JavaScript values of every sort a heap keeps, with shared references and cycles. */
import fc from 'fast-check';

const leaves = fc.oneof(fc.constantFrom(undefined, null, true, false, NaN, -0, Infinity),
  fc.double(), fc.bigInt(), fc.string({ unit: 'binary' }), fc.date({ noInvalidDate: false }),
  fc.uint8Array(), fc.float64Array(), fc.int16Array());

const trees = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof({ maxDepth: 4, withCrossShrink: true }, leaves,
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(fc.string({ unit: 'binary' }), tie('value'), { maxKeys: 5 }),
    fc.array(fc.tuple(fc.oneof(fc.string(), fc.integer(), fc.bigInt()), tie('value')),
      { maxLength: 4 }).map((pairs) => new Map(pairs)),
    fc.uniqueArray(fc.oneof(fc.string(), fc.integer()), { maxLength: 4 })
      .map((values) => new Set<unknown>(values))),
})).value;

/** Trees, then references between their containers. */
export const graphs = fc.tuple(trees, fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 4 }))
  .map(([tree, links]) => {
    // fast-check keeps what it made, and may give it again.
    const value: unknown = structuredClone(tree);
    const containers = containersIn(value);
    if (containers.length === 0) return value;
    for (const [from, to] of links) {
      link(containers[from % containers.length], containers[to % containers.length], to);
    }
    return value;
  });

function link(source: object, target: object, n: number): void {
  if (Array.isArray(source)) source.push(target);
  else if (source instanceof Map) source.set(`link ${n}`, target).set(target, n);
  else if (source instanceof Set) source.add(target);
  else (source as Record<string, unknown>)[`link ${n}`] = target;
}

function containersIn(value: unknown): object[] {
  if (typeof value !== 'object' || value === null) return [];
  if (ArrayBuffer.isView(value) || value instanceof Date) return [];
  const inside = value instanceof Map || value instanceof Set ? [...value.values()]
    : Object.values(value);
  return [value, ...inside.flatMap(containersIn)];
}

/**
 * A graph as lines, one for each container in the order they are met: equal where the graphs are,
 * order and identity included. (deepStrictEqual gives up on some cycles, v8.serialize tells the
 * integer 1 from the float 1.)
 */
export function picture(root: unknown): string[] {
  const met = new Map<object, number>();
  const all: object[] = [];
  const tell = (value: unknown): string => {
    if (typeof value !== 'object' || value === null) {
      return Object.is(value, -0) ? '-0' : `${typeof value} ${String(value)}`;
    }
    const name = className(value);
    if (value instanceof Date) return `Date ${value.getTime()}`;
    if (ArrayBuffer.isView(value)) return `${name} ${[...value as Uint8Array].map(tell).join()}`;
    if (!met.has(value)) met.set(value, all.push(value));
    return `#${met.get(value)}`;
  };
  const lines = [tell(root)];
  for (const one of all) {
    const entries = one instanceof Map ? [...one].flat() : one instanceof Set ? [...one]
      : Object.entries(one).flat();
    lines.push(`${className(one)} ${entries.map(tell).join(', ')}`);
  }
  return lines;
}

/** A property may be called `constructor`, too. */
function className(value: object): string {
  return (Object.getPrototypeOf(value) as { constructor: { name: string } }).constructor.name;
}
