/** Tables, sizes, colour and progress of the command line, without a process. */
import { describe, expect, test } from 'vitest';
import { type Output, OutputClosed, outputTo, type Sink } from '../src/cli/output.ts';
import { progressOn } from '../src/cli/progress.ts';
import { barOf, counted, humanSize, printable, someOf, table } from '../src/cli/table.ts';

const plain = (text: string) => text;

describe('text', () => {
  test.each([
    [0, '0 B'], [1023, '1023 B'], [1024, '1 KiB'], [1536, '1.5 KiB'], [2 ** 20 - 1, '1024.0 KiB'],
    [2 ** 20, '1 MiB'], [5.25 * 2 ** 30, '5.3 GiB'], [2 ** 60, '1024 PiB'],
  ])('humanSize(%d)', (bytes, text) => {
    expect(humanSize(bytes)).toBe(text.replace('1024.0 KiB', '1024 KiB'));
  });

  test('counted, someOf', () => {
    expect([counted(0, 'page'), counted(1, 'page'), counted(2, 'page')])
      .toEqual(['0 pages', '1 page', '2 pages']);
    expect(someOf(['a', 'b'])).toBe('a, b');
    expect(someOf(['a', 'b', 'c'], 2)).toBe('a, b and 1 more');
  });

  test('bars, in eighths on a terminal', () => {
    expect([0, 0.01, 0.5, 0.9999, 1, 2, -1].map((part) => barOf(part, 10, true)))
      .toEqual(['', '▏', '█████', '██████████', '██████████', '██████████', '']);
    expect(barOf(0.5625, 2, true)).toBe('█▏');
    expect([0, 0.04, 0.06, 1].map((part) => barOf(part, 10, false)))
      .toEqual(['', '', '#', '##########']);
  });

  test('nothing that steers a terminal is printed', () => {
    const hostile = 'a\x1b[2J\r\n\u009b1m\u202e\u2028ü漢😀';
    expect(printable(hostile))
      .toBe('a\\u{1b}[2J\\u{d}\\u{a}\\u{9b}1m\\u{202e}\\u{2028}ü漢😀');
  });
});

describe('tables', () => {
  const columns = [
    { title: 'NAME', text: (row: [string, number]) => row[0] },
    { title: 'N', text: (row: [string, number]) => String(row[1]), right: true },
  ];

  test('columns are as wide as their widest cell', () => {
    expect([...table(columns, [['a', 1], ['😀ber', 1234]], (text) => `<${text}>`)])
      .toEqual(['<NAME     N>', 'a        1', '😀ber  1234']);
    expect([...table(columns, [], plain)]).toEqual(['NAME  N']);
  });

  test('with fixed widths rows are taken one by one', () => {
    const fixed = columns.map((column) => ({ ...column, width: 5 }));
    function* endless(): Generator<[string, number]> {
      for (let i = 0; ; i++) yield ['x', i];
    }
    const lines = table(fixed, endless(), plain);
    expect([lines.next().value, lines.next().value, lines.next().value])
      .toEqual(['NAME       N', 'x          0', 'x          1']);
  });
});

/** A stdout that records, and fails with `code` after `pieces` writes. */
function sink(options: { tty?: boolean; colours?: boolean; pieces?: number; code?: string } = {}) {
  const written: string[] = [];
  const made: Sink = {
    write(text, done) {
      if (written.length === (options.pieces ?? Number.POSITIVE_INFINITY)) {
        done?.(Object.assign(new Error('broken'), { code: options.code }));
        return false;
      }
      written.push(text);
      done?.();
      return true;
    },
    on: () => {},
    ...(options.tty ? { isTTY: true, hasColors: () => options.colours === true } : {}),
  };
  return { made, written };
}

