/** Named roots: contract, growth, the order of writes, and every clause of R6 and R7. */
import { describe, expect, test } from 'vitest';
import { heap } from '../src/disciplines/heap.ts';
import { HEADER, ROOT, ROOTS_BLOCK } from '../src/layout.ts';
import { best } from '../src/methods/best.ts';
import { last } from '../src/methods/last.ts';
import { createRegion } from '../src/region/region.ts';
import type { Discipline, Region } from '../src/types.ts';
import { expectCode } from './support/expect-code.ts';
import { newSeed, randomFrom } from './support/oracle.ts';

function setup(method = best): { region: Region; memory: Discipline; header: DataView } {
  const memory = heap({ capacity: '64MiB' });
  const region = createRegion(memory, method);
  return { region, memory, header: new DataView(memory.window(0).buffer) };
}

describe('roots', () => {
  test('get, set, add and delete', () => {
    const { region: { roots } } = setup();
    expect(roots.get('none')).toBe(0);
    roots.set('a', 4711);
    roots.set('zero', 0);
    expect(roots.get('a')).toBe(4711);
    expect(roots.add('a', 5)).toBe(4716);
    expect(roots.add('new', 7)).toBe(7);
    expect(roots.add('new', -10)).toBe(-3);
    expect([...roots]).toEqual([['a', 4716], ['zero', 0], ['new', -3]]);
    expect(roots.delete('a')).toBe(true);
    expect(roots.delete('a')).toBe(false);
    expect(roots.get('a')).toBe(0);
    roots.set('most', Number.MAX_SAFE_INTEGER);
    expect(roots.get('most')).toBe(Number.MAX_SAFE_INTEGER);
  });

  test.each(['', '\0', 'a\0b', '\ud800', 'x'.repeat(256), 'é'.repeat(128), 7, null, undefined])(
    'the name %j is refused by every call', (name) => {
      const { region: { roots } } = setup();
      const wrong = name as string;
      expectCode('ERR_BAD_OPTION', () => roots.get(wrong));
      expectCode('ERR_BAD_OPTION', () => roots.set(wrong, 1));
      expectCode('ERR_BAD_OPTION', () => roots.add(wrong, 1));
      expectCode('ERR_BAD_OPTION', () => roots.delete(wrong));
      expect([...roots]).toEqual([]);
    });

  test.each([-1, 1.5, Number.NaN, 2 ** 53, '1', undefined])('the value %j is refused', (value) => {
    const { region: { roots } } = setup();
    roots.set('a', 1);
    expectCode('ERR_BAD_OPTION', () => roots.set('a', value as number));
    expect(roots.get('a')).toBe(1);
  });

  test('a sum that is no whole number leaves the root as it was', () => {
    const { region: { roots } } = setup();
    roots.set('a', Number.MAX_SAFE_INTEGER);
    expectCode('ERR_BAD_OPTION', () => roots.add('a', 1));
    expectCode('ERR_BAD_OPTION', () => roots.add('a', 0.5));
    expect(roots.get('a')).toBe(Number.MAX_SAFE_INTEGER);
  });

  test('names of 255 bytes, names that differ by one character, names that are prefixes', () => {
    const { region: { roots } } = setup();
    const names = ['x'.repeat(255), `${'x'.repeat(254)}y`, 'x', 'xx', '😀', '__proto__', 'toString'];
    names.forEach((name, i) => roots.set(name, i + 1));
    names.forEach((name, i) => expect(roots.get(name)).toBe(i + 1));
  });

  test.each([best, last])('thousands of roots come and go in $name, in order', (method) => {
    const { region } = setup(method);
    const seed = newSeed();
    const random = randomFrom(seed);
    const model = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const name = `${random(1500)} ${'n'.repeat(random(40))}`.slice(0, 12);
      if (random(3) === 0) {
        expect(region.roots.delete(name), `seed ${seed}`).toBe(model.delete(name));
      } else {
        region.roots.set(name, i);
        model.set(name, i);
      }
    }
    expect([...region.roots], `seed ${seed}`).toEqual([...model]);
    expect(region.check()).toEqual([]);
    expect(region.stat().busyBlocks).toBe(0);
    region.clear();
    expect([...region.roots]).toEqual([]);
  });

  test('setting and deleting for ever takes no more memory', () => {
    const { region } = setup();
    for (let i = 0; i < 500; i++) region.roots.set(`kept ${i}`, i);
    const once = () => {
      for (let i = 0; i < 1000; i++) {
        region.roots.set(`gone ${i}`, i);
        region.roots.delete(`gone ${i}`);
      }
      return region.stat().extent - region.stat().freeBytes;
    };
    const first = once();
    expect(once()).toBeLessThan(first * 1.1);
    expect(region.roots.get('kept 499')).toBe(499);
  });

  test('iterating is not disturbed by changes', () => {
    const { region: { roots } } = setup();
    for (let i = 0; i < 500; i++) roots.set(`root ${i}`, i);
    let seen = 0;
    for (const [name] of roots) {
      roots.delete(name);
      roots.set(`again ${name}`, 1);
      seen += 1;
    }
    expect(seen).toBe(500);
    expect([...roots].length).toBe(500);
  });
});

