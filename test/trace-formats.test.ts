/** Traces in text, conversions, and telling formats apart by what is in a file. */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { Trace } from '../src/trace/trace.ts';
import { formatOfName, readTrace, type TraceFormat, writeTrace } from '../src/trace/trace-file.ts';
import { expectCode } from './support/expect-code.ts';
import { newSeed, often, randomFrom } from './support/oracle.ts';
import { temporaryDirectory } from './support/temp.ts';
import { fileWith, randomTrace } from './support/traces.ts';

const FIXTURES = fileURLToPath(new URL('./fixtures/traces', import.meta.url));
const FORMATS: readonly TraceFormat[] = ['vmt', 'vmt.gz', 'rep', 'rep.gz', 'lines', 'lines.gz'];
const READER = new URL('../dist/src/trace/trace-file.js', import.meta.url).href;
const seed = newSeed();

/** What every format keeps. */
function essence({ origins: _, originOf: __, strangers: ___, ...rest }: Trace): object {
  return { ...rest, records: Buffer.from(rest.records.buffer, rest.records.byteOffset,
    rest.records.byteLength).toString('hex') };
}

function recordsOf(text: string): number[] {
  return [...readTrace(fileWith(text)).records];
}

function refused(text: string): string {
  return expectCode('ERR_CORRUPT', () => readTrace(fileWith(text))).message;
}

describe('every format holds the same trace', () => {
  test.each(['convert', 'lua'].slice(0, often(1, 2)))('%s, from each format to each', (name) => {
    const trace = readTrace(join(FIXTURES, `${name}.vmt.gz`));
    const dir = temporaryDirectory();
    for (const format of FORMATS) {
      // The name says nothing: reading goes by what is inside.
      const path = join(dir, `as-${format.replace('.', '-')}`);
      writeTrace(path, trace, format);
      expect(essence(readTrace(path)), format).toEqual(essence(trace));
    }
  });

  test(`random traces (seed ${seed})`, () => {
    const random = randomFrom(seed);
    const dir = temporaryDirectory();
    for (let round = 0; round < 60; round += 1) {
      const trace = randomTrace(random, random(400));
      const [first, second] = [FORMATS[random(6)], FORMATS[random(6)]];
      writeTrace(join(dir, 'a'), trace, first);
      // A text without an operation has nothing to be known by.
      if (trace.operations === 0) continue;
      writeTrace(join(dir, 'b'), readTrace(join(dir, 'a')), second);
      expect(essence(readTrace(join(dir, 'b'))), `${first} → ${second}`).toEqual(essence(trace));
    }
  });

  test('an empty trace', () => {
    const trace = randomTrace(randomFrom(1), 0);
    const dir = temporaryDirectory();
    for (const format of FORMATS) {
      writeTrace(join(dir, 'a'), trace, format);
      expect(essence(readTrace(join(dir, 'a'))), format).toEqual(essence(trace));
    }
  });

  test('that a recording was cut off is kept where there is a place for it', () => {
    const trace = { ...randomTrace(randomFrom(3), 50), cutOff: true };
    const dir = temporaryDirectory();
    const after = FORMATS.map((format) => {
      writeTrace(join(dir, 'a'), trace, format);
      return readTrace(join(dir, 'a')).cutOff;
    });
    expect(after).toEqual([true, true, false, false, true, true]);
  });

  test('lines keep regions, methods and call sites', () => {
    const text = '0:16:10:0:one:best:a.ts:1:f\n0:16:20z:0:two:slab\n16:16:30:0:one:best:b.ts:2:g\n';
    const trace = readTrace(fileWith(text));
    expect(trace.origins).toEqual([
      { region: 'one', method: 'best', site: 'a.ts:1:f' },
      { region: 'two', method: 'slab', site: '' },
      { region: 'one', method: 'best', site: 'b.ts:2:g' },
    ]);
    expect([...(trace.originOf ?? [])]).toEqual([0, 1, 2]);
    const path = join(temporaryDirectory(), 'again.trace');
    writeTrace(path, trace);
    expect(readTrace(path)).toEqual(trace);
  });
});

