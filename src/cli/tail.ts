/**
 * `regionstore tail DIR RING`: the newest records of a ring, and with --follow those that are
 * appended from then on, by whichever process writes it. Ctrl-C ends that, with exit code 0.
 *
 * JSON: { path, ring, records: [{ seq, at, text } or { seq, at, base64 }] }; `base64` where a
 *   record is no UTF-8. With --follow a line for each record.
 */
import { type Command, InvalidArgumentError } from 'commander';
import type { Ring } from '../buffers/ring.ts';
import type { RingRecord } from '../buffers/ring-log.ts';
import { RegionError } from '../errors.ts';
import type { Store } from '../store/api.ts';
import { openTarget } from './open.ts';
import { counted, printable, someOf } from './table.ts';
import { storeOf } from './target.ts';
import { type Common, type Console, document, verb } from './verb.ts';

interface Options extends Common {
  readonly lines: number;
  readonly follow?: true;
  readonly raw?: true;
}

export function tail(program: Command, console: Console): void {
  verb(program, 'tail', {
    summary: 'show the newest records of a ring',
    details: 'Show the newest records of a ring: sequence, time and text; a record that is no ' +
      'UTF-8 is shown as hexadecimal digits. --follow goes on with what is appended, beside the ' +
      'program that writes, until Ctrl-C. --raw prints nothing but the texts.',
    examples: ['tail data events', 'tail data events -n 100 --follow',
      "tail data events --json | jq '.records[].text'"],
  })
    .argument('<ring>', 'its name; see `ls`')
    .option('-n, --lines <count>', 'how many', count, 10)
    .option('-f, --follow', 'go on with records that are appended')
    .option('--raw', 'the contents alone')
    .action((dir: string, name: string, options: Options) => show(console, dir, name, options));
}

function count(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('it must be a number of records.');
}

async function show(
  console: Console, dir: string, name: string, options: Options,
): Promise<void> {
  const target = await openTarget(dir, { mode: 'read', ofStore: 'rings' });
  try {
    const ring = ringNamed(storeOf(target), name);
    const { output } = console;
    const records = ring.tail(options.lines);
    const line = options.json ? inJson : options.raw ? rawText : inText;
    if (options.follow) {
      await output.print(records.map(line));
      await follow(ring, (records.at(-1)?.seq ?? ring.last) + 1, async (record) =>
        output.print([line(record)]));
    } else if (options.json) {
      await output.print(document({ path: target.path, ring: name, records: records.map(view) }));
    } else await output.print(records.map(line));
    if (ring.lost > 0) {
      process.stderr.write(`regionstore: ${counted(ring.lost, 'record')} were overwritten ` +
        'before they were shown\n');
    }
  } finally {
    target.close(true);
  }
}

function ringNamed(store: Store, name: string): Ring {
  const regions = store.regions();
  const found = regions.find((region) => region.name === name);
  if (found?.kind === 'ring') return store.ring(name);
  if (found !== undefined) {
    throw new RegionError('ERR_MISMATCH', `'${name}' is a ${found.kind}, not a ring; see \`ls\``);
  }
  const rings = regions.filter(({ kind }) => kind === 'ring').map((region) => region.name);
  throw new RegionError('ERR_NOT_FOUND', `there is no ring '${name}' in ${store.dir}; there is ` +
    (rings.length === 0 ? 'none' : someOf(rings)));
}

async function follow(
  ring: Ring, from: number, onRecord: (record: RingRecord) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const interrupt = () => stop.abort();
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  try {
    for await (const record of ring.follow({ from, signal: stop.signal })) await onRecord(record);
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
}

/** Text where it is UTF-8. */
function textOf({ bytes }: RingRecord): string | null {
  const text = Buffer.from(bytes).toString();
  return Buffer.from(text).equals(bytes) ? text : null;
}

function view(record: RingRecord): object {
  const text = textOf(record);
  const { seq, at } = record;
  return text === null ? { seq, at, base64: Buffer.from(record.bytes).toString('base64') }
    : { seq, at, text };
}

function inJson(record: RingRecord): string {
  return JSON.stringify(view(record));
}

function rawText(record: RingRecord): string {
  return textOf(record) ?? Buffer.from(record.bytes).toString('hex');
}

function inText(record: RingRecord): string {
  const { seq, at, bytes } = record;
  const text = textOf(record);
  return `${seq}  ${at.toISOString()}  ` +
    (text === null ? Buffer.from(bytes).toString('hex') : printable(text));
}
