/** FORMAT.md is compared with layout.ts, table by table. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import * as mainLayout from '../src/layout.ts';
import * as debugLayout from '../src/layout-debug.ts';
import * as ringLayout from '../src/layout-ring.ts';
import * as heapLayout from '../src/layout-objects.ts';

const layout = { ...mainLayout, ...debugLayout, ...heapLayout, ...ringLayout };

const text = readFileSync(new URL('../src/FORMAT.md', import.meta.url), 'utf8');

/** Field → offset of the first table after the mention of `name`. */
function tableOf(name: string): Record<string, number> {
  const lines = text.slice(text.indexOf(`(\`${name}\`)`)).split('\n');
  const first = lines.findIndex((line) => line.startsWith('| offset |'));
  const rows: Record<string, number> = {};
  for (const line of lines.slice(first + 2)) {
    if (!line.startsWith('|')) break;
    const [, offset, field] = line.split('|').map((cell) => cell.trim());
    if (field) rows[field] = Number(offset);
  }
  return rows;
}

/** Entries of a layout table that are not fields: lengths of fields, of the whole. */
const LENGTHS = new Set(['methodBytes', 'identityBytes', 'rootsEnd', 'bytes', 'at', 'words',
  'align', 'liveEnd']);

const TABLES = ['HEADER', 'STATE', 'SEGMENT_HEADER', 'ROOT', 'ROOTS_BLOCK', 'RECORD',
  'RECORD_REGION', 'RECORD_IMAGE', 'BEST', 'LAST', 'SLAB', 'POOL',
  'JOURNAL', 'SHARED', 'THREAD', 'TRACE', 'COMPRESSED', 'COMPRESSED_CHUNK', 'DEBUG',
  'DEBUG_HEADER', 'PROFILE', 'PROFILE_HEADER', 'SITES', 'SITE', 'HEAD', 'LIST', 'ELEMENTS',
  'HASH', 'ENTRIES', 'ENTRY', 'BUCKETS', 'TREE', 'NODE', 'RING', 'RING_RECORD',
  'COUNTERS'] as const;

describe('FORMAT.md', () => {
  test.each(TABLES)('%s', (name) => {
    const fields = Object.entries(layout[name])
      .filter(([field]) => name === 'ROOTS_BLOCK' || name === 'PROFILE'
        || !LENGTHS.has(field));
    expect(tableOf(name)).toEqual(Object.fromEntries(fields));
  });

  test('magics and versions', () => {
    for (const magic of [layout.MAGIC, layout.SEGMENT_MAGIC, layout.RECORD_MAGIC,
      layout.JOURNAL_MAGIC, layout.COMPRESSED_MAGIC, layout.RING_MAGIC,
      layout.COUNTERS_MAGIC]) {
      expect(text).toContain(`\`${magic}\``);
    }
    expect(text).toContain(`0x${layout.TRACE_MAGIC.toString(16)}, \`VMT1\``);
    expect(text).toContain(`\`${layout.TRACE_HEAD}${layout.TRACE_LINE_VERSION}\``);
    expect(text).toContain(`\`${layout.TRACE_END}N\``);
    expect(text).toContain(`application_id\` 0x${layout.CATALOG_APPLICATION.toString(16)}`);
    expect(text).toContain(`user_version\` ${layout.CATALOG_VERSION}`);
    expect(text).toContain(`Version ${layout.VERSION}.`);
  });
});
