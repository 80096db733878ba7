/** Every option of REGIONSTORE_OPTIONS, on and off, as the environment of a process. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { STATE } from '../src/layout.ts';
import { program, printed } from './support/malloc-program.ts';
import { temporaryDirectory } from './support/temp.ts';

const BAD_FREE = 'const a = malloc(10); free(a); free(a); console.log("went on");';
/** After three operations there is a finding: where the durable state would be is something. */
const FAULT = `malloc(24); malloc(24);
  new Uint8Array(bytes(malloc(24)).buffer, ${STATE.at}, ${STATE.bytes}).fill(0x55);`;

describe('nothing set', () => {
  test('best over heap, warnings on standard error', () => {
    const ended = program(`${BAD_FREE} console.log(defaultRegion().method);`);
    expect(ended.stdout).toBe('went on\nbest\n');
    expect(ended.stderr).toMatch(/^regionstore: free: \d+ is not the start of a live block.*\n$/);
    expect(ended.status).toBe(0);
  });

  test('an empty variable is no option', () => {
    expect(printed('console.log(defaultRegion().method)', ' ')).toBe('best');
  });
});

describe('what is wrong', () => {
  test('is thrown by the first call and every later one, not at import', () => {
    const text = `console.log('imported');
      for (const call of [() => malloc(1), () => free(0), () => realloc(0, 1), () => calloc(1, 1),
        () => memalign(1, 1), () => posixMemalign(8, 1), () => valloc(1), () => strdup(''),
        () => mallinfo(), () => bytes(0), () => string(0), defaultRegion]) {
        try { call(); console.log('no error'); } catch (e) { console.log(e.code, e.message); }
      }`;
    const [first, ...rest] = printed(text, 'methd=best').split('\n');
    expect(first).toBe('imported');
    expect(rest.length).toBe(12);
    for (const line of rest) {
      expect(line).toMatch(/^ERR_BAD_OPTION REGIONSTORE_OPTIONS: .*did you mean 'method'\?/);
    }
  });

  test('the variable is read once', () => {
    const text = `malloc(1); process.env.REGIONSTORE_OPTIONS = 'nonsense'; malloc(1);
      console.log(defaultRegion().method);`;
    expect(printed(text, 'method=last')).toBe('last');
  });

  test.each(['warn=/nowhere/at/all', 'warn=&77', 'discipline=mmap:/nowhere/at/all'])(
    '%s: what cannot be opened', (options) => {
      const { status, stderr } = program('malloc(1)', options);
      expect(status).toBe(1);
      expect(stderr).toMatch(/ERR_IO|ERR_BAD_OPTION/);
    });
});

describe('method', () => {
  test.each(['best', 'last', 'slab', 'pool'])('%s', (method) => {
    expect(printed('console.log(defaultRegion().method)', `method=${method}`)).toBe(method);
  });
});

test('pool has blocks of the first size, and 0 for others', () => {
  const text = 'console.log(malloc(40) > 0, malloc(40) > 0, malloc(4000), malloc(40) > 0)';
  expect(printed(text, 'method=pool')).toBe('true true 0 true');
});

describe('capacity', () => {
  test('ends what can be allocated', () => {
    const text = 'console.log(malloc(3 * 2 ** 20) > 0, malloc(3 * 2 ** 20), mallinfo().arena > 0)';
    expect(printed(text, 'capacity=4MiB')).toBe('true 0 true');
    expect(printed('console.log(malloc(8 * 2 ** 20) > 0)')).toBe('true');
  });
});

