/**
 * The worked example of the documentation, a discipline of a user's own, through the conformance
 * suite; and a discipline put in the place of another.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { file } from '../src/disciplines/file.ts';
import { heap } from '../src/disciplines/heap.ts';
import { nested } from '../src/disciplines/nested.ts';
import { best } from '../src/methods/best.ts';
import { last } from '../src/methods/last.ts';
import { createRegion, openRegion } from '../src/region/region.ts';
import { parseSize } from '../src/size.ts';
import type { Discipline } from '../src/types.ts';
import { describeRegion } from './support/conformance.ts';
import { REGION_FILE } from './support/conformance-reopening.ts';
import { expectCode } from './support/expect-code.ts';
import { temporaryDirectory } from './support/temp.ts';

type Sealed = (path: string, key: Uint8Array, capacity?: number) => Discipline;
const source = new URL('fixtures/sealed.mjs', import.meta.url);
const { sealed } = (await import(source.pathname)) as { sealed: Sealed };
const KEY = randomBytes(32);

for (const [method, order] of [[best, 'any'], [last, 'newest']] as const) {
  describeRegion({
    method,
    order,
    sizes: 'any',
    discipline: 'sealed',
    open: (dir, capacity = '16MiB') =>
      sealed(join(dir, REGION_FILE), KEY, parseSize(capacity, 'capacity')),
    reopens: true,
    shrinks: true,
  });
}

describe('the example', () => {
  test('hides what is in the region, and refuses a wrong key and a changed file', () => {
    const path = join(temporaryDirectory(), 'a.region');
    const region = createRegion(sealed(path, KEY), best);
    region.roots.set('secret', region.strdup('nobody is to read this'));
    region.close();
    expect(readdirSync(dirname(path))).toEqual(['a.region']);
    const bytes = readFileSync(path);
    expect(bytes.includes('nobody')).toBe(false);
    expect(bytes.includes('RGNSTOR')).toBe(false);
    expectCode('ERR_CORRUPT', () => openRegion(sealed(path, randomBytes(32))));
    for (const at of [0, 12, 28, bytes.length - 1]) {
      const bad = Buffer.from(bytes);
      bad[at] ^= 1;
      writeFileSync(path, bad);
      expectCode('ERR_CORRUPT', () => openRegion(sealed(path, KEY)));
    }
    writeFileSync(path, bytes);
    using again = openRegion(sealed(path, KEY));
    expect(again.string(again.roots.get('secret'))).toBe('nobody is to read this');
  });

  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  test('stands in the README as it is here', () => {
    const code = readFileSync(source, 'utf8').replace('export function', 'function').trim();
    expect(readme).toContain(code.slice(code.indexOf('/**')));
  });
});

/** Passes everything on and counts what it is asked for. */
function counting(inner: Discipline) {
  const asked = { resizes: 0, syncs: 0, closes: 0 };
  const wrapper: Discipline = {
    name: `counting ${inner.name}`,
    round: inner.round,
    capacity: inner.capacity,
    durable: inner.durable,
    open: () => inner.open(),
    window: (segment) => inner.window(segment),
    resize(segment, bytes) {
      asked.resizes += 1;
      return inner.resize(segment, bytes);
    },
    sync() {
      asked.syncs += 1;
      inner.sync();
    },
    close() {
      asked.closes += 1;
      inner.close();
    },
  };
  if (inner.lend !== undefined) wrapper.lend = (tenant) => inner.lend?.(tenant);
  return { wrapper, asked };
}

