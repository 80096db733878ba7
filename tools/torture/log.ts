/**
 * What recorder.c wrote, as operations. Inode numbers are used again after an unlink; a `create`
 * binds the number to a new file, which the disk model relies on. Shared memory of SQLite (-shm) is
 * not content: it is rebuilt at the first open after a crash, so its operations are left out; as
 * are those of the counters of a writer, which the next one makes anew.
 */

export type Operation =
  | { readonly kind: 'create'; readonly path: string; readonly inode: number }
  | { readonly kind: 'write'; readonly inode: number; readonly at: number; readonly data: Buffer }
  | { readonly kind: 'size'; readonly inode: number; readonly size: number }
  | { readonly kind: 'zero'; readonly inode: number; readonly at: number; readonly size: number }
  | { readonly kind: 'rename' | 'link'; readonly path: string; readonly to: string }
  | { readonly kind: 'unlink' | 'mkdir' | 'rmdir' | 'syncDir'; readonly path: string }
  | { readonly kind: 'sync'; readonly inode: number; readonly path: string }
  | { readonly kind: 'lost'; readonly inode: number; readonly path: string }
  | { readonly kind: 'mark'; readonly text: string };

const HEAD = 56;
const KINDS = ['', 'create', 'write', 'size', 'zero', 'rename', 'unlink', 'mkdir', 'rmdir', 'link',
  'sync', 'syncDir', 'mark', 'unsupported', 'lost'] as const;

function operation(log: Buffer, at: number): { path: string; op: Operation } {
  const kind = KINDS[log.readUInt32LE(at + 4)];
  const inode = Number(log.readBigUInt64LE(at + 16));
  const offset = Number(log.readBigInt64LE(at + 24));
  const size = Number(log.readBigInt64LE(at + 32));
  const toAt = at + HEAD + log.readUInt32LE(at + 40);
  const dataAt = toAt + log.readUInt32LE(at + 44);
  const path = log.toString('utf8', at + HEAD, toAt);
  const to = log.toString('utf8', toAt, dataAt);
  const data = log.subarray(dataAt, dataAt + log.readUInt32LE(at + 48));
  switch (kind) {
    case 'create': return { path, op: { kind, path, inode } };
    case 'write': return { path, op: { kind, inode, at: offset, data } };
    case 'size': return { path, op: { kind, inode, size } };
    case 'zero': return { path, op: { kind, inode, at: offset, size } };
    case 'rename':
    case 'link': return { path, op: { kind, path, to } };
    case 'unlink':
    case 'mkdir':
    case 'rmdir':
    case 'syncDir': return { path, op: { kind, path } };
    case 'sync': return { path, op: { kind, inode, path } };
    case 'lost': return { path, op: { kind, inode, path } };
    case 'mark': return { path, op: { kind, text: data.toString('utf8') } };
    default: throw new Error(`torture: the recorder could not follow: ${kind} ${path} ${to}`);
  }
}

/** Operations of a log in their order; paths are relative to `dir`, '' is the folder itself. */
export function operationsOf(log: Buffer, dir: string): Operation[] {
  const operations: Operation[] = [];
  const relative = (path: string): string => path.slice(dir.length + 1);
  for (let at = 0; at < log.length; at += log.readUInt32LE(at)) {
    const { path, op } = operation(log, at);
    if (path.endsWith('-shm') || path.endsWith('/counters')) continue;
    if ('to' in op) operations.push({ ...op, path: relative(op.path), to: relative(op.to) });
    else if ('path' in op) operations.push({ ...op, path: relative(op.path) });
    else operations.push(op);
  }
  return operations;
}