describe('discipline', () => {
  const WRITE = `const a = strdup('kept'); defaultRegion().roots.set('text', a);
    console.log(mallinfo().uordblks > 0);`;
  const READ = `console.log(string(defaultRegion().roots.get('text')));
    console.log(defaultRegion().method, defaultRegion().check().length)`;

  test('heap is gone with its process', () => {
    expect(printed(WRITE, 'discipline=heap')).toBe('true');
    expect(printed(`console.log(defaultRegion().roots.get('text'))`, 'discipline=heap')).toBe('0');
  });

  const files = ['mmap', 'file', 'compressed'];
  test.each(files)('%s: a second process opens what the first one made', (kind) => {
    const file = join(temporaryDirectory(), 'a, region');
    const options = `discipline=${kind}:"${file}"`;
    expect(printed(WRITE, `${options} method=best`)).toBe('true');
    expect(existsSync(file)).toBe(true);
    expect(printed(READ, options)).toBe('kept\nbest 0');
    const other = program(READ, `${options},method=last`);
    expect(other.status).toBe(1);
    expect(other.stderr).toContain('ERR_MISMATCH');
    expect(printed(READ, options)).toBe('kept\nbest 0');
  });

  test('a file that is no region is refused and left alone', () => {
    const file = join(temporaryDirectory(), 'letter');
    writeFileSync(file, 'Dear reader,'.repeat(2000));
    const before = readFileSync(file);
    const { status, stderr } = program('malloc(1)', `discipline=mmap:${file}`);
    expect(status).toBe(1);
    expect(stderr).toContain('ERR_CORRUPT');
    expect(readFileSync(file)).toEqual(before);
  });

  test('%p is the process', () => {
    const folder = temporaryDirectory();
    const pid = printed('malloc(1); console.log(process.pid)', `discipline=mmap:${folder}/%p.r`);
    expect(statSync(join(folder, `${pid}.r`)).size).toBeGreaterThan(0);
  });

  test('another thread that wants the same file is told who has it', () => {
    const file = join(temporaryDirectory(), 'region');
    const text = `import { Worker, isMainThread } from 'node:worker_threads';
      malloc(1);
      const inner = "import('regionstore/malloc').then((m) => m.malloc(1))"
        + ".catch((e) => console.log(e.code))";
      new Worker(inner, { eval: true, env: process.env });`;
    expect(printed(text, `discipline=mmap:${file}`)).toBe('ERR_LOCKED');
    expect(printed(text.replace('.catch', '.then(() => console.log(7)).catch'),
      `discipline=mmap:${file}.%p`)).toBe('7');
  });
});

describe('check', () => {
  const found = (options: string) => {
    const { status, stdout, stderr } = program(
      `${FAULT} for (let i = 1; i <= 6; i++) { malloc(4000); console.log(i); }`, options);
    expect(status).toBe(0);
    expect(stdout).toBe('1\n2\n3\n4\n5\n6\n');
    return stderr;
  };

  test('off: nothing is looked for', () => {
    expect(found('method=best')).toBe('');
  });

  test('on: a broken region is reported, each finding once', () => {
    const lines = found('method=best check').trimEnd().split('\n');
    expect(lines[0]).toMatch(/^regionstore: [A-Z]\d+ at \d+: .*detected at /);
    expect(new Set(lines).size).toBe(lines.length);
  });

  test('period and start ask for it too, and say when', () => {
    const seen = (options: string) => {
      const { stderr, stdout } = program(`import { writeSync } from 'node:fs';
        ${FAULT} for (let i = 1; i <= 6; i++) { malloc(4000); writeSync(2, i + '.'); }`, options);
      expect(stdout).toBe('');
      return stderr.indexOf('regionstore:');
    };
    // Three operations came before the fault.
    expect(seen('period=1')).toBe(0);
    expect(seen('period=5')).toBe('1.'.length);
    expect(seen('start=5')).toBe('1.2.'.length);
    expect(seen('period=3 start=4')).toBe('1.2.3.'.length);
    expect(seen('period=100')).toBe(-1);
  });
});

describe('abort', () => {
  test('off: the program goes on after a warning', () => {
    expect(program(BAD_FREE).stdout).toBe('went on\n');
  });

  test('on: SIGABRT, after the message', () => {
    const { signal, stdout, stderr } = program(BAD_FREE, 'abort');
    expect(signal).toBe('SIGABRT');
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^regionstore: free: \d+ is not the start of a live block/);
  });

  test('on, in a worker thread', () => {
    const text = `import { Worker } from 'node:worker_threads';
      const inner = "import('regionstore/malloc').then((m) => { const a = m.malloc(1);"
        + "m.free(a); m.free(a); })";
      new Worker(inner, { eval: true, env: process.env });`;
    const { signal, stderr } = program(text, 'abort');
    expect(signal).toBe('SIGABRT');
    expect(stderr).toContain('is not the start of a live block');
  });
});

