/** The benchmark's own arithmetic, and each of its processes once, small. No time is judged. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { figure, isMet, mean, median, quantile, renderSection, renderTable, targetTable }
  from '../tools/bench/report.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

describe('report', () => {
  test('quantiles, means', () => {
    const values = [5, 1, 4, 2, 3];
    expect(median(values)).toBe(3);
    expect(quantile(values, 0)).toBe(1);
    expect(quantile(values, 0.99)).toBe(5);
    expect(quantile(values, 1)).toBe(5);
    expect(mean(values)).toBe(3);
    expect(values).toEqual([5, 1, 4, 2, 3]);
    expect(() => median([])).toThrow('no values');
  });

  test('three significant digits', () => {
    expect([0, 0.12345, 1.2345, 12.345, 123.45, 1234.5, Number.NaN].map(figure))
      .toEqual(['0', '0.123', '1.23', '12.3', '123', '1235', '–']);
  });

  test('targets are met or missed by a factor', () => {
    const most = { what: 'a', value: 1.5, unit: ' ms', most: 1 };
    const least = { what: 'b', value: 150, unit: ' MB', least: 300 };
    const met = { what: 'c', value: 0.5, unit: '', most: 0.5 };
    expect([most, least, met].map(isMet)).toEqual([false, false, true]);
    expect(targetTable([most, least, met]).rows).toEqual([
      ['a', '1.50 ms', '≤ 1.00 ms', 'MISSED, 1.50 ×'],
      ['b', '150 MB', '≥ 300 MB', 'MISSED, 2.00 ×'],
      ['c', '0.500', '≤ 0.500', 'met'],
    ]);
    expect(isMet({ what: 'd', value: Number.NaN, unit: '', most: 1 })).toBe(false);
  });

  test('tables line up', () => {
    const rows = [['longer name', '1'], ['b', '22.5']];
    const table = { title: 'T', head: ['<name', 'ms'], rows };
    expect(renderTable(table)).toBe([
      '**T**',
      '',
      '| name        |   ms |',
      '| ----------- | ---: |',
      '| longer name |    1 |',
      '| b           | 22.5 |',
    ].join('\n'));
    const section = { name: 's', title: 'S', tables: [table], targets: [], data: null };
    expect(renderSection(section)).toBe(`## S\n\n${renderTable(table)}`);
  });
});

describe('trials', () => {
  let folder: string;

  beforeAll(() => {
    mkdirSync(join(root, '.regionstore'), { recursive: true });
    folder = mkdtempSync(join(root, '.regionstore', 'test-'));
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function run(script: string, ...args: (string | number)[]) {
    const path = join(root, 'dist', 'tools', 'bench', script);
    return spawnSync(process.execPath, ['--expose-gc', path, ...args.map(String)],
      { encoding: 'utf8' });
  }

  function result<T>(script: string, ...args: (string | number)[]): T {
    const { status, stdout, stderr } = run(script, ...args);
    expect(status, stderr).toBe(0);
    return JSON.parse(stdout) as T;
  }

  test('commit', () => {
    type Trial = { times: number[]; perByte: number };
    const { times, perByte } = result<Trial>('commit-trial.js', 'regionstore, history 0', 20,
      'scattered', 3, folder);
    expect(times).toHaveLength(3);
    expect(Math.min(...times)).toBeGreaterThan(0);
    // Logged once, applied once, and what frames cost.
    expect(perByte).toBeGreaterThan(1.9);
    expect(perByte).toBeLessThan(4);
  });

  test.each(['ring', 'pino, async'])('rings: %s', (peer) => {
    const dir = mkdtempSync(join(folder, 'rings-'));
    expect(result<{ ns: number }>('rings-trial.js', 'append', peer, 64, 200, dir).ns)
      .toBeGreaterThan(0);
    const killed = mkdtempSync(join(folder, 'rings-'));
    expect(run('rings-trial.js', 'killed', peer, 64, 237, killed).signal).toBe('SIGKILL');
    const { records } = result<{ records: number }>('rings-trial.js', 'count', peer, 64, killed);
    if (peer === 'ring') expect(records).toBe(237);
    else expect(records).toBeLessThan(237);
  });

  test('rings: reading', () => {
    const times = result<Record<string, number>>('rings-trial.js', 'read', 64, 500,
      mkdtempSync(join(folder, 'rings-')));
    expect(Object.keys(times)).toEqual(['iterateNs', 'tailMs', 'followNs']);
    expect(Math.min(...Object.values(times))).toBeGreaterThan(0);
  });

  test.each(['buffer.commit', 'store.checkpointAsync', 'write, fsync, rename'])('buffers: %s',
    (peer) => {
      const found = result<Record<string, number[]>>('buffers-trial.js', peer, 1, 3, 2,
        mkdtempSync(join(folder, 'buffers-')));
      expect(Object.values(found).map((list) => list.length)).toEqual([2, 2, 2]);
      expect(Math.min(...Object.values(found).flat())).toBeGreaterThan(0);
    });

  test.each([
    ['restore', [0.1, 2], ['restore', 'copyBack']], ['refresh', [3, 2], ['refresh', 'reopen']],
    ['backup', [2], ['backup', 'copy', 'bytes']],
  ] as const)('history: %s', (verb, args, keys) => {
    const found = result<Record<string, number[]>>('history-trial.js', verb,
      mkdtempSync(join(folder, 'history-')), 1, ...args);
    expect(Object.keys(found)).toEqual(keys);
    expect(found[keys[0]]).toHaveLength(2);
  });

  test('reopen', () => {
    type Times = { openMs: number; regionMs: number; readMs: number };
    const closed = join(folder, 'closed');
    const { extent } = result<{ extent: number }>('reopen-trial.js', 'make', closed, 500, 2 ** 20);
    expect(extent).toBeGreaterThan(2 ** 20 * 0.9);
    expect(extent).toBeLessThan(2 ** 20 * 1.2);
    const { cold, warm } = result<{ cold: Times; warm: Times }>('reopen-trial.js', 'open', closed);
    expect([cold, warm].every((t) => t.openMs > 0 && t.regionMs > 0 && t.readMs > 0)).toBe(true);
    const idle = (...args: string[]) =>
      result<{ bytes: number }>('reopen-trial.js', 'idle', ...args).bytes;
    expect(idle()).toBeGreaterThan(2 ** 24);
    expect(idle(closed)).toBeGreaterThan(2 ** 24);
  });

  test('recover', () => {
    const killed = join(folder, 'killed');
    expect(run('reopen-trial.js', 'crash', killed, 64, 2).signal).toBe('SIGKILL');
    const { bytes } = result<{ bytes: number }>('reopen-trial.js', 'recover', killed);
    expect(bytes).toBeGreaterThan(2 * 64 * 4096);
    expect(bytes).toBeLessThan(2 * 64 * 4096 * 1.2);
    expect(run('reopen-trial.js', 'recover', killed).stderr).toContain('nothing to recover');
  });

  test.each(['heap', 'map', 'lmdb', 'sqlite'])('objects: %s', (name) => {
    const dir = mkdtempSync(join(folder, 'objects-'));
    const written = result<Record<string, number>>('objects-trial.js', dir, name, 500, 'write');
    expect(Object.keys(written).sort())
      .toEqual(['bytes', 'collect', 'iterate', 'keep', 'read', 'write']);
    expect(Math.min(written.write ?? 0, written.read ?? 0, written.bytes ?? 0)).toBeGreaterThan(0);
    const { ready } = result<{ ready: number }>('objects-trial.js', dir, name, 500, 'ready');
    expect(ready).toBeGreaterThan(0);
  });

  test('objects: a field', () => {
    const times = result<Record<string, number>>('objects-trial.js', join(folder, 'field'), 'field',
      1000);
    expect(Object.keys(times)).toEqual(['plain', 'field']);
  });

  test('stores', () => {
    const times = result<Record<string, number>>('stores-trial.js', join(folder, 'stores'), 2);
    expect(Object.keys(times).sort())
      .toEqual(['buffer', 'firstTouch', 'region', 'scan', 'untouched']);
    expect(times.buffer).toBeGreaterThan(0);
    expect(times.untouched).toBeGreaterThan(0);
  });

  test.each(['heap', 'own', 'swap'])('shared: %s', (kind) => {
    type Round = { rate: number; cpuNs: number; cores: number };
    const { rounds } = result<{ rounds: Round[] }>('shared-trial.js', kind,
      kind === 'heap' ? 1 : 2, 2, 3, 40);
    expect(rounds).toHaveLength(3);
    expect(Math.max(...rounds.map(({ rate }) => rate))).toBeGreaterThan(10_000);
    expect(rounds.every(({ cpuNs, cores }) => cpuNs >= 0 && cores >= 0)).toBe(true);
  });

  test('a part that does not exist is named', () => {
    const { status, stderr } = run('main.js', '--only', 'nothing');
    expect(status).toBe(1);
    expect(stderr).toContain("there is no part 'nothing'; ");
    expect(stderr).toContain('there are: alloc, buffers, commit, history, objects, reopen, ' +
      'rings, shared, stores');
  });
});
