/** The preload: what it records, and that the program does not notice. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readTrace } from '../src/trace/trace-file.ts';
import { fixture, runNode } from './support/preload.ts';
import { temporaryDirectory } from './support/temp.ts';

/** The events of a trace of lines. */
function eventsIn(path: string) {
  return readFileSync(path, 'utf8').split('\n').filter((line) => /^\d/.test(line)).map((line) => {
    const [old, now, size, , region, method, ...site] = line.split(':');
    return { old: Number(old), now: Number(now), size, region, method, site: site.join(':') };
  });
}

function traced(args: readonly string[], more = '') {
  const path = join(temporaryDirectory(), 'trace');
  const ended = runNode(args, `trace=${path} ${more}`);
  return { ...ended, path, trace: readTrace(path), events: eventsIn(path) };
}

describe('the program', () => {
  test('finds out nothing about buffers that it would not find without', () => {
    const plain = runNode([fixture('semantics.mjs')], null);
    expect(plain.status, plain.stderr).toBe(0);
    expect(plain.stdout.split('\n').length).toBeGreaterThan(150);
    const { status, stdout, stderr } = traced([fixture('semantics.mjs')], 'sites');
    expect({ status, stderr, stdout }).toEqual({ status: 0, stderr: plain.stderr,
      stdout: plain.stdout });
  });

  test('ends as it would', () => {
    for (const text of ['process.exit(7)', 'throw new Error("its own")', 'process.exitCode = 3',
      'process.kill(process.pid, "SIGTERM"); setTimeout(() => {}, 1e6)']) {
      const plain = runNode(['--eval', text], null);
      const { status, signal } = runNode(['--eval', text], 'trace=/dev/null');
      expect({ status, signal }).toEqual({ status: plain.status, signal: plain.signal });
    }
  });

  test('is seen by name of the package too', () => {
    const { status, stderr } = runNode(['--import', 'regionstore/register', '--eval', '1'], null);
    expect(status).toBe(0);
    expect(stderr).toContain('register: nothing to do');
  });
});

