/**
 * A model of a disk with a page cache: what a machine that stops now may find afterwards.
 *
 * D1 Bytes: until a file is synced, each 512-byte sector holds its content after any one of the
 *    operations that touched it (a later one contains the earlier ones, a sector is never torn).
 * D2 Sizes are metadata of the file and change in order: once a truncation is lost, only sectors
 *    that it left alone can show later writes. A lost write may still have made the file longer.
 * D3 Names: until a folder is synced, any prefix of its changes is there; fsync of a file does not
 *    save its name (POSIX promises no more). Changes of two folders are independent.
 * D4 A sync that fails takes the file's changes with it: the pages count as clean and are never
 *    written again by themselves (seen on Linux with XFS and ext4).
 * After ALICE (Pillai et al., OSDI 2014).
 */
import type { Operation } from './log.ts';

export const SECTOR = 512;

type Change =
  | { readonly kind: 'write'; readonly at: number; readonly data: Buffer }
  | { readonly kind: 'size'; readonly size: number };

/** A file; `durable` is what its last sync left, `changes` what came after. */
export interface FileNode {
  readonly order: number;
  durable: Buffer;
  changes: Change[];
}

type NameChange = { readonly remove: string | null; readonly add: [string, Node] | null };

interface FolderNode {
  durable: Map<string, Node>;
  live: Map<string, Node>;
  changes: NameChange[];
}

type Node = FileNode | FolderNode;

export interface Disk {
  readonly root: FolderNode;
  readonly inodes: Map<number, FileNode>;
  files: number;
}

/** The fate of one change of a file; 'sized' = lost, but the file has grown. */
export type Fate = 'kept' | 'lost' | 'torn' | 'sized';

/** Decides what survives; every question is asked once per change. */
export interface Choice {
  fate(file: FileNode, change: number, changes: number): Fate;
  sector(): boolean;
  names(changes: number): number;
}

export function emptyDisk(): Disk {
  return { root: emptyFolder(), inodes: new Map(), files: 0 };
}

function emptyFolder(): FolderNode {
  return { durable: new Map(), live: new Map(), changes: [] };
}

function isFolder(node: Node | undefined): node is FolderNode {
  return node !== undefined && 'live' in node;
}

function folderAt(disk: Disk, path: string): FolderNode {
  let folder: FolderNode = disk.root;
  for (const name of path.split('/').filter((part) => part !== '')) {
    const next = folder.live.get(name);
    if (!isFolder(next)) throw new Error(`torture: no folder ${path}`);
    folder = next;
  }
  return folder;
}

function parted(path: string): [string, string] {
  const slash = path.lastIndexOf('/');
  return [path.slice(0, Math.max(slash, 0)), path.slice(slash + 1)];
}

function change(folder: FolderNode, step: NameChange): void {
  if (step.remove !== null) folder.live.delete(step.remove);
  if (step.add !== null) folder.live.set(step.add[0], step.add[1]);
  folder.changes.push(step);
}

function add(disk: Disk, path: string, node: Node): void {
  const [parent, name] = parted(path);
  change(folderAt(disk, parent), { remove: null, add: [name, node] });
}

function rename(disk: Disk, path: string, to: string): void {
  const [parent, name] = parted(path);
  const [toParent, toName] = parted(to);
  if (parent !== toParent) throw new Error('torture: a rename between folders is not modelled');
  const folder = folderAt(disk, parent);
  const node = folder.live.get(name);
  if (node === undefined) throw new Error(`torture: nothing to rename at ${path}`);
  change(folder, { remove: name, add: [toName, node] });
}

function remove(disk: Disk, path: string): void {
  const [parent, name] = parted(path);
  change(folderAt(disk, parent), { remove: name, add: null });
}

function fileOf(disk: Disk, inode: number): FileNode {
  const file = disk.inodes.get(inode);
  if (file === undefined) throw new Error(`torture: inode ${inode} was never created`);
  return file;
}

function createFile(disk: Disk, path: string, inode: number): void {
  const file: FileNode = { order: disk.files++, durable: Buffer.alloc(0), changes: [] };
  disk.inodes.set(inode, file);
  add(disk, path, file);
}

function linkFile(disk: Disk, path: string, to: string): void {
  const [parent, name] = parted(path);
  const node = folderAt(disk, parent).live.get(name);
  if (node === undefined) throw new Error(`torture: nothing to link at ${path}`);
  add(disk, to, node);
}

function sync(file: FileNode): void {
  if (file.changes.length > 0) file.durable = survivor(file, KEEP);
  file.changes = [];
}

function syncFolder(folder: FolderNode): void {
  folder.durable = new Map(folder.live);
  folder.changes = [];
}