describe('warn', () => {
  test('a file gets the warnings, standard error does not', () => {
    const file = join(temporaryDirectory(), 'warnings');
    expect(printed(BAD_FREE, `warn=${file}`)).toBe('went on');
    expect(readFileSync(file, 'utf8')).toMatch(/^regionstore: free: .*\n$/);
  });

  test('&n is a descriptor that is open', () => {
    const { stdout, stderr } = program(BAD_FREE, 'warn=&1');
    expect(stdout).toMatch(/^regionstore: free: .*\nwent on\n$/);
    expect(stderr).toBe('');
  });

  test('%p is the process', () => {
    const folder = temporaryDirectory();
    const lines = printed(`${BAD_FREE} console.log(process.pid)`, `warn=${folder}/w%p`);
    const pid = lines.split('\n')[1];
    expect(readFileSync(join(folder, `w${pid}`), 'utf8')).toContain('free');
  });

  test('a worker thread and a forked process write files of their own', () => {
    const folder = temporaryDirectory();
    const script = join(folder, 'forked.mjs');
    writeFileSync(script, 'const m = await import(process.argv[2]); m.free(8);');
    const text = `import { Worker, threadId } from 'node:worker_threads';
      import { fork } from 'node:child_process';
      free(8);
      const inner = "import('regionstore/malloc').then((m) => m.free(8))";
      const worker = new Worker(inner, { eval: true, env: process.env });
      const child = fork(${JSON.stringify(script)}, [import.meta.resolve('regionstore/malloc')],
        { execArgv: [] });
      console.log(worker.threadId, child.pid);`;
    const [thread, pid] = printed(text, `warn=${folder}/w`).split(' ');
    for (const name of ['w', `w.${thread}`, `w.${pid}`]) {
      expect(readFileSync(join(folder, name), 'utf8'), name).toContain('free: 8 is not');
    }
  });
});

describe('watch', () => {
  const text = `const a = malloc(64); const b = malloc(64); free(b); free(a);`;

  test('operations on the block that holds an address are told', () => {
    const address = Number(printed('console.log(malloc(64))')) + 5;
    const { status, stderr } = program(text, `watch=${address}`);
    expect(status).toBe(0);
    const lines = stderr.trimEnd().split('\n');
    expect(lines[0]).toContain(`W1 at ${address}: the block that holds ${address} was allocated`);
    expect(program(text, `watch=0x${address.toString(16)}`).stderr).toBe(stderr);
  });

  test('off, or elsewhere: nothing', () => {
    expect(printed(text, 'watch=99999999')).toBe('');
    expect(printed(text)).toBe('');
  });
});

describe('keep', () => {
  const text = `const a = malloc(100); free(a); free(a); free(3); realloc(a, 0);
    console.log(malloc(100) === a, bytes(a).length >= 100);`;

  test('on: free does nothing', () => {
    expect(printed(text, 'keep')).toBe('false true');
  });

  test('off: what is freed is used again', () => {
    expect(program(text.replace('free(3); realloc(a, 0);', '')).stdout).toBe('true true\n');
  });
});

describe('the end of the process', () => {
  test('handlers that run later can still use what is in memory', () => {
    const text = `const a = strdup('still here');
      process.on('exit', () => console.log(string(a), malloc(1) > 0));`;
    expect(printed(text)).toBe('still here true');
  });

  test('a file is closed; later calls get nothing, and nothing is thrown', () => {
    const file = join(temporaryDirectory(), 'region');
    const text = `const a = malloc(10);
      process.on('exit', () => { free(a); console.log(malloc(1), calloc(1, 1)); });`;
    expect(printed(text, `discipline=mmap:${file}`)).toBe('0 0');
    expect(printed('console.log(defaultRegion().check().length)', `discipline=mmap:${file}`))
      .toBe('0');
  });

  test('an exit code of the program stays what it is', () => {
    const file = join(temporaryDirectory(), 'region');
    expect(program('malloc(1); process.exit(7)', `discipline=file:${file}`).status).toBe(7);
    expect(program('malloc(1); throw new Error("its own")', `discipline=file:${file}`).status)
      .toBe(1);
  });
});
