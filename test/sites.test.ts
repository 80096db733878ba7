/** Call sites of the program, and the table in which a region keeps them. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { SITES } from '../src/layout-debug.ts';
import { formatSites, MOST_KEY_BYTES, SiteTable } from '../src/methods/site-table.ts';
import { callSite, callStack } from '../src/sites.ts';
import { newSeed, randomFrom } from './support/oracle.ts';

const HERE = fileURLToPath(import.meta.url);
const lines = readFileSync(HERE, 'utf8').split('\n');

function inner(): string {
  return callSite(); // inner
}

function outer(depth: number): string[] {
  return [1].map(() => callStack(depth))[0]; // outer
}

describe('call sites', () => {
  test('are file, line of the source and function', () => {
    const line = lines.findIndex((text) => text.endsWith('// inner')) + 1;
    expect(inner()).toBe(`${HERE}:${line}:inner`);
    expect(inner()).toBe(`${HERE}:${line}:inner`);
  });

  test('stacks are innermost first and as deep as was asked for', () => {
    const stack = outer(3);
    expect(stack).toHaveLength(3);
    const line = lines.findIndex((text) => text.endsWith('// outer')) + 1;
    expect(stack[1]).toBe(`${HERE}:${line}:outer`);
    expect(outer(1)).toEqual([stack[0]]);
  });

  test('a constructor says so; deep recursion is cut', () => {
    class Made {
      readonly at: string;
      constructor() {
        this.at = callSite();
      }
    }
    expect(new Made().at).toMatch(/:new Made$/);
    const deep = (n: number): string[] => (n === 0 ? callStack(8) : deep(n - 1));
    const stack = deep(500);
    expect(stack).toHaveLength(8);
    expect(new Set(stack.map((site) => site.split(':').at(-1)))).toEqual(new Set(['deep']));
  });

  test('what the program set for stack traces is as it was, and may even throw', () => {
    const { prepareStackTrace, stackTraceLimit } = Error;
    const own = () => {
      throw new Error('mine');
    };
    try {
      Error.prepareStackTrace = own;
      Error.stackTraceLimit = 3;
      const at = callSite(); // own
      expect(Error.prepareStackTrace).toBe(own);
      expect(Error.stackTraceLimit).toBe(3);
      expect(at).toMatch(/sites\.test\.ts:\d+:/);
    } finally {
      Error.prepareStackTrace = prepareStackTrace;
      Error.stackTraceLimit = stackTraceLimit;
    }
  });
});

describe('the table', () => {
  const newTable = (n: number) => {
    const words = new Int32Array(64 + n);
    formatSites(words, 64, n);
    return { words, table: new SiteTable(words, 64, n) };
  };

  test('a text has one name, whoever asks, and is read by others', () => {
    const { words, table } = newTable(1 << 14);
    const texts = Array.from({ length: 300 }, (_, i) => `/a/b/c${i % 100}.js:${i}:f日本`);
    const names = texts.map((text) => table.nameOf(text));
    expect(new Set(names).size).toBe(300);
    const other = new SiteTable(words, 64, 1 << 14);
    expect(texts.map((text) => other.nameOf(text))).toEqual(names);
    expect(names.map((name) => other.textOf(name))).toEqual(texts);
    expect([...other.names()]).toEqual(names);
    expect(words[64 + SITES.count]).toBe(300);
    expect(other.problem()).toBe('');
  });

  test('when it is full a new text has no name; known ones keep theirs', () => {
    const { table } = newTable(256);
    const names = Array.from({ length: 50 }, (_, i) => table.nameOf(`a call site, number ${i}`));
    expect(names.filter((name) => name === 0).length).toBeGreaterThan(25);
    expect(table.nameOf('a call site, number 3')).toBe(names[3]);
    expect(table.textOf(names[3])).toBe('a call site, number 3');
    expect(table.problem()).toBe('');
  });

  test('a long text keeps its end; the empty one and strange names are nothing', () => {
    const { table } = newTable(4096);
    const text = `${'x'.repeat(5000)}/end.js:1:f`;
    expect(table.textOf(table.nameOf(text))).toBe(text.slice(-MOST_KEY_BYTES));
    for (const name of [0, -1, 1, 3, 5000, 2 ** 31, Number.NaN]) {
      expect(table.textOf(name)).toBe('');
    }
  });

  test('over any bytes it ends and stays inside', () => {
    const random = randomFrom(newSeed());
    for (let round = 0; round < 300; round++) {
      const { words, table } = newTable(512);
      for (let i = 0; i < 10; i++) table.nameOf(`site ${i}`);
      for (let i = 0; i < 5; i++) words[64 + random(512)] = random(2 ** 32) | 0;
      const before = words.slice(0, 64);
      const damaged = new SiteTable(words, 64, 512);
      damaged.problem();
      for (let i = 0; i < 600; i += 7) damaged.textOf(i);
      expect([...damaged.names()].length).toBeLessThan(256);
      for (let i = 0; i < 30; i++) damaged.nameOf(`other ${i}`);
      expect(words.slice(0, 64)).toEqual(before);
    }
  });
});