/** Takes one recorded operation in. Marks are nothing to a disk. */
export function perform(disk: Disk, op: Operation): void {
  if (op.kind === 'create') createFile(disk, op.path, op.inode);
  else if (op.kind === 'mkdir') add(disk, op.path, emptyFolder());
  else if (op.kind === 'unlink' || op.kind === 'rmdir') remove(disk, op.path);
  else if (op.kind === 'rename') rename(disk, op.path, op.to);
  else if (op.kind === 'link') linkFile(disk, op.path, op.to);
  else if (op.kind === 'syncDir') syncFolder(folderAt(disk, op.path));
  else if (op.kind === 'lost') fileOf(disk, op.inode).changes = [];
  else if (op.kind === 'sync') sync(fileOf(disk, op.inode));
  else if ('inode' in op) fileOf(disk, op.inode).changes.push(changeOf(op));
}

function changeOf(op: Extract<Operation, { kind: 'write' | 'size' | 'zero' }>): Change {
  if (op.kind === 'size') return { kind: 'size', size: op.size };
  return { kind: 'write', at: op.at, data: op.kind === 'zero' ? Buffer.alloc(op.size) : op.data };
}

/** Every change survives. */
export const KEEP: Choice = {
  fate: () => 'kept',
  sector: () => true,
  names: (changes) => changes,
};

/** Only what was synced survives. */
export const LOSE: Choice = { fate: () => 'lost', sector: () => false, names: () => 0 };

/** A growing file: `bytes` has room, `size` is how long the file is. */
interface Content {
  bytes: Buffer;
  size: number;
}

function roomFor(content: Content, size: number): void {
  if (size <= content.bytes.length) return;
  const larger = Buffer.alloc(Math.max(size, content.bytes.length * 2));
  content.bytes.copy(larger);
  content.bytes = larger;
}

function sized(content: Content, size: number): void {
  roomFor(content, size);
  if (size < content.size) content.bytes.fill(0, size);
  content.size = size;
}

function written(content: Content, at: number, data: Buffer): void {
  if (at + data.length > content.size) sized(content, at + data.length);
  data.copy(content.bytes, at);
}

/** Copies the sectors that a write touched, as they are in the cache, to the disk. */
function flush(cache: Content, disk: Content, from: number, end: number, choice: Choice | null,
               limit: number): void {
  for (let at = from - (from % SECTOR); at < end && at < limit; at += SECTOR) {
    if (choice !== null && !choice.sector()) continue;
    const until = Math.min(at + SECTOR, cache.size);
    roomFor(disk, until);
    cache.bytes.copy(disk.bytes, at, at, until);
    disk.size = Math.max(disk.size, Math.min(until, end));
  }
}

/** What a crash leaves of a file (D1, D2). */
export function survivor(file: FileNode, choice: Choice): Buffer {
  const { durable, changes } = file;
  if (changes.length === 0) return durable;
  const cache: Content = { bytes: Buffer.from(durable), size: durable.length };
  const disk: Content = { bytes: Buffer.from(durable), size: durable.length };
  let limit = Number.POSITIVE_INFINITY;
  changes.forEach((step, i) => {
    const fate = choice.fate(file, i, changes.length);
    if (step.kind === 'size') {
      if (fate === 'kept' && limit === Number.POSITIVE_INFINITY) sized(disk, step.size);
      else limit = Math.min(limit, cache.size, step.size);
      sized(cache, step.size);
      return;
    }
    const end = step.at + step.data.length;
    written(cache, step.at, step.data);
    if (fate === 'kept') flush(cache, disk, step.at, end, null, limit);
    else if (fate === 'torn') flush(cache, disk, step.at, end, choice, limit);
    else if (fate === 'sized' && end > disk.size && limit > end) sized(disk, end);
  });
  return disk.bytes.subarray(0, disk.size);
}

/** Path → content, null for a folder; folders come before what is in them. */
export type Tree = Map<string, Buffer | null>;

function walk(folder: FolderNode, at: string, choice: Choice, seen: Map<Node, Buffer>,
              tree: Tree): void {
  const names = new Map(folder.durable);
  for (const step of folder.changes.slice(0, choice.names(folder.changes.length))) {
    if (step.remove !== null) names.delete(step.remove);
    if (step.add !== null) names.set(step.add[0], step.add[1]);
  }
  for (const [name, node] of names) {
    const path = at === '' ? name : `${at}/${name}`;
    if (isFolder(node)) {
      tree.set(path, null);
      walk(node, path, choice, seen, tree);
    } else {
      const content = seen.get(node) ?? survivor(node, choice);
      seen.set(node, content);
      tree.set(path, content);
    }
  }
}

/** One disk that a crash at this moment may leave. */
export function crashed(disk: Disk, choice: Choice): Tree {
  const tree: Tree = new Map();
  walk(disk.root, '', choice, new Map(), tree);
  return tree;
}

/** Files with unsynced changes and folders with unsynced names: 0 = a crash changes nothing. */
export function unsynced(disk: Disk): number {
  const walkFolder = (folder: FolderNode): number => {
    let sum = folder.changes.length;
    for (const node of folder.live.values()) {
      sum += isFolder(node) ? walkFolder(node) : node.changes.length;
    }
    return sum;
  };
  return walkFolder(disk.root);
}
