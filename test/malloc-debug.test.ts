/** The malloc interface with a debugging method, and its traces: each program a process. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readTrace } from '../src/trace/trace-file.ts';
import { program, printed } from './support/malloc-program.ts';
import { temporaryDirectory } from './support/temp.ts';

const OVERRUN = `function careless() { return malloc(20); }
  const a = careless(); const view = bytes(a);
  new Uint8Array(view.buffer, view.byteOffset + 20, 1)[0] = 1; free(a); console.log('went on');`;
const DOUBLE = 'const a = malloc(10); free(a); free(a); console.log("went on");';

describe('method=debug', () => {
  test('tells an overrun with its call sites, once, and the program goes on', () => {
    const { status, stdout, stderr } = program(OVERRUN, 'method=debug');
    expect(stdout).toBe('went on\n');
    expect(status).toBe(0);
    expect(stderr).toMatch(/^regionstore: D\d at \d+: .*\n$/);
    expect(stderr).toMatch(/allocated at \S+:careless\b.*detected at /);
  });

  test('tells a double free once', () => {
    const { status, stdout, stderr } = program(DOUBLE, 'method=debug');
    expect(stdout).toBe('went on\n');
    expect(status).toBe(0);
    expect(stderr.trimEnd().split('\n').length).toBe(1);
    expect(stderr).toMatch(/^regionstore: D\d at \d+: .*freed at /);
  });

  test('off: neither is noticed beyond the bad address', () => {
    expect(program(OVERRUN).stderr).toBe('');
    expect(program(DOUBLE).stderr).not.toContain('freed at');
  });

  test('of another method', () => {
    expect(printed('console.log(defaultRegion().method)', 'method=debug(last)'))
      .toBe('debug(last)');
  });

  test('with abort the first finding ends the process', () => {
    const { signal, stdout, stderr } = program(OVERRUN, 'method=debug,abort');
    expect(signal).toBe('SIGABRT');
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^regionstore: D\d at /);
  });

  test('tells leaks when the process ends, whatever ends it, and nothing else changes', () => {
    const text = 'function lost() { malloc(30); } free(malloc(5)); lost();';
    for (const [end, status] of [['', 0], ['process.exit(4);', 4]] as const) {
      for (const options of ['method=debug', 'method=debug abort']) {
        const ended = program(text + end, options);
        expect(ended.status).toBe(status);
        expect(ended.stderr).toMatch(/^regionstore: D\d at \d+: .*allocated at .*:lost\b.*\n$/);
      }
    }
    expect(printed(text)).toBe('');
    expect(printed('free(malloc(5))', 'method=debug')).toBe('');
  });

  test('leaks go where warnings go', () => {
    const file = join(temporaryDirectory(), 'warnings');
    expect(printed('malloc(30)', `method=debug warn=${file}`)).toBe('');
    expect(readFileSync(file, 'utf8')).toMatch(/^regionstore: D\d at /);
  });

  test('over a file: what is live is kept, not leaked', () => {
    const file = join(temporaryDirectory(), 'region');
    const options = `method=debug discipline=mmap:${file}`;
    expect(printed(`defaultRegion().roots.set('a', strdup('kept'))`, options)).toBe('');
    expect(printed(`console.log(string(defaultRegion().roots.get('a')))`, options)).toBe('kept');
  });
});

describe('trace', () => {
  const text = `function here() { return malloc(100); }
    const a = here(); const b = calloc(10, 20); const c = realloc(a, 5000);
    free(b); const d = memalign(256, 30); strdup('abc');`;

  test('a file of lines, complete, one for each call', () => {
    const file = join(temporaryDirectory(), 'trace');
    expect(printed(text, `trace=${file}`)).toBe('');
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n').slice(1)
      .map((line) => line.replace(/^(\d+):(\d+)/, (_all, old, now) =>
        `${old === '0' ? 0 : 'old'}:${now === '0' ? 0 : 'new'}`));
    expect(lines).toEqual([
      '0:new:100:0:malloc:best', '0:new:200z:0:malloc:best', 'old:new:5000:0:malloc:best',
      'old:0:0:0:malloc:best', '0:new:30:256:malloc:best', '0:new:4:0:malloc:best', '# end 6']);
    const trace = readTrace(file);
    expect(trace.cutOff).toBe(false);
    expect(trace.leftBlocks).toBe(3);
  });

  test('sites, on and off', () => {
    const site = /:malloc:best:.*:here\n/;
    expect(program(text, 'trace=&1 sites').stdout).toMatch(site);
    expect(program(text, 'trace=&1').stdout).not.toMatch(site);
  });

  test.each(['t.vmt', 't.vmt.gz', 't.rep', 't.gz'])('as %s', (name) => {
    const file = join(temporaryDirectory(), name);
    expect(printed(text, `trace="${file}"`)).toBe('');
    expect(readTrace(file).operations).toBe(6);
  });

  test('%p is the process', () => {
    const folder = temporaryDirectory();
    const pid = printed(`${text} console.log(process.pid)`, `trace=${folder}/%p.vmt`);
    expect(readTrace(join(folder, `${pid}.vmt`)).operations).toBe(6);
  });

  test('is complete when the program is aborted', () => {
    const file = join(temporaryDirectory(), 'trace');
    expect(program(`${text} free(8);`, `trace=${file} abort`).signal).toBe('SIGABRT');
    expect(readTrace(file)).toMatchObject({ cutOff: false, operations: 6 });
  });

  test.each([['signals', false], ['', true]])('ended by a signal, with %j', (more, cutOff) => {
    const file = join(temporaryDirectory(), 'trace');
    const raised = `${text} process.kill(process.pid, 'SIGTERM'); setTimeout(() => {}, 9999);`;
    expect(program(raised, `trace=${file} ${more}`).signal).toBe('SIGTERM');
    expect(readTrace(file).cutOff).toBe(cutOff);
  });

  test('what runs after the end is left out, and works', () => {
    const file = join(temporaryDirectory(), 'trace');
    const late = "process.on('exit', () => console.log(malloc(7) > 0));";
    expect(printed(text + late, `trace=${file}`)).toBe('true');
    expect(readTrace(file)).toMatchObject({ cutOff: false, operations: 6 });
  });

  test('a full disk costs the trace, not the program', () => {
    const { status, stdout, stderr } = program(`import { openSync } from 'node:fs';
      process.env.REGIONSTORE_OPTIONS = 'trace=&' + openSync('/dev/full', 'w');
      for (let i = 0; i < 9000; i++) free(malloc(9));
      console.log('done');`);
    expect(status).toBe(0);
    expect(stdout).toBe('done\n');
    expect(stderr).toMatch(/^regionstore: writing descriptor \d+: ENOSPC.*\n$/);
  });

  test('a file that cannot be written at all is an error', () => {
    const { status, stderr } = program('malloc(1)', 'trace=/dev/full');
    expect(status).toBe(1);
    expect(stderr).toContain('ERR_NO_SPACE');
  });
});

describe('profile', () => {
  const text = `function small() { return malloc(10); }
    for (let i = 0; i < 20; i++) free(small());
    function large() { return realloc(malloc(1000), 3000); } large();`;

  test('a table by call site when the process ends', () => {
    const file = join(temporaryDirectory(), 'profile.txt');
    expect(printed(text, `profile=${file}`)).toBe('');
    const table = readFileSync(file, 'utf8');
    expect(table).toMatch(/^live 3,000 bytes in 1 blocks, at most 3,000/);
    expect(table).toMatch(/\n21 allocations of 3,200 bytes, 20 frees/);
    expect(table).toMatch(/\n *93\.8 +3,000 +1 +3,000 +3,000 +1 +0 .*large/);
    expect(table).toMatch(/\n *6\.3 +0 +0 +10 +200 +20 +20 .*small/);
  });

  test('JSON and a flame graph, by name, %p and all', () => {
    const folder = temporaryDirectory();
    const pid = printed(`${text} console.log(process.pid)`, `profile=${folder}/%p.json`);
    const { sites } = JSON.parse(readFileSync(join(folder, `${pid}.json`), 'utf8'));
    expect(sites.map(({ stack }: { stack: string[] }) => stack.length)).toEqual([2, 2]);
    expect(printed(text, `profile="${folder}/a b.svg"`)).toBe('');
    expect(readFileSync(join(folder, 'a b.svg'), 'utf8')).toMatch(/<title>large .*\n3,000 bytes/);
  });

  test('to a descriptor, beside a trace', () => {
    const { stdout } = program(text, 'profile=&1 trace=&1');
    expect(stdout).toMatch(/^# regionstore trace 1\n(.*\n)*# end 42\nlive 3,000 bytes/);
  });

  test('off: nothing is written', () => {
    expect(printed(text)).toBe('');
  });

  test('of a program that fails', () => {
    const { status, stdout } = program(`${text} process.exit(5)`, 'profile=&1');
    expect(status).toBe(5);
    expect(stdout).toMatch(/ large \(.*:5\)\n/);
  });
});
