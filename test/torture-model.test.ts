/** The crash tests themselves, tried on programs whose crash safety is known. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { crashed, emptyDisk, KEEP, LOSE, perform, survivor } from '../tools/torture/disk.ts';
import { enumerate } from '../tools/torture/enumerate.ts';
import { random } from '../tools/torture/random.ts';
import { projectRoot, record } from '../tools/torture/record.ts';
import { PROTOCOLS, programOf, TEXT_BYTES } from './support/torture-protocols.ts';

const scratch = mkdtempSync(join(tmpdir(), 'torture-model-'));
const root = projectRoot(import.meta.dirname);
const SEED = 20_26;

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** What a reader of such a folder would take for the content. */
function contentOf(folder: string): string {
  if (existsSync(join(folder, 'file'))) return readFileSync(join(folder, 'file'), 'utf8');
  if (!existsSync(join(folder, 'log'))) return 'nothing';
  const log = readFileSync(join(folder, 'log'), 'latin1');
  let text = 'nothing';
  for (let at = 0; at + TEXT_BYTES + 8 <= log.length; at += TEXT_BYTES + 8) {
    const entry = log.slice(at, at + TEXT_BYTES);
    const sum = log.slice(at + TEXT_BYTES, at + TEXT_BYTES + 8);
    if (sum !== '00000000' && sum !== checksum(entry)) break;
    text = entry;
  }
  return text;
}

/** CRC-32, the one of zlib that the child programs use. */
function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, '0');
}

function crc32(text: string): number {
  let crc = 0xffffffff;
  for (let i = 0; i < text.length; i++) {
    crc ^= text.charCodeAt(i);
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

describe('recorder and enumerator', () => {
  it.each(PROTOCOLS)('$name: safe = $safe', (protocol) => {
    const folder = join(scratch, 'run');
    const program = ['--input-type=module', '-e', programOf(protocol)];
    const recording = record({ root, folder, args: program });
    expect(recording.stderr).toBe('');
    expect(recording.ended).toBe(0);
    const result = enumerate(recording.operations, { seed: SEED, perOperation: 20,
      folder: join(scratch, 'disk'), examine: contentOf, mayLoseLast: false, stopAtLosses: 100,
      share: 1 });
    expect(result.states).toBeGreaterThan(protocol.safe ? 20 : 5);
    const first = `seed ${SEED}: ${JSON.stringify(result.losses[0])}`;
    expect(result.losses.length === 0, first).toBe(protocol.safe);
  });

  it('counts operations and fails the n-th', () => {
    const folder = join(scratch, 'fault');
    const program = `
      import fs from 'node:fs';
      const dir = process.env.TORTURE_DIR;
      const marks = fs.openSync(process.env.TORTURE_MARK, 'w+');
      const fd = fs.openSync(dir + '/file', 'w');
      const outcome = [];
      const attempt = (work) => {
        try { outcome.push(work()); } catch (e) { outcome.push(e.code); }
      };
      fs.writeSync(marks, '!fault 2 1');
      for (let i = 0; i < 3; i++) attempt(() => fs.writeSync(fd, 'abcdef'));
      fs.writeSync(marks, '!fault 1 2');
      for (let i = 0; i < 2; i++) attempt(() => fs.fsyncSync(fd));
      fs.writeSync(marks, '!fault 1 3');
      attempt(() => fs.ftruncateSync(fd, 99));
      attempt(() => fs.writeSync(fd, 'x'));
      attempt(() => fs.renameSync(dir + '/file', dir + '/other'));
      fs.writeSync(marks, '!fault 1 4');
      attempt(() => fs.writeSync(fd, 'abcdef'));
      fs.writeSync(marks, '!refuse 28 oth');
      attempt(() => fs.writeFileSync(dir + '/other', 'x'));
      fs.writeSync(marks, '!count');
      outcome.push(fs.readFileSync(process.env.TORTURE_MARK, 'utf8').trim());
      fs.writeSync(marks, '!clear');
      attempt(() => fs.writeFileSync(dir + '/other', 'x'));
      fs.writeSync(marks, '!fault 1 5');
      process.stderr.write(JSON.stringify(outcome));
      fs.writeSync(fd, 'x');`;
    const recording = record({ root, folder, args: ['--input-type=module', '-e', program] });
    expect(recording.ended).toBe('SIGKILL');
    const other = join(folder, 'disk', 'other');
    // libuv goes on after a short write: 6 bytes in two operations.
    expect(JSON.parse(recording.stderr)).toEqual([6, 'EIO', 6, 'EIO', 'EIO', 'ENOSPC', 'ENOSPC',
      null, 6, 'ENOSPC', `3 2 truncate ${other}`, null]);
  });
});

describe('disk model', () => {
  const bytes = (letter: string, count: number): Buffer => Buffer.alloc(count, letter);

  function fileWith(size: number) {
    const disk = emptyDisk();
    perform(disk, { kind: 'create', path: 'f', inode: 7 });
    perform(disk, { kind: 'write', inode: 7, at: 0, data: bytes('a', size) });
    perform(disk, { kind: 'sync', inode: 7, path: 'f' });
    const file = disk.inodes.get(7);
    if (file === undefined) throw new Error('no file');
    return { disk, file };
  }

  it('keeps a sector whole and mixes sectors', () => {
    const { disk, file } = fileWith(2048);
    perform(disk, { kind: 'write', inode: 7, at: 0, data: bytes('b', 2048) });
    const r = random(SEED);
    const seen = new Set<string>();
    for (let i = 0; i < 200; i++) {
      const left = survivor(file, { fate: () => 'torn', sector: () => r.chance(0.5),
        names: () => 0 }).toString();
      expect(left).toMatch(/^(a{512}|b{512}){4}$/);
      seen.add(left);
    }
    expect(seen.size).toBe(16);
  });

  it('a later write of a sector contains the earlier ones', () => {
    const { disk, file } = fileWith(512);
    perform(disk, { kind: 'write', inode: 7, at: 0, data: bytes('b', 10) });
    perform(disk, { kind: 'write', inode: 7, at: 100, data: bytes('c', 10) });
    const left = survivor(file, { ...LOSE, fate: (_file, i) => (i === 1 ? 'kept' : 'lost') });
    expect(left.subarray(0, 10).toString()).toBe('b'.repeat(10));
    expect(left.subarray(100, 110).toString()).toBe('c'.repeat(10));
  });

  it('shows no later write where a truncation was lost', () => {
    const { disk, file } = fileWith(2048);
    perform(disk, { kind: 'size', inode: 7, size: 512 });
    perform(disk, { kind: 'write', inode: 7, at: 0, data: bytes('b', 1024) });
    const left = survivor(file, { ...LOSE, fate: (_file, i) => (i === 1 ? 'kept' : 'lost') });
    expect(left.toString()).toBe('b'.repeat(512) + 'a'.repeat(1536));
    expect(survivor(file, KEEP).toString()).toBe('b'.repeat(1024));
    expect(survivor(file, LOSE).toString()).toBe('a'.repeat(2048));
  });

  it('a file whose folder was not synced may be missing, and then is there', () => {
    const { disk } = fileWith(10);
    expect([...crashed(disk, LOSE).keys()]).toEqual([]);
    expect([...crashed(disk, KEEP).keys()]).toEqual(['f']);
    perform(disk, { kind: 'syncDir', path: '' });
    perform(disk, { kind: 'rename', path: 'f', to: 'g' });
    expect([...crashed(disk, LOSE).keys()]).toEqual(['f']);
    expect([...crashed(disk, KEEP).keys()]).toEqual(['g']);
  });
});