describe('names and formats', () => {
  test.each<[string, TraceFormat | null]>([
    ['a.vmt', 'vmt'], ['a.vmt.gz', 'vmt.gz'], ['A.VMT.GZ', 'vmt.gz'], ['a.rep', 'rep'],
    ['a.trace', 'lines'], ['a.trace.gz', 'lines.gz'], ['a.txt', 'lines'], ['a.gz', null],
    ['a', null], ['a.vmt.bz', null],
  ])('%s', (name, format) => expect(formatOfName(name)).toBe(format));

  test('unknown ones are refused, and nothing is written', () => {
    const dir = temporaryDirectory();
    const trace = randomTrace(randomFrom(2), 5);
    expectCode('ERR_BAD_OPTION', () => writeTrace(join(dir, 'a.doc'), trace));
    expectCode('ERR_BAD_OPTION', () => writeTrace(join(dir, 'a.vmt'), trace, 'csv' as 'vmt'));
    expectCode('ERR_IO', () => writeTrace(join(dir, 'no', 'a.vmt'), trace));
    expectCode('ERR_IO', () => readTrace(join(dir, 'a.doc')));
    expectCode('ERR_IO', () => readTrace(dir));
  });

  test.each<[string, string | Uint8Array, RegExp]>([
    ['nothing', '', /empty/],
    ['comments alone', '# hello\n\n', /no event/],
    ['prose', 'Dear reader,\n', /begins with "Dear reader,"/],
    ['JSON', '{"a":1}\n', /begins with/],
    ['a picture', Buffer.from('89504e470d0a1a0a0000000d', 'hex'), /binary/],
    ['zeros', new Uint8Array(5000), /binary/],
    ['packed prose', gzipSync('Dear reader,\n'), /begins with "Dear reader,"/],
    ['a broken archive', Buffer.from('1f8b08000000', 'hex'), /empty/],
    ['a foreign archive', Buffer.from('1f8b0800000000000003ffffffffff', 'hex'), /decompressed/],
  ])('%s is no trace', (_what, contents, message) => {
    expect(expectCode('ERR_CORRUPT', () => readTrace(fileWith(contents))).message).toMatch(message);
  });

  test('a bomb is refused by its beginning', () => {
    const bomb = gzipSync(Buffer.alloc(2 ** 28), { level: 9 });
    const before = process.resourceUsage().maxRSS;
    expectCode('ERR_CORRUPT', () => readTrace(fileWith(bomb)));
    expect(process.resourceUsage().maxRSS - before).toBeLessThan(100 * 1024);
  });
});

