/** Everything whose blocks a heap holds: a new kind of collection is a line here. */
import type { Family } from './core.ts';
import { hashes } from './hash/hash-family.ts';
import { lists } from './list/list.ts';
import { records } from './records.ts';
import { sortedMaps } from './tree/sorted.ts';

export const FAMILIES: readonly Family[] = [records, lists, hashes, sortedMaps];