describe('setDiscipline', () => {
  test('memory comes through the new one, until the old one is put back', () => {
    const memory = heap({ capacity: '64MiB' });
    const region = createRegion(memory, best);
    const kept = region.strdup('kept');
    const { wrapper, asked } = counting(memory);
    expect(region.setDiscipline(wrapper)).toBe(memory);
    const big = region.alloc(5_000_000);
    region.bytes(big).fill(1);
    expect(asked.resizes).toBeGreaterThan(0);
    region.free(big);
    const { resizes } = asked;
    expect(region.compact()).toBeGreaterThan(4_000_000);
    expect(asked.resizes).toBeGreaterThan(resizes);
    region.sync();
    expect(asked.syncs).toBe(1);
    const before = { ...asked };
    expect(region.setDiscipline(memory)).toBe(wrapper);
    region.alloc(5_000_000);
    expect(asked).toEqual(before);
    expect(region.string(kept)).toBe('kept');
    expect(region.check()).toEqual([]);
    region.setDiscipline(wrapper);
    region.close();
    expect(asked.closes).toBe(1);
  });

  test('several segments, a file, a nested region', () => {
    const large = heap({ capacity: '5GiB' });
    using region = createRegion(large, best);
    const one = counting(large);
    region.setDiscipline(one.wrapper);
    region.alloc(2 ** 32 - 2 ** 21);
    expect(region.alloc(50_000_000)).toBeGreaterThan(2 ** 32);
    region.setDiscipline(large);

    const path = join(temporaryDirectory(), 'a.region');
    const disk = file(path);
    const direct = createRegion(disk, best);
    direct.setDiscipline(counting(disk).wrapper);
    direct.roots.set('n', 1);
    const inner = nested(direct);
    const within = createRegion(inner, best);
    const two = counting(inner);
    within.setDiscipline(two.wrapper);
    within.alloc(1_000_000);
    expect(two.asked.resizes).toBeGreaterThan(0);
    direct.close();
    expectCode('ERR_CLOSED', () => within.alloc(1));
    expect(two.asked.closes).toBe(1);
    using again = openRegion(file(path));
    expect(again.roots.get('n')).toBe(1);
    using back = openRegion(nested(again));
    expect(back.check()).toEqual([]);
  });

  test('a smaller capacity is the limit from now on', () => {
    const memory = heap({ capacity: '64MiB' });
    using region = createRegion(memory, best);
    region.setDiscipline({ ...counting(memory).wrapper, capacity: 2 ** 20 });
    expectCode('ERR_NO_SPACE', () => region.alloc(2 ** 20));
    expect(region.stat().capacity).toBe(2 ** 20);
    region.setDiscipline(memory);
    region.alloc(2 ** 20);
  });

  test('what serves other memory, or is no discipline, is refused', () => {
    const memory = heap({ capacity: '1MiB' });
    using region = createRegion(memory, best);
    const { wrapper } = counting(memory);
    const shifted = (segment: number) => memory.window(segment).subarray(16);
    const wrong: unknown[] = [
      undefined, null, 7, 'heap', {}, { window: () => {} },
      heap({ capacity: '1MiB' }),
      { ...wrapper, window: () => new Uint8Array(2 ** 20) },
      { ...wrapper, window: shifted },
      { ...wrapper, window: (segment: number) => memory.window(segment).subarray(0, 2 ** 19) },
      { ...wrapper, durable: true },
      { ...wrapper, round: 100 },
      { ...wrapper, round: 0 },
      { ...wrapper, round: Number.NaN },
      { ...wrapper, round: 2 ** 30 },
    ];
    for (const next of wrong) {
      expectCode('ERR_MISMATCH', () => region.setDiscipline(next as Discipline));
    }
    expect(region.setDiscipline(memory)).toBe(memory);
    expect(region.check()).toEqual([]);
  });

  test('the handler may veto; it sees what is to come', () => {
    const memory = heap({ capacity: '1MiB' });
    let answer: unknown = false;
    const seen: string[] = [];
    const region = createRegion(memory, best, { on: {
      discipline(next, { name }) {
        seen.push(`${next.name} for ${name}`);
        return answer;
      },
    } });
    const { wrapper, asked } = counting(memory);
    expectCode('ERR_BUSY', () => region.setDiscipline(wrapper));
    expectCode('ERR_MISMATCH', () => region.setDiscipline(heap({ capacity: '1MiB' })));
    region.alloc(200_000);
    expect(asked.resizes).toBe(0);
    answer = undefined;
    expect(region.setDiscipline(wrapper)).toBe(memory);
    expect(seen).toEqual(['counting heap for heap', 'counting heap for heap']);
    region.close();
    expectCode('ERR_CLOSED', () => region.setDiscipline(memory));
  });
});
