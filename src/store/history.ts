/**
 * History: which checkpoints can be gone back to, and what is kept for that.
 *
 * Undo records are a chain from the newest checkpoint back: each is applied to the state of
 * `sequence` and gives that of `base`. Of the checkpoints on the chain, the newest `history`
 * unlabelled ones and all labelled ones are retained; records between two of them are joined when
 * they hold much more than is needed, and those beyond the oldest go.
 */
import { RegionError } from '../errors.ts';
import type { CheckpointRow } from './catalog.ts';
import type { UndoRow } from './catalog-history.ts';
import type { StoreCore } from './core.ts';
import type { Place } from './images.ts';
import { decodeRecord, type Record } from './record.ts';

/** One step back. */
export interface Link {
  readonly sequence: number;
  readonly base: number;
  /** Of its records. */
  readonly bytes: number;
}

/** Is there, or will there be after the next checkpoint, one before it to go back to? */
export function isHistoryKept(core: StoreCore): boolean {
  if (core.last === null) return false;
  return core.options.history > 1 || restorable(core).some(({ label }) => label !== null);
}

/** The chain to the newest checkpoint as the catalog has it, oldest link first. */
export function chainTo(newest: number, rows: readonly UndoRow[]): Link[] {
  const chain: Link[] = [];
  let at = newest;
  for (const { sequence, base, bytes } of rows) {
    const last = chain.at(-1);
    if (last?.sequence === sequence) {
      chain[chain.length - 1] = { ...last, bytes: last.bytes + bytes };
    } else if (sequence === at) {
      chain.push({ sequence, base, bytes });
      at = base;
    }
  }
  return chain.reverse();
}

/** The undo records that lead back to `base`, oldest first: where two have a page, it wins. */
export function* recordsBack(core: StoreCore, base: number, to = core.sequence): Generator<Record> {
  const { catalog, images, mapper } = core;
  const links = new Map(core.chain.map((link) => [link.sequence, link]));
  const rows = catalog.history.undo().sort((a, b) => a.sequence - b.sequence || a.part - b.part);
  for (const row of rows) {
    const link = links.get(row.sequence);
    if (link === undefined || link.base < base || link.sequence > to) continue;
    const { file, at, bytes, sequence } = row;
    const record = file === null ? catalog.history.image(row)
      : images.read({ file, at, bytes }, sequence, new Uint8Array(0));
    yield decodeRecord(record, row, mapper.crc);
  }
}

/** Checkpoints that can be gone back to, oldest first; the newest is the last. */
export function restorable(core: StoreCore): CheckpointRow[] {
  const reached = new Set([core.sequence, ...core.chain.map(({ base }) => base)]);
  return retained(core).filter(({ sequence }) => reached.has(sequence));
}

/** Of all that are known, the newest `history` unlabelled ones, the labelled, and the newest. */
export function retained({ points, sequence, options }: StoreCore): CheckpointRow[] {
  const plain = points.filter(({ label }) => label === null).slice(-Math.max(1, options.history));
  const oldest = plain[0]?.sequence ?? 0;
  return points.filter((row) =>
    row.label !== null || row.sequence >= oldest || row.sequence === sequence);
}

/** The oldest checkpoint that somebody may go back to. */
export function horizonOf(core: StoreCore): number {
  return restorable(core)[0]?.sequence ?? core.sequence;
}

/** The checkpoint meant by a number or a label. ERR_NOT_FOUND says which there are. */
export function pointNamed(core: StoreCore, which: unknown): CheckpointRow {
  const points = restorable(core);
  if (typeof which !== 'string' && !Number.isSafeInteger(which)) {
    throw new RegionError('ERR_BAD_OPTION',
      `${String(which)} is no checkpoint: give its number, or its label`);
  }
  const found = points.findLast((row) => row.sequence === which || row.label === which);
  if (found !== undefined) return found;
  const names = points.slice(-10).map((row) => row.label ?? row.sequence).join(', ');
  throw new RegionError('ERR_NOT_FOUND',
    `there is no checkpoint ${which} to go back to${names === '' ? '' : `; there are: ${names}`}`);
}

/** Everything in image files that a committed row refers to. */
export function livePlaces({ catalog }: Pick<StoreCore, 'catalog'>): Place[] {
  const undo = catalog.history.undo().flatMap(({ file, at, bytes }) =>
    file === null ? [] : [{ file, at, bytes }]);
  return [...catalog.parts(), ...undo];
}

/** Names of the regions there were at a checkpoint, by id. */
export function namesAsOf(core: StoreCore, sequence: number): Map<string, string> {
  const names = new Map<string, string | null>();
  for (const { id, name, dropped, kind } of core.committed.values()) {
    if (kind === 'ring') continue;
    names.set(id, dropped === null ? name : null);
  }
  const seen = new Set<string>();
  for (const move of core.catalog.history.moves()) {
    if (move.sequence <= sequence || seen.has(move.id)) continue;
    seen.add(move.id);
    names.set(move.id, move.name);
  }
  return new Map([...names].filter((pair): pair is [string, string] => pair[1] !== null));
}