describe('output', () => {
  const heads = (output: Output) => [output.head('x'), output.alarm('x'), output.isTerminal];

  test('colour is for terminals that want it', () => {
    expect(heads(outputTo(sink().made))).toEqual(['x', 'x', false]);
    expect(heads(outputTo(sink({ tty: true }).made))).toEqual(['x', 'x', true]);
    expect(heads(outputTo(sink({ tty: true, colours: true }).made)))
      .toEqual(['\x1b[1mx\x1b[22m', '\x1b[31mx\x1b[39m', true]);
  });

  test('long outputs are written in pieces', async () => {
    const { made, written } = sink();
    const output = outputTo(made);
    expect(output.hasPrinted()).toBe(false);
    const lines = Array.from({ length: 50_000 }, (_, i) => `line ${i}`);
    await output.print(lines);
    expect(written.length).toBeGreaterThan(5);
    expect(written.join('')).toBe(`${lines.join('\n')}\n`);
    expect(output.hasPrinted()).toBe(true);
  });

  test('a reader that went away ends it, and no more lines are made', async () => {
    const { made } = sink({ pieces: 1, code: 'EPIPE' });
    let taken = 0;
    function* lines(): Generator<string> {
      for (; ; taken++) yield 'x'.repeat(1000);
    }
    await expect(outputTo(made).print(lines())).rejects.toThrow(OutputClosed);
    expect(taken).toBeLessThan(200);
  });

  test('other failures are errors', async () => {
    const { made } = sink({ pieces: 0, code: 'ENOSPC' });
    await expect(outputTo(made).print(['x'])).rejects.toMatchObject({ code: 'ERR_NO_SPACE' });
  });
});

describe('progress', () => {
  function terminal(isTTY: boolean, columns = 40) {
    let now = 1000;
    const shown: string[] = [];
    const write = (text: string) => shown.push(text);
    const progress = progressOn({ write, isTTY, columns }, () => now);
    return { shown, progress, pass: (ms: number) => {
      now += ms;
    } };
  }

  test('after half a second, at most ten times a second, erased in the end', () => {
    const { shown, progress, pass } = terminal(true);
    progress.step('block', 1, 100);
    pass(499);
    progress.step('block', 2, 100);
    expect(shown).toEqual([]);
    pass(1);
    progress.step('block', 10, 100);
    pass(99);
    progress.step('block', 11, 100);
    expect(shown).toEqual(['\r\x1b[Kblock 10 of 100, 5 s left']);
    pass(1);
    progress.step('a name that is longer than the terminal is wide', 1, 0);
    expect(shown[1].length).toBeLessThanOrEqual(40 + 3);
    progress.clear();
    progress.clear();
    expect(shown.slice(2)).toEqual(['\r\x1b[K']);
  });

  test('a bar where there is room, sizes as they are to be written, time left of each kind', () => {
    const { shown, progress, pass } = terminal(true, 100);
    pass(10_000);
    progress.step('reading', 0, 1000, (n) => `${n} KiB`);
    pass(2000);
    progress.step('reading', 250, 1000, (n) => `${n} KiB`);
    pass(1_000_000);
    progress.step('counting', 1, 3);
    pass(100_000);
    progress.step('counting', 2, 3);
    pass(100);
    progress.step('counting', 4, 3);
    expect(shown.map((line) => line.slice(4))).toEqual([
      'reading 0 KiB of 1000 KiB ░░░░░░░░░░░░░░░░░░░░ 0 %',
      'reading 250 KiB of 1000 KiB █████░░░░░░░░░░░░░░░ 25 %, 6 s left',
      'counting 1 of 3 ██████░░░░░░░░░░░░░░ 33 %',
      'counting 2 of 3 █████████████░░░░░░░ 66 %, 50 s left',
      'counting 4 of 3 ████████████████████ 100 %',
    ]);
  });

  test('silent where nobody looks', () => {
    const { shown, progress, pass } = terminal(false);
    pass(5000);
    progress.step('block', 1, 2);
    progress.clear();
    expect(shown).toEqual([]);
  });
});