describe('.rep', () => {
  const HEAD = '100\n3\n4\n1\n';

  test('every kind of line', () => {
    const text = `100\n3\n6\n1\na 0 10\nz 1 20\nm 2 30 64\nr 0 40\nf 1\nf 0\n`;
    expect(recordsOf(text))
      .toEqual([0, 10, 8 + 4, 20, 16 + 3, 64, 16, 30, 2, 40, 8 + 1, 0, 1, 0]);
    expect(readTrace(fileWith(text))).toMatchObject({ slots: 3, operations: 6, peakBytes: 90,
      peakBlocks: 3, leftBlocks: 1, leftBytes: 30, cutOff: false });
  });

  test('the tolerances: two lines of header, f -1, r of a dead id, ids again, blanks, CRLF', () => {
    expect(recordsOf('2\n6\na 0 10\nf -1\nf 0\nr 0 5\nf 0\na 1 7\n'))
      .toEqual([0, 10, 1, 0, 0, 5, 1, 0, 0, 7]);
    expect(recordsOf('2\n1\nr 1 5\n')).toEqual([0, 5]);
    expect(recordsOf('# made by hand\r\n\r\n2\r\n1\r\n  a 1  5 \r\n')).toEqual([0, 5]);
    expect(recordsOf('2\n1\na 1 5')).toEqual([0, 5]);
    // The operations without the skipped ones may be counted, too.
    expect(recordsOf('1\n2\na 0 10\nf -1\nf 0\n')).toEqual([0, 10, 1, 0]);
  });

  test('the last slot freed is the first reused', () => {
    const ops = ['a 0 1', 'a 1 1', 'a 2 1', 'f 0', 'f 2', 'a 3 1', 'a 4 1', 'a 5 1'];
    const slots = recordsOf(`6\n8\n${ops.join('\n')}\n`).filter((_, i) => i % 2 === 0)
      .map((word) => word >>> 3);
    expect(slots).toEqual([0, 1, 2, 0, 2, 2, 0, 3]);
  });

  test.each<[string, string, RegExp]>([
    ['R1: no header', 'a 0 1\n', /line 1: R1/],
    ['R1: one number', '1\na 0 1\n', /line 2: R1/],
    ['R1: three numbers', '1\n1\n1\na 0 1\n', /line 4: R1/],
    ['R1: five numbers', '1\n1\n1\n1\n1\na 0 1\n', /line 5: R1/],
    ['R1: nothing but a number', '1\n', /R1/],
    ['R2: another operation', `${HEAD}a 0 1\nx 0 1\n`, /line 6: R2.*"x 0 1"/],
    ['R2: no size', `${HEAD}a 0\n`, /line 5: R2/],
    ['R2: too much', `${HEAD}a 0 1 2\n`, /line 5: R2/],
    ['R2: a negative size', `${HEAD}a 0 -1\n`, /line 5: R2/],
    ['R2: a fraction', `${HEAD}a 0 1.5\n`, /line 5: R2/],
    ['R2: NaN', `${HEAD}a 0 NaN\n`, /line 5: R2/],
    ['R2: beyond 2^53', `${HEAD}a 0 9007199254740993\n`, /line 5: R2/],
    ['R2: a letter at the end', `${HEAD}a 0 1x\n`, /line 5: R2/],
    ['R2: f with a size', `${HEAD}a 0 1\nf 0 1\n`, /line 6: R2/],
    ['R2: f -2', `${HEAD}f -2\n`, /line 5: R2/],
    ['R2: a number among operations', `${HEAD}a 0 1\n5\n`, /line 6: R2/],
    ['R2: no spaces', `${HEAD}a0 1\n`, /line 5: R2/],
    ['R2: m without alignment', `${HEAD}m 0 1\n`, /line 5: R2/],
    ['R3: an id too large', `${HEAD}a 3 1\n`, /line 5: R3/],
    ['R3: a live id', `${HEAD}a 0 1\na 0 1\n`, /line 6: R3.*live already/],
    ['R3: a dead id', `${HEAD}a 0 1\nf 0\nf 0\n`, /line 7: R3.*not live/],
    ['R3: an id that never was', `${HEAD}f 1\n`, /line 5: R3/],
    ['R4: 4 GiB', `${HEAD}a 0 4294967296\n`, /line 5: R4/],
    ['R5: an operation is missing', `${HEAD}a 0 1\na 1 1\na 2 1\n`, /R5.*4 .*there are 3/],
    ['R5: one too many', '3\n1\na 0 1\na 1 1\n', /R5/],
    ['T4: alignment of 3', `${HEAD}m 0 1 3\n`, /line 5: T4/],
  ])('%s', (_what, text, message) => expect(refused(text)).toMatch(message));

  test('cut at any byte: refused, or only the end of the last line is missing', () => {
    const trace = randomTrace(randomFrom(seed), 12);
    const path = join(temporaryDirectory(), 'a.rep');
    writeTrace(path, trace);
    const text = readFileSync(path, 'utf8');
    const lastLine = text.lastIndexOf('\n', text.length - 2) + 1;
    for (let end = 0; end <= lastLine; end += 1) refused(text.slice(0, end));
  });
});