describe('a trace', () => {
  test('names what allocated, how much, and where', () => {
    const { status, stderr, trace, events } = traced([fixture('kinds.mjs')], 'sites');
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const seen = events.filter(({ site }) => site.includes('kinds.mjs'))
      .map(({ size, method, site }) => `${/mjs:(\d+)/.exec(site)?.[1]} ${method} ${size}`)
      // Which of its own functions from() and concat() call differs between versions of Node.
      .map((line) => line.replace(/^(1[56] Buffer)\.\w+/, '$1.…'));
    expect(seen).toEqual([
      '2 ArrayBuffer 1001z', '3 SharedArrayBuffer 1002z', '4 Uint8Array 1003z',
      '5 Float64Array 24', '6 Int16Array 8z', '7 Int16Array 10z', '8 ArrayBuffer 1008z',
      '9 Uint8Array 500z', '12 Buffer.alloc 40012z', '13 Buffer.allocUnsafeSlow 40013',
      '14 Buffer.allocUnsafe 40014', '15 Buffer.… 40015', '16 Buffer.… 40000',
      '19 TypedArray.map 40000', '20 ArrayBuffer 908z', '21 ArrayBuffer 1020z',
      '22 ArrayBuffer.resize 2021', '23 Uint8Array 1023z', '25 TypedArray.toReversed 1000',
      '26 ArrayBuffer 1025z',
    ]);
    expect(trace.cutOff).toBe(false);
    expect(trace.strangers).toBe(0);
  });

  test('has call sites only when they are asked for', () => {
    const { events } = traced([fixture('kinds.mjs')]);
    expect(events.length).toBeGreaterThan(15);
    expect(events.filter(({ site }) => site !== '')).toEqual([]);
    expect(new Set(events.map(({ region }) => region))).toEqual(new Set(['buffers']));
  });

  test('counts a pool of Buffer as one buffer (K1)', () => {
    // Node may have filled most of the first one: then there are two, and the program knows.
    const text = `const pools = new Set([Buffer.allocUnsafe(9).buffer]);
      for (let i = 0; i < 50; i++) pools.add(Buffer.from('a small one').buffer);
      console.log([...pools].map((pool) => pool.byteLength).join())`;
    const { stdout, events } = traced(['--eval', text], 'sites');
    const pools = events.filter(({ site, method }) => site.includes('[eval]')
      && method.startsWith('Buffer'));
    expect(pools.map(({ size }) => size).join()).toBe(stdout.trim());
    expect(pools.length).toBeGreaterThan(0);
  });

  test('addresses ascend and do not overlap (K2)', () => {
    const { events } = traced([fixture('kinds.mjs')]);
    let end = 1;
    for (const { old, now, size } of events) {
      if (old !== 0) continue;
      expect(now).toBeGreaterThanOrEqual(end);
      end = now + Number.parseInt(size, 10);
    }
    const growth = events.find(({ old, now }) => old !== 0 && now !== 0);
    const next = events.find(({ now }) => now > (growth?.now ?? 0));
    expect(next?.now).toBeGreaterThanOrEqual((growth?.now ?? 0) + 4000);
  });

  test('has a free when the collector reports one, and leaves the rest live', () => {
    const { stdout, trace, events } = traced(['--expose-gc', fixture('collected.mjs')]);
    expect(stdout).toBe('10\n');
    const made = events.filter(({ method, size }) => method === 'ArrayBuffer'
      && /^50\d\dz$/.test(size));
    expect(made.length).toBe(100);
    const freed = new Set(events.filter(({ now }) => now === 0).map(({ old }) => old));
    const live = made.filter(({ now }) => !freed.has(now)).map(({ size }) => size);
    expect(live).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((i) => `50${i}0z`));
    expect(trace.leftBlocks).toBeGreaterThanOrEqual(10);
  });

  test('a buffer that was transferred is one block, freed once (K3)', () => {
    const text = `if (!('transfer' in ArrayBuffer.prototype)) {
        console.log('none');
      } else {
        let buffer = new ArrayBuffer(3001);
        for (let i = 0; i < 20; i++) buffer = buffer.transfer(3002 + i);
        for (let i = 0; i < 5; i++) {
          gc(); await new Promise((resolve) => setTimeout(resolve, 5));
        }
        console.log(buffer.byteLength);
      }`;
    const args = ['--expose-gc', '--input-type=module', '--eval', text];
    const { stdout, stderr, events } = traced(args);
    expect(stderr).toBe('');
    const own = events.filter(({ size }) => /^30\d\d/.test(size));
    if (stdout === 'none\n') return expect(own).toEqual([]);
    expect(stdout).toBe('3021\n');
    expect(own.map(({ old }) => old)).toEqual([0, ...own.slice(0, -1).map(({ now }) => now)]);
    const freed = new Set(events.filter(({ now }) => now === 0).map(({ old }) => old));
    expect(own.filter(({ now }) => freed.has(now))).toEqual([]);
  });

  test.each(['a.vmt', 'a.vmt.gz', 'a.rep', 'a.trace.gz'])('as %s', (name) => {
    const path = join(temporaryDirectory(), name);
    expect(runNode([fixture('kinds.mjs')], `trace=${path}`).stderr).toBe('');
    const trace = readTrace(path);
    expect(trace.operations).toBeGreaterThan(15);
    expect(trace.cutOff).toBe(false);
  });

  test('to a descriptor, complete when the program throws', () => {
    const { status, stderr } = runNode(['--eval', 'new ArrayBuffer(77); throw 1'], 'trace=&2');
    expect(status).toBe(1);
    expect(stderr).toMatch(/^# regionstore trace 1\n/);
    expect(stderr).toMatch(/\n0:\d+:77z:0:buffers:ArrayBuffer\n/);
    expect(stderr).toMatch(/\n# end \d+\n/);
  });

  test('together with one of regionstore/malloc in the same process', () => {
    const text = `import { malloc, free } from 'regionstore/malloc';
      free(malloc(12345)); new ArrayBuffer(54321);`;
    const { trace, events } = traced(['--input-type=module', '--eval', text]);
    const sizes = events.map(({ region, size }) => `${region} ${size}`);
    expect(sizes).toContain('malloc 12345');
    expect(sizes).toContain('buffers 54321z');
    expect(trace.strangers).toBe(0);
  });
});

describe('a profile', () => {
  function profiled(name: string, ...args: string[]) {
    const path = join(temporaryDirectory(), name);
    expect(runNode(args, `profile=${path}`)).toMatchObject({ status: 0, stderr: '' });
    return readFileSync(path, 'utf8');
  }

  test('is a table, JSON or a flame graph', () => {
    const table = profiled('p.txt', fixture('kept.mjs'));
    expect(table).toMatch(/^live [\d,]+ bytes in \d+ blocks/);
    expect(table).toMatch(/\n *[\d.]+ +40,013 +1 +40,013 +40,013 +1 +0 .*kept\.mjs:3/);
    expect(table).toMatch(/\n *[\d.]+ +2,021 +1 +2,021 +2,021 +1 +0 .*kept\.mjs:4/);
    const { sites } = JSON.parse(profiled('p.json', fixture('kept.mjs')));
    const stacks: string[][] = sites.map(({ stack }: { stack: string[] }) => stack);
    expect(stacks.map(([site = '']) => site.replace(/.*\//, ''))).toContain('kept.mjs:7:new Sub');
    expect(stacks.map(({ length }) => length)).toContain(2);
    expect(profiled('p.svg', fixture('kept.mjs')))
      .toMatch(/<title>&lt;top level&gt; \(\S*kept\.mjs:3\)\n40,013 bytes/);
  });

  test('counts frees and peaks by site', () => {
    const { sites } = JSON.parse(profiled('p.json', '--expose-gc', fixture('collected.mjs')));
    const made = sites.find(({ stack }: { stack: string[] }) => stack[0]?.endsWith(':make'));
    expect(made).toMatchObject({ allocs: 100, frees: 90, liveBlocks: 10, bytes: 504_950,
      live: 50_450, peak: 504_950 });
  });

  test('together with a trace', () => {
    const folder = temporaryDirectory();
    runNode([fixture('kinds.mjs')], `profile=${folder}/p.json trace=${folder}/t`);
    const profile = JSON.parse(readFileSync(join(folder, 'p.json'), 'utf8'));
    const trace = readTrace(join(folder, 't'));
    expect(profile.total.liveBlocks).toBe(trace.leftBlocks);
    expect(profile.total.live).toBe(trace.leftBytes);
    expect(profile.total.peak).toBe(trace.peakBytes);
  });
});

describe('signals', () => {
  // The signal comes first, however busy the machine is.
  const RAISE = `new ArrayBuffer(4321); process.kill(process.pid, 'SIGTERM');
    globalThis.timer = setTimeout(() => console.log('was not heard'), 20_000);`;

  test('on: a signal ends the program as it would, with its trace complete', () => {
    const { signal, stdout, trace, events } = traced(['--eval', RAISE], 'signals');
    expect({ signal, stdout }).toEqual({ signal: 'SIGTERM', stdout: '' });
    expect(trace.cutOff).toBe(false);
    expect(events.map(({ size }) => size)).toContain('4321z');
  });

  test('off: the trace is cut off, and marked so', () => {
    const { signal, trace } = traced(['--eval', RAISE]);
    expect(signal).toBe('SIGTERM');
    expect(trace.cutOff).toBe(true);
  });

  test('on: a handler of the program decides', () => {
    const { status, stdout, trace } = traced(['--eval',
      `process.on('SIGTERM', () => {
        console.log('handled');
        clearTimeout(timer);
        setTimeout(() => console.log('went on'), 10);
      }); ${RAISE}`], 'signals');
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'handled\nwent on\n' });
    expect(trace.cutOff).toBe(false);
  });

  test('on: the program ends when it has nothing to do', () => {
    expect(traced(['--eval', '1'], 'signals')).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });
});

describe('where the preload does less', () => {
  test('worker threads and forked processes write files of their own', () => {
    const folder = temporaryDirectory();
    const text = `import { Worker, isMainThread } from 'node:worker_threads';
      import { fork } from 'node:child_process';
      new Worker('new ArrayBuffer(2222)', { eval: true });
      const child = fork(${JSON.stringify(fixture('kinds.mjs'))},
        { execArgv: process.execArgv.slice(0, 2) });
      console.log(child.pid);`;
    const { status, stdout } = runNode(['--input-type=module', '--eval', text],
      `trace=${folder}/t`);
    expect(status).toBe(0);
    expect(readdirSync(folder).sort()).toEqual(['t', 't.1', `t.${stdout.trim()}`].sort());
    expect(eventsIn(join(folder, 't.1')).map(({ size }) => size)).toContain('2222z');
    expect(eventsIn(join(folder, 't')).map(({ size }) => size)).not.toContain('2222z');
    for (const name of readdirSync(folder)) {
      expect(readTrace(join(folder, name)).cutOff).toBe(false);
    }
  });

  test('frozen intrinsics are refused with a message, and the program runs', () => {
    const text = 'console.log(new ArrayBuffer(3).byteLength)';
    const { status, stdout, stderr } = runNode(
      ['--frozen-intrinsics', '--no-warnings', '--eval', text], 'trace=&1');
    expect(status).toBe(0);
    expect(stderr).toMatch(/regionstore: register: \w+ is frozen/);
    expect(stdout).toBe('3\n');
  });

  test('options for malloc are ignored with a message', () => {
    const path = join(temporaryDirectory(), 'never');
    const { status, stderr } = runNode(['--eval', 'new ArrayBuffer(1)'],
      `method=last keep discipline=mmap:${path} trace=/dev/null`);
    expect(status).toBe(0);
    expect(stderr).toBe('regionstore: register: method, keep, discipline: not for Buffers and ' +
      'ArrayBuffers, ignored here\n');
    expect(existsSync(path)).toBe(false);
  });

  test('nothing to record is said', () => {
    const { status, stderr } = runNode(['--eval', '1'], '');
    expect(status).toBe(0);
    expect(stderr).toMatch(/^regionstore: register: nothing to do; set REGIONSTORE_OPTIONS to/);
  });

  test.each(['trac=x', 'trace', 'trace=/nowhere/at/all', 'trace=&99', 'trace=a.vmt sites'])(
    '%s ends the program before it starts', (options) => {
      const { status, stdout, stderr } = runNode(['--eval', 'console.log(1)'], options);
      expect(status).toBe(1);
      expect(stdout).toBe('');
      expect(stderr).toMatch(/ERR_BAD_OPTION|ERR_IO/);
    });
});
