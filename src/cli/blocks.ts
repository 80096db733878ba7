/**
 * `regionstore blocks DIR [REGION]`: the blocks of one region in address order, streamed.
 *
 * JSON: { type, path, region, blocks: [{ address, size, busy }], next }, one block a line. `next`
 * is the address to go on from when --limit cut the list, else null. With --hex: { type, path,
 * region, address, size, busy, hex }, of the block that holds the address.
 */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { RegionError } from '../errors.ts';
import type { Region } from '../types.ts';
import { hexLines } from './hex.ts';
import type { Subject, Target } from './target.ts';
import type { Progress } from './progress.ts';
import { type Column, humanSize, someOf, table } from './table.ts';
import { type Common, type Console, document, onTarget, type Report, verb } from './verb.ts';

interface Options extends Common {
  readonly busy?: true;
  readonly free?: true;
  readonly limit?: number;
  readonly from?: number;
  readonly hex?: number;
}

type Block = Region extends { blocks(): Iterable<infer B> } ? B : never;

const COLUMNS: readonly Column<Block>[] = [
  { title: 'ADDRESS', text: (block) => String(block.address), right: true, width: 14 },
  { title: 'SIZE', text: (block) => String(block.size), right: true, width: 12 },
  { title: '', text: (block) => humanSize(block.size), right: true, width: 10 },
  { title: 'STATE', text: (block) => (block.busy ? 'busy' : 'free'), width: 5 },
];

/** Bytes of a block that --hex shows. */
const MOST_HEX = 65_536;
/** Blocks between two looks at the clock. */
const STRIDE = 4096;

export function blocks(program: Command, console: Console): void {
  verb(program, 'blocks', {
    summary: 'list the blocks of a region',
    details: 'List the blocks of a region in address order: address, usable size in bytes, busy ' +
      'or free. REGION may be left out where there is only one. --hex shows what is in the ' +
      'block that holds an address.',
    examples: ['blocks data words --busy --limit 20', 'blocks data words --free --json',
      'blocks data words --hex 8208'],
  })
    .argument('[region]', 'the region')
    .addOption(new Option('--busy', 'only live blocks').conflicts('free'))
    .addOption(new Option('--free', 'only free blocks').conflicts('busy'))
    .option('--limit <n>', 'at most so many blocks', wholeNumber)
    .option('--from <address>', 'only blocks at this address or behind', wholeNumber)
    .option('--hex <address>', 'the contents of one block, at most 64 KiB of them', wholeNumber)
    .action((dir: string, name: string | undefined, options: Options) =>
      onTarget(console, dir, options, { mode: 'read' }, (target) => {
        const subject = onlySubject(target, name);
        if (options.hex !== undefined) return contents(target, subject, options.hex);
        // On a terminal the lines themselves show that something happens.
        const progress = console.output.isTerminal ? null : console.progress;
        const source = watched(subject.region, progress);
        return {
          json: () => jsonOf(target, subject.name, chosen(source, options), options.limit),
          text: () => table(COLUMNS, first(chosen(source, options), options.limit),
            console.output.head),
        };
      }));
}

/** Of the block that holds an address. */
function contents({ type, path }: Target, { name, region }: Subject, at: number): Report {
  const block = blockAt(region, at);
  const { address, size, busy } = block;
  const bytes = busy ? region.bytes(address).subarray(0, MOST_HEX) : new Uint8Array(0);
  return {
    json: () => document({ type, path, region: name, address, size, busy,
      hex: Buffer.from(bytes).toString('hex') }),
    *text() {
      yield `block ${address}: ${size} bytes, ${busy ? 'busy' : 'free'}`;
      yield* hexLines(bytes, address);
      if (busy && size > MOST_HEX) yield `and ${size - MOST_HEX} bytes more`;
    },
  };
}

function blockAt(region: Region, at: number): Block {
  for (const block of region.blocks()) {
    if (block.address <= at && at < block.address + Math.max(1, block.size)) return block;
    if (block.address > at) break;
  }
  throw new RegionError('ERR_BAD_ADDRESS',
    `no block of '${region.name}' holds the address ${at}; \`blocks\` lists them`);
}

function wholeNumber(text: string): number {
  const n = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(n)) return n;
  throw new InvalidArgumentError('give a whole number, 0 or more');
}

function onlySubject(target: Target, name: string | undefined): Subject {
  const names = name === undefined ? [] : [name];
  if (target.count(names) !== 1) {
    const all = target.store?.regions().map((region) => region.name) ?? [];
    throw new RegionError('ERR_BAD_OPTION',
      all.length === 0 ? `${target.path} has no regions yet`
        : `say which region of ${target.path}: ${someOf(all)}`);
  }
  const [subject] = target.subjects(names);
  return subject;
}

function* watched(region: Region, progress: Progress | null): Generator<Block> {
  let total = 0;
  if (progress !== null) {
    const { busyBlocks, freeBlocks } = region.stat();
    total = busyBlocks + freeBlocks;
  }
  let seen = 0;
  for (const block of region.blocks()) {
    if (++seen % STRIDE === 0) progress?.step('block', seen, total);
    yield block;
  }
}

function* chosen(source: Iterable<Block>, options: Options): Generator<Block> {
  const { from = 0 } = options;
  for (const block of source) {
    if (block.address < from) continue;
    if (block.busy ? options.free !== true : options.busy !== true) yield block;
  }
}

function* first(source: Iterable<Block>, limit = Number.POSITIVE_INFINITY): Generator<Block> {
  let left = limit;
  if (left === 0) return;
  for (const block of source) {
    yield block;
    if (--left === 0) return;
  }
}

function* jsonOf(
  { type, path }: Target, region: string, source: Iterable<Block>,
  limit = Number.POSITIVE_INFINITY,
): Generator<string> {
  const front = JSON.stringify({ type, path, region });
  yield `${front.slice(0, -1)},"blocks":[`;
  let next: number | null = null;
  let line = '';
  let left = limit;
  for (const { address, size, busy } of source) {
    if (left-- === 0) {
      next = address;
      break;
    }
    if (line !== '') yield `${line},`;
    line = JSON.stringify({ address, size, busy });
  }
  if (line !== '') yield line;
  yield `],"next":${next}}`;
}