/** What `check` says after `damage` to a region with three roots in the header page. */
function findingsOf(damage: (view: DataView, at: number) => void) {
  const { region, header } = setup();
  for (const name of ['aaa', 'bbb', 'ccc']) region.roots.set(name, 16);
  damage(header, HEADER.roots);
  return region.check().map(({ id, address }) => ({ id, address }));
}

describe('R6: the roots', () => {
  const second = HEADER.roots + 24;

  test('a name that is not UTF-8', () => {
    const found = findingsOf((view) => view.setUint8(second + ROOT.name, 0xff));
    expect(found).toContainEqual({ id: 'R6', address: second });
  });
  test('a wrong hash', () => {
    const found = findingsOf((view) => view.setUint32(second + ROOT.hash, 1, true));
    expect(found).toEqual([{ id: 'R6', address: second }]);
  });
  test('a value that is no whole number', () => {
    const found = findingsOf((view) => view.setFloat64(second + ROOT.address, 0.5, true));
    expect(found).toEqual([{ id: 'R6', address: second }]);
  });
  test('a name that is there twice', () => {
    const found = findingsOf((view, at) => {
      for (let i = ROOT.hash; i < 24; i++) view.setUint8(second + i, view.getUint8(at + i));
    });
    expect(found).toEqual([{ id: 'R6', address: second }]);
  });
  test('an entry that does not fit its table', () => {
    const found = findingsOf((view) => view.setUint16(second + ROOT.nameBytes, 5000, true));
    expect(found).toEqual([{ id: 'R6', address: HEADER.roots }]);
  });
});

describe('R7: the block of the roots', () => {
  const grown = () => {
    const made = setup();
    for (let i = 0; i < 300; i++) made.region.roots.set(`a name that is long enough ${i}`, i);
    const block = made.header.getFloat64(HEADER.rootsBlock, true);
    expect(block).toBeGreaterThan(0);
    return { ...made, block };
  };

  test.each([1e15, -16, 8, 16, 0.5, Number.NaN])('a block at %d', (address) => {
    const { region, header } = grown();
    header.setFloat64(HEADER.rootsBlock, address, true);
    expect(region.check()).toMatchObject([{ id: 'R7', address: HEADER.rootsBlock }]);
    expectCode('ERR_CORRUPT', () => region.roots.get('a'));
  });

  test.each([1e15, 0, -8, 12, Number.NaN])('a length of %d', (bytes) => {
    const { region, header, block } = grown();
    header.setFloat64(block + ROOTS_BLOCK.bytes, bytes, true);
    expect(region.check().map(({ id }) => id)).toContain('R7');
  });

  test('a spare that is not there', () => {
    const { region, header, block } = grown();
    header.setFloat64(block + ROOTS_BLOCK.spare, 12345, true);
    expect(region.check()).toMatchObject([{ id: 'R7', address: block + ROOTS_BLOCK.spare }]);
  });
});
