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
  .map(([value, links]) => {
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