describe('lines', () => {
  test('decimal and hexadecimal addresses, zeros, alignment, comments, a site or none', () => {
    const text = '# by hand\n\n0:0x10:0xA:0:r:best\r\n0:4096:7z:64:r:best:x.ts:3:main\n' +
      '0x10:0X20:12:0:r:best:\n0x20:0:99:0:r:best\n4096:0:0:0:r:best\n';
    expect(recordsOf(text)).toEqual([0, 10, 8 + 3, 64, 8 + 4, 7, 2, 12, 1, 0, 8 + 1, 0]);
  });

  test('regions have addresses of their own', () => {
    expect(recordsOf('0:16:1:0:a:best\n0:16:2:0:b:best\n16:0:0:0:a:best\n16:0:0:0:b:best\n'))
      .toEqual([0, 1, 8, 2, 1, 0, 9, 0]);
  });

  test('a cleared region has no blocks any more', () => {
    const trace = readTrace(fileWith(
      '0:16:1:0:a:best\n0:32:2:0:a:best\n0:16:3:0:b:best\n0:0:0:0:a:best\n0:16:4:0:a:best\n'));
    expect(trace).toMatchObject({ operations: 6, leftBlocks: 2, leftBytes: 7, peakBytes: 6 + 1 });
    expect(refused('0:16:1:0:a:best\n0:0:0:0:a:best\n16:0:0:0:a:best\n')).toMatch(/line 3: L2/);
    expect(refused('0:16:1:0:a:best\n0:0:0:0:a:best\n16:16:5:0:a:best\n')).toMatch(/line 3: L2/);
  });

  test('blocks from before the recording', () => {
    const trace = readTrace(fileWith('64:0:0:0:a:best\n80:96:9:0:a:best\n96:0:0:0:a:best\n'));
    expect([...trace.records]).toEqual([0, 9, 1, 0]);
    expect(trace.strangers).toBe(2);
  });

  test.each<[string, string, RegExp]>([
    ['L1: a live address', '0:16:1:0:a:b\n0:16:1:0:a:b\n', /line 2: L1.*at 16/],
    ['L1: a move to a live address', '0:16:1:0:a:b\n0:32:1:0:a:b\n16:32:1:0:a:b\n', /line 3: L1/],
    ['L2: freed twice', '0:16:1:0:a:b\n16:0:0:0:a:b\n16:0:0:0:a:b\n', /line 3: L2/],
    ['L2: resized when it was freed', '0:16:1:0:a:b\n16:0:0:0:a:b\n16:16:5:0:a:b\n', /line 3: L2/],
    ['L2: freed where it was', '0:16:1:0:a:b\n16:32:1:0:a:b\n16:0:0:0:a:b\n', /line 3: L2/],
    ['L3: 4 GiB', '0:16:4294967296:0:a:b\n', /line 1: L3/],
    ['L3: alignment of 48', '0:16:1:48:a:b\n', /line 1: L3/],
    ['L4: no fields', '0:16:1:0:a:b\nhello\n', /line 2: L4.*"hello"/],
    ['L4: a field too few', '0:16:1:0:a\n', /line 1: L4/],
    ['L4: no size', '0:16::0:a:b\n', /line 1: L4/],
    ['L4: a negative size', '0:16:-1:0:a:b\n', /line 1: L4/],
    ['L4: a fraction', '0:16:1.5:0:a:b\n', /line 1: L4/],
    ['L4: beyond 2^53', '0:9007199254740993:1:0:a:b\n', /line 1: L4/],
    ['L4: no hexadecimal', '0:0x:1:0:a:b\n', /line 1: L4/],
    ['L4: a letter', '0:0x1g:1:0:a:b\n', /line 1: L4/],
    ['L4: a wrong code', '0:16:1:0:%zz:b\n', /line 1: L4/],
    ['L5: events are missing', '# regionstore trace 1\n0:16:1:0:a:b\n# end 2\n', /line 3: L5/],
    ['L5: events behind the end', '# regionstore trace 1\n# end 0\n0:16:1:0:a:b\n', /line 3: L5/],
    ['L5: two ends', '# regionstore trace 1\n# end 0\n# end 0\n', /line 3: L5/],
  ])('%s', (_what, text, message) => expect(refused(text)).toMatch(message));

  test('a line without end', () => {
    const long = `0:16:1:0:${'a'.repeat(70_000)}:b\n`;
    expect(refused(`0:32:1:0:a:b\n${long}`)).toMatch(/line 2: it is longer/);
    expect(refused(`0:32:1:0:a:b\n${'1'.repeat(3 * 2 ** 20)}`)).toMatch(/line 2: it is longer/);
  });

  test('a later version', () => {
    const path = fileWith('# regionstore trace 2\n0:16:1:0:a:b\n');
    expect(expectCode('ERR_VERSION', () => readTrace(path)).message).toMatch(/version 2/);
  });

  test('a recording that was cut at any byte can be used up to its last whole line', () => {
    const trace = randomTrace(randomFrom(seed), 30);
    const path = join(temporaryDirectory(), 'a.trace');
    writeTrace(path, trace);
    const text = readFileSync(path);
    const head = text.indexOf('\n') + 1;
    for (let end = head + 1; end < text.length; end += 1) {
      writeFileSync(path, text.subarray(0, end));
      const cut = readTrace(path);
      const lines = text.subarray(head, end).toString().split('\n').length - 1;
      expect(cut.cutOff).toBe(true);
      expect(cut.operations).toBe(lines);
      expect([...cut.records]).toEqual([...trace.records.subarray(0, cut.records.length)]);
    }
    writeFileSync(path, text);
    expect(readTrace(path).cutOff).toBe(false);
  });

  test('the same, compressed', () => {
    const trace = randomTrace(randomFrom(seed), 3000);
    const path = join(temporaryDirectory(), 'a.trace.gz');
    writeTrace(path, trace);
    const packed = readFileSync(path);
    for (let end = 200; end < packed.length; end += 997) {
      writeFileSync(path, packed.subarray(0, end));
      const cut = readTrace(path);
      expect(cut.cutOff).toBe(true);
      expect([...cut.records]).toEqual([...trace.records.subarray(0, cut.records.length)]);
    }
    expect(gunzipSync(packed).toString()).toMatch(/^# regionstore trace 1\n0:16:/);
  });

  test('lines over the borders of pieces', () => {
    const events = 120_000;
    const lines = Array.from({ length: events }, (_, i) => `0:${16 * (i + 1)}:${i}:0:rägion:best`);
    const trace = readTrace(fileWith(`${lines.join('\n')}\n`));
    expect(trace.operations).toBe(events);
    expect(trace.leftBytes).toBe(events * (events - 1) / 2);
    expect(trace.origins).toEqual([{ region: 'rägion', method: 'best', site: '' }]);
  });
});

describe('damage', () => {
  test.each(FORMATS)(`%s with random bytes changed (seed ${seed})`, (format) => {
    const random = randomFrom(seed);
    const path = join(temporaryDirectory(), 'a');
    writeTrace(path, randomTrace(random, 60), format);
    const sound = readFileSync(path);
    let refusals = 0;
    for (let round = 0; round < 400; round += 1) {
      const bytes = Buffer.from(sound);
      for (let i = random(3); i >= 0; i -= 1) bytes[random(bytes.length)] = random(256);
      writeFileSync(path, bytes);
      try {
        const { records, slots, operations } = readTrace(path);
        // Not every change can be noticed in text; what is given out is sound.
        expect(operations).toBeLessThanOrEqual(records.length / 2);
        for (let i = 0; i < records.length; i += 2) expect(records[i] >>> 3).toBeLessThan(slots);
      } catch (error) {
        expect(error).toMatchObject({ name: 'RegionError',
          code: expect.stringMatching(/^ERR_(CORRUPT|VERSION)$/) });
        refusals += 1;
      }
    }
    expect(refusals).toBeGreaterThan(200);
  });
});

test('a text of many pieces is never held as a whole', () => {
  const path = join(temporaryDirectory(), 'large.trace');
  const pairs = Array.from({ length: 10_000 }, (_, i) =>
    `0:${16 * i + 16}:${i}:0:region:best:/a/very/long/name/of/a/file.ts:${i % 7}:function\n` +
    `${16 * i + 16}:0:0:0:region:best:/a/very/long/name/of/a/file.ts:${i % 7}:function\n`).join('');
  const file = openSync(path, 'w');
  for (let i = 0; i < 80; i += 1) writeSync(file, pairs);
  closeSync(file);
  const script = `
    const { readTrace } = await import(${JSON.stringify(READER)});
    const { operations } = readTrace(${JSON.stringify(path)});
    console.log(JSON.stringify([operations, process.resourceUsage().maxRSS]));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--max-old-space-size=64',
    '--input-type=module', '-e', script], { encoding: 'utf8' });
  const [operations, kilobytes] = JSON.parse(stdout || '[]') as [number, number];
  expect(operations, stderr).toBe(1_600_000);
  // 130 MB of text; its records are 13 MB, and 6 more say where they come from.
  expect(kilobytes).toBeLessThan(160 * 1024);
});
