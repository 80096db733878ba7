/** Rings as verbs show them. Nothing here reads more of a ring than its ends. */
import type { Ring } from '../buffers/ring.ts';
import type { Store } from '../store/api.ts';
import { type Column, humanSize, isoDate, type Paint, printable, table } from './table.ts';

/** Of the JSON of `ls` and `inspect`. */
export interface RingView {
  readonly name: string;
  readonly id: string;
  /** Bytes of the circle. */
  readonly size: number;
  /** Sequences of the oldest and of the newest record, 0 = there is none. */
  readonly first: number;
  readonly last: number;
  /** When the newest was appended. */
  readonly newest: Date | null;
}

/** All rings of a store, or those that are named. */
export function ringsOf(store: Store | null, names: readonly string[] = []): RingView[] {
  if (store === null) return [];
  return store.regions()
    .filter(({ name, kind }) => kind === 'ring' && (names.length === 0 || names.includes(name)))
    .map(({ name, id }) => viewOf(name, id, store.ring(name)));
}

function viewOf(name: string, id: string, ring: Ring): RingView {
  const [newest] = ring.tail(1);
  return { name, id, size: ring.size, first: ring.first, last: ring.last,
    newest: newest?.at ?? null };
}

const COLUMNS: readonly Column<RingView>[] = [
  { title: 'RING', text: (row) => printable(row.name) },
  { title: 'SIZE', text: (row) => humanSize(row.size), right: true },
  { title: 'RECORDS', text: ({ first, last }) => String(last === 0 ? 0 : last - first + 1),
    right: true },
  { title: 'OLDEST', text: (row) => String(row.first), right: true },
  { title: 'NEWEST', text: (row) => String(row.last), right: true },
  { title: 'APPENDED', text: ({ newest }) => (newest === null ? '-' : isoDate(newest)) },
];

/** Nothing where there are none. */
export function* ringText(rings: readonly RingView[], head: Paint): Generator<string> {
  if (rings.length > 0) yield* table(COLUMNS, rings, head);
}
