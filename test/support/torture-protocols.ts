/**
 * Small programs that replace the content of one file again and again, some in a crash-safe way and
 * some not. They try the crash tests themselves: the enumerator must pass the first and must find
 * what each of the others loses.
 */

export interface Protocol {
  readonly name: string;
  readonly safe: boolean;
  /** Body of `function replace(dir, text)` with node:fs as `fs`. */
  readonly replace: string;
}

const writeNew = `
  const fd = fs.openSync(dir + '/new', 'w');
  fs.writeSync(fd, text);`;
const renameNew = `fs.renameSync(dir + '/new', dir + '/file');`;
const syncFolder = `
  { const folder = fs.openSync(dir, 'r'); fs.fsyncSync(folder); fs.closeSync(folder); }`;
const logEntry = (checksum: boolean): string => `
  const fd = fs.openSync(dir + '/log', 'a');
  fs.writeSync(fd, text + (${checksum} ? crc(text) : '00000000'));
  fs.fdatasyncSync(fd); fs.closeSync(fd); ${syncFolder}`;

export const PROTOCOLS: readonly Protocol[] = [
  {
    name: 'write, fsync, rename, fsync of the folder',
    safe: true,
    replace: `${writeNew} fs.fsyncSync(fd); fs.closeSync(fd); ${renameNew} ${syncFolder}`,
  },
  { name: 'append with a checksum, fsync', safe: true, replace: logEntry(true) },
  {
    name: 'no fsync of the file',
    safe: false,
    replace: `${writeNew} fs.closeSync(fd); ${renameNew} ${syncFolder}`,
  },
  {
    name: 'no fsync of the folder',
    safe: false,
    replace: `${writeNew} fs.fsyncSync(fd); fs.closeSync(fd); ${renameNew}`,
  },
  {
    name: 'overwritten in place',
    safe: false,
    replace: `
      const fd = fs.openSync(dir + '/file', fs.existsSync(dir + '/file') ? 'r+' : 'w+');
      fs.writeSync(fd, text, 0); fs.fsyncSync(fd); fs.closeSync(fd); ${syncFolder}`,
  },
  { name: 'append without a checksum', safe: false, replace: logEntry(false) },
  {
    name: 'removed, then renamed',
    safe: false,
    replace: `${writeNew} fs.fsyncSync(fd); fs.closeSync(fd);
      if (fs.existsSync(dir + '/file')) fs.unlinkSync(dir + '/file');
      ${syncFolder} ${renameNew} ${syncFolder}`,
  },
];

/** Bytes of one text: more than a sector, so that it can be torn. */
export const TEXT_BYTES = 1492;

/** A program for `node --input-type=module -e` that replaces the content five times. */
export function programOf(protocol: Protocol): string {
  return `
import fs from 'node:fs';
import zlib from 'node:zlib';
const crc = (text) => zlib.crc32(text).toString(16).padStart(8, '0');
const dir = process.env.TORTURE_DIR;
const marks = fs.openSync(process.env.TORTURE_MARK, 'w');
const replace = (dir, text) => { ${protocol.replace} };
fs.writeSync(marks, JSON.stringify({ begun: 0, digest: 'nothing' }));
for (let k = 1; k <= 5; k++) {
  const text = String(k).repeat(${TEXT_BYTES});
  fs.writeSync(marks, JSON.stringify({ begun: k, digest: text }));
  replace(dir, text);
  fs.writeSync(marks, JSON.stringify({ acked: k }));
}`;
}
