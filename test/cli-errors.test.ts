/** What the command line says and returns when something is wrong, and how it is used wrongly. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync,
  rmSync, statSync, symlinkSync, truncateSync, writeFileSync, writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HEADER, PAGE } from '../src/layout.ts';
import { openStore } from '../src/store/store.ts';
import { cli, digest, endHolder, holder, json, MAIN } from './support/cli.ts';
import { fillStore } from './support/cli-content.ts';
import { cliHere, jsonHere } from './support/cli-here.ts';

const scratch = mkdtempSync(join(tmpdir(), 'cli-errors-'));
const sound = join(scratch, 'sound');
const VERBS = ['ls', 'inspect', 'blocks', 'check', 'compact', 'checkpoint', 'checkpoints'];
/** Every verb about a store, as --help lists them. */
const ALL_VERBS = [...VERBS, 'tail', 'map', 'segments', 'gc', 'restore', 'diff', 'forget',
  'backup', 'clone', 'adopt', 'profile', 'export', 'import', 'shell', 'bench',
  'top', 'repair'];
const TRACE = new URL('./fixtures/traces/make.vmt.gz', import.meta.url).pathname;
/** File name and a live block of the region alpha of `sound`. */
let alpha: { file: string; address: number };

beforeAll(() => {
  const store = openStore(sound);
  fillStore(store);
  const region = store.region('alpha');
  const busy = [...region.blocks()].filter((block) => block.busy && block.size > 256);
  alpha = { file: `${region.id}.region`, address: busy[100].address };
  store.close();
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function copyOf(name: string): string {
  const copy = join(scratch, name);
  cpSync(sound, copy, { recursive: true });
  return copy;
}

function overwrite(file: string, at: number, bytes: Uint8Array): void {
  const fd = openSync(file, 'r+');
  writeSync(fd, bytes, 0, bytes.length, at);
  closeSync(fd);
}

/** Runs a verb with --json and expects the same failure on both outputs. */
async function expectFailure(
  args: readonly string[], exit: number, code: string, message: RegExp,
): Promise<void> {
  const { status, stdout, stderr } = await cliHere([...args, '--json']);
  expect([status, stderr]).toEqual([exit, expect.stringMatching(/^[^\n]+\n$/)]);
  const found = JSON.parse(stdout) as { error: { code: string; message: string } };
  expect(found).toEqual({ error: { code, message: expect.stringMatching(message) } });
  expect(stderr).toBe(`regionstore: ${code}: ${found.error.message}\n`);
}

describe('usage', () => {
  test.each(ALL_VERBS)('%s --help', async (name) => {
    const { status, stdout, stderr } = await cliHere([name, '--help']);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(new RegExp(`^Usage: regionstore ${name} `));
    expect(stdout).toContain('--json');
    expect(stdout).toContain(`  $ regionstore ${name} data`);
  });

  test('--help lists every verb, --version is that of the package', async () => {
    const { status, stdout } = await cliHere(['--help']);
    expect(status).toBe(0);
    expect(ALL_VERBS.filter((name) => !stdout.includes(`\n  ${name} `))).toEqual([]);
    const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
    const { version } = JSON.parse(text) as { version: string };
    expect(cli(['--version']).stdout).toBe(`${version}\n`);
  });

  test('without --json a failure is on stderr only', async () => {
    const { status, stdout, stderr } = await cliHere(['ls', join(scratch, 'none')]);
    expect([status, stdout]).toEqual([3, '']);
    expect(stderr).toMatch(/^regionstore: ERR_NOT_FOUND: [^\n]+\n$/);
  });

  test('nothing at all', async () => {
    const { status, stdout, stderr } = await cliHere([]);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toContain('Usage: regionstore');
  });

  test.each<[string[], RegExp]>([
    [['lss', sound], /unknown command 'lss' \(Did you mean ls\?\)/],
    [['blocks', sound, 'alpha', '--lim', '3'], /'--lim' \(Did you mean --limit\?\)/],
    [['blocks', sound, 'alpha', '--busy', '--free'], /--busy.*--free/],
    [['blocks', sound, 'alpha', '--limit', '-1'], /whole number/],
    [['blocks', sound, 'alpha', '--from', '0x10'], /whole number/],
    [['blocks', sound], /say which region of .*: alpha, beta/],
    [['ls'], /missing required argument 'dir'/],
    [['ls', sound, 'alpha'], /too many arguments/],
    [['checkpoint', sound, '--label', ''], /label/],
    [['ls', '/dev/null'], /neither a directory nor a regular file/],
  ])('%j', (args, message) => expectFailure(args, 2, 'ERR_BAD_OPTION', message));

  test('a named pipe is not opened, which would wait for ever', async () => {
    const pipe = join(scratch, 'pipe');
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
    await expectFailure(['ls', pipe], 2, 'ERR_BAD_OPTION', /regular file/);
  });
});

describe('what cannot be opened', () => {
  test('nothing there', async () => {
    await expectFailure(['ls', join(scratch, 'none')], 3, 'ERR_NOT_FOUND', /there is no .*none/);
    expect(readdirSync(scratch)).not.toContain('none');
  });

  test('a directory that is no store stays as it is', async () => {
    const dir = join(scratch, 'plain');
    mkdirSync(dir);
    for (const name of VERBS) {
      await expectFailure([name, dir], 3, 'ERR_NOT_FOUND', /there is no store in .*plain/);
    }
    expect(readdirSync(dir)).toEqual([]);
  });

  test('a region that is not there', async () => {
    for (const name of ['inspect', 'blocks', 'check', 'compact']) {
      await expectFailure([name, sound, 'alpah'], 3, 'ERR_NOT_FOUND', /'alpah'.*there is alpha/);
    }
  });

  test('files that are no regions', async () => {
    const text = join(scratch, 'notes.txt');
    writeFileSync(text, 'not a region\n'.repeat(1000));
    await expectFailure(['ls', text], 3, 'ERR_CORRUPT', /magic.*not changed/);
    await expectFailure(['compact', text], 3, 'ERR_CORRUPT', /magic.*not changed/);
    writeFileSync(text, '');
    await expectFailure(['check', text], 3, 'ERR_CORRUPT', /shorter than one page/);
    expect(statSync(text).size).toBe(0);
    await expectFailure(['ls', join(sound, 'catalog.db')], 3, 'ERR_CORRUPT', /magic/);
  });

  test('a region taken out of its store', async () => {
    const file = join(scratch, 'alone.region');
    copyFileSync(join(sound, 'regions', alpha.file), file);
    const before = readFileSync(file);
    await expectFailure(['ls', file], 3, 'ERR_MISMATCH', /belongs to store/);
    await expectFailure(['compact', file], 3, 'ERR_MISMATCH', /belongs to store/);
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  test('a link to a store is the store', async () => {
    const link = join(scratch, 'link');
    symlinkSync(sound, link);
    expect(await jsonHere(['ls', link])).toEqual(await jsonHere(['ls', sound]));
  });
});

/** Of a store with one damaged region, `alpha`, the rest is shown all the same. */
async function expectOthers(dir: string, line: RegExp, code: string): Promise<void> {
  for (const name of ['ls', 'inspect']) {
    const ran = await cliHere([name, dir]);
    expect([name, ran.status, ran.stderr]).toEqual([name, 1, '']);
    expect(ran.stdout).toMatch(line);
    type Shown = { regions: { name: string }[]; damaged: { name: string; code: string }[] };
    const { regions, damaged } = await jsonHere<Shown>([name, dir], 1);
    expect(regions.map((region) => region.name)).toEqual([expect.stringMatching(/^beta/)]);
    expect(damaged).toMatchObject([{ name: 'alpha', code }]);
  }
  const csv = await cliHere(['ls', dir, '--csv']);
  expect([csv.status, csv.stdout]).toEqual([1, expect.stringMatching(/^alpha,{13}$/m)]);
  for (const name of ['map', 'segments']) {
    expect((await cliHere([name, dir])).stdout).toMatch(line);
    expect(await jsonHere([name, dir], 1)).toMatchObject({ damaged: [{ name: 'alpha', code }] });
  }
  const html = join(dir, '..', 'report.html');
  expect(await jsonHere(['inspect', dir, '--html', html], 1)).toMatchObject({ regions: 1 });
  expect(readFileSync(html, 'utf8')).toContain('alpha: ');
  for (const looks of [[], ['--quick']]) {
    const { findings } = await jsonHere<{ findings: object[] }>(['check', dir, ...looks], 1);
    expect(findings).toMatchObject([{ id: 'S2', region: 'alpha' }]);
  }
}

describe('damage', () => {
  test('a catalog that is none', async () => {
    const dir = copyOf('bad-catalog');
    writeFileSync(join(dir, 'catalog.db'), Buffer.alloc(8192, 'garbage '));
    const before = digest(dir, /regions|catalog\.db$/);
    for (const name of VERBS) await expectFailure([name, dir], 3, 'ERR_CORRUPT', /catalog/);
    expect(digest(dir, /regions|catalog\.db$/)).toBe(before);
  });

  test('no catalog beside regions', async () => {
    const dir = copyOf('no-catalog');
    for (const name of readdirSync(dir)) {
      if (name.startsWith('catalog')) rmSync(join(dir, name));
    }
    await expectFailure(['inspect', dir], 3, 'ERR_CORRUPT', /no catalog/);
  });

  test('the header of a region', async () => {
    const dir = copyOf('bad-header');
    const file = join(dir, 'regions', alpha.file);
    overwrite(file, HEADER.regionId, Buffer.from('damaged'));
    const before = readFileSync(file);
    await expectOthers(dir, /^alpha: .*checksum of the header/m, 'ERR_CORRUPT');
    for (const args of [['compact', dir], ['inspect', dir, 'alpha'], ['blocks', dir, 'alpha']]) {
      await expectFailure(args, 3, 'ERR_CORRUPT', new RegExp(alpha.file));
    }
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  test('a region without its file', async () => {
    const dir = copyOf('lost-file');
    rmSync(join(dir, 'regions', alpha.file));
    await expectOthers(dir, /^alpha: .*lost its file/m, 'ERR_CORRUPT');
    await expectFailure(['compact', dir], 3, 'ERR_CORRUPT', /lost its file/);
  });

  test('a region of a newer version', async () => {
    const dir = copyOf('newer');
    overwrite(join(dir, 'regions', alpha.file), HEADER.version, Buffer.from([99]));
    await expectOthers(dir, /^alpha: .*newer regionstore/m, 'ERR_VERSION');
  });

  test('a region that was cut off', async () => {
    const dir = copyOf('cut');
    truncateSync(join(dir, 'regions', alpha.file), 3 * PAGE);
    await expectOthers(dir, /^alpha: .*truncated/m, 'ERR_CORRUPT');
  });

  test('a byte of a block: a finding with its place, exit 1', async () => {
    const dir = copyOf('bad-byte');
    overwrite(join(dir, 'regions', alpha.file), alpha.address + 100, Buffer.from([0xaa, 0x55]));
    const page = Math.floor((alpha.address + 100) / PAGE);
    const found = await jsonHere<{ findings: object[] }>(['check', dir], 1);
    expect(found.findings).toEqual([
      { id: 'S3', region: 'alpha', address: page * PAGE,
        detail: expect.stringContaining(`page ${page} `) },
    ]);
    const { status, stdout, stderr } = cli(['check', dir, 'alpha']);
    expect([status, stderr]).toEqual([1, '']);
    expect(stdout).toMatch(/^FINDING +REGION +ADDRESS +DETAIL\nS3 +alpha +\d+ +page \d+ /);
    expect(stdout).toMatch(/: 1 finding\n$/);
    expect(await jsonHere(['check', dir, '--no-pages'])).toMatchObject({ findings: [] });
    expect(await cliHere(['check', dir, '--quick'])).toMatchObject({ status: 0,
      stdout: `${dir}: sound, as far as catalog, files and headers say\n` });
  });

  test('a file that does not belong', async () => {
    const dir = copyOf('stranger');
    writeFileSync(join(dir, 'regions', 'notes.txt'), 'mine');
    expect(await jsonHere(['check', dir], 1)).toMatchObject({
      findings: [{ id: 'S4', region: null, detail: expect.stringContaining('notes.txt') }],
    });
    expect((await cliHere(['check', dir, '--quick'])).status).toBe(1);
    expect(await jsonHere(['check', dir, 'alpha'])).toMatchObject({ findings: [] });
  });
});

test('a store that is open elsewhere: exit 4, and who has it', async () => {
  const dir = join(scratch, 'held');
  const child = await holder('store', dir);
  try {
    for (const name of ['compact', 'checkpoint']) {
      await expectFailure([name, dir], 4, 'ERR_LOCKED', new RegExp(`process ${child.pid}\\b`));
    }
    const args = ['checkpoint', dir, '--json'];
    const ran = cli(args);
    expect([ran.status, ran]).toEqual([4, await cliHere(args)]);
    const [file] = readdirSync(join(dir, 'regions')).filter((name) => name.endsWith('.region'));
    await expectFailure(['compact', join(dir, 'regions', file)], 4, 'ERR_LOCKED', /process \d+/);
    // Who only looks is let in.
    for (const name of ['ls', 'inspect', 'check', 'checkpoints']) {
      expect([name, (await cliHere([name, dir])).status]).toEqual([name, 0]);
    }
  } finally {
    await endHolder(child);
  }
  expect(cli(['ls', dir]).status).toBe(0);
});

test('a process says the same, with every exit code but 4', async () => {
  const damaged = copyOf('damaged');
  writeFileSync(join(damaged, 'regions', 'notes.txt'), 'mine');
  const calls = [['ls', sound, '--json'], ['check', damaged], ['--help'], ['ls', sound, '--jsno'],
    ['ls', join(scratch, 'none'), '--json'], ['trace', TRACE]];
  const exits = [];
  for (const args of calls) {
    const ran = cli(args);
    expect(ran).toEqual(await cliHere(args));
    exits.push(ran.status);
  }
  expect(exits).toEqual([0, 1, 0, 2, 3, 0]);
});

describe('output', () => {
  test('a reader that goes away is no failure', async () => {
    const dir = join(scratch, 'large');
    const store = openStore(dir);
    const region = store.region('many');
    for (let i = 0; i < 60_000; i++) region.alloc(16);
    store.close();
    const child = spawn(process.execPath, [MAIN, 'blocks', dir],
      { stdio: ['ignore', 'pipe', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += String(chunk);
    });
    await once(child.stdout, 'data');
    child.stdout.destroy();
    const [exit] = await once(child, 'exit');
    expect([exit, stderr]).toEqual([0, '']);
    expect(json<{ blocks: unknown[] }>(['blocks', dir]).blocks.length).toBeGreaterThan(60_000);
  });

  test('a disk that is full', () => {
    const full = openSync('/dev/full', 'w');
    const { status, stderr } = spawnSync(process.execPath, [MAIN, 'ls', sound, '--json'],
      { stdio: ['ignore', full, 'pipe'], encoding: 'utf8' });
    closeSync(full);
    expect(status).toBe(3);
    expect(stderr).toMatch(/^regionstore: ERR_NO_SPACE: .*full/);
  });

  test('no colour where nobody looks, nor with NO_COLOR', () => {
    for (const env of [{}, { NO_COLOR: '1' }]) {
      for (const name of ['ls', 'check']) {
        expect(cli([name, sound], env).stdout).not.toContain('\x1b');
      }
    }
  });
});
