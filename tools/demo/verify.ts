/**
 * Compares what a store holds with what it must hold. Throws at the first difference, naming it.
 * The models are advanced to the step the store claims, so the store is judged by the trace and the
 * text, never by itself.
 */
import type { Region, Store } from '../../src/index.ts';
import { goalOf, type Plan } from './plan.ts';
import { TextModel } from './text-model.ts';
import { TABLES, TraceJob } from './trace-job.ts';
import { findDamage, TraceModel } from './trace-model.ts';
import { WordIndex } from './word-index.ts';

export interface Verified {
  readonly step: number;
  readonly record: number;
  readonly document: number;
  readonly blocks: number;
  readonly blockBytes: number;
  readonly words: number;
  readonly positions: number;
}

/** What the trace and the text say at some step; it only goes forward. */
export class Expected {
  readonly trace: TraceModel;
  readonly text: TextModel;
  readonly #plan: Plan;

  constructor(plan: Plan) {
    this.#plan = plan;
    this.trace = new TraceModel(plan.trace);
    this.text = new TextModel(plan.documents);
  }

  advance(step: number): void {
    const goal = goalOf(this.#plan, step);
    this.trace.advance(goal.record);
    this.text.advance(goal.document);
  }

  /** One number for everything a checkpoint of this step holds. */
  get digest(): string {
    const both = [this.trace.digest, this.text.digest];
    return both.map((n) => (n >>> 0).toString(16).padStart(8, '0')).join('');
  }
}

export function differs(what: string): never {
  throw new Error(`the store does not hold its last checkpoint: ${what}`);
}

/** The step both regions were at, as they say themselves. */
export function stepOf(store: Store): number {
  if (!store.has('heap') && !store.has('words')) return 0;
  const heap = store.region('heap').roots.get('step');
  const words = store.region('words').roots.get('step');
  if (heap !== words) differs(`region 'heap' is at step ${heap}, region 'words' at ${words}`);
  return heap;
}

/** Every block, every word, every posting. */
export function verifyStore(store: Store, plan: Plan, expected: Expected): Verified {
  const step = stepOf(store);
  expected.advance(step);
  const { record, document } = goalOf(plan, step);
  if (step > 0) {
    verifyHeap(new TraceJob(store.region('heap'), plan.trace), expected.trace);
    verifyWords(new WordIndex(store.region('words'), plan.documents.length), expected.text, plan);
  }
  const { blocks, bytes } = expected.trace;
  const { positions, postings } = expected.text;
  return { step, record, document, blocks, blockBytes: bytes, words: postings.size, positions };
}

/** `keeps` = the blocks that are still to be there; default: all that are live in the trace. */
export function verifyHeap(
  job: TraceJob, model: TraceModel, keeps: (slot: number) => boolean = () => true,
): void {
  if (job.record !== model.record) differs(`${job.record} records done, not ${model.record}`);
  let blocks = 0;
  for (let slot = 0; slot < model.sizes.length; slot += 1) {
    const isLive = (model.sizes[slot] as number) >= 0 && keeps(slot);
    if (isLive !== (job.addresses[slot] !== 0)) {
      differs(`slot ${slot} is ${isLive ? 'empty' : 'taken'}`);
    }
    if (!isLive) continue;
    blocks += 1;
    verifyBlock(job, model, slot);
  }
  soundness(job.region, blocks + TABLES);
}

function verifyBlock(job: TraceJob, model: TraceModel, slot: number): void {
  const size = model.sizes[slot] as number;
  const stamp = model.stamps[slot] as number;
  if (job.sizes[slot] !== size) differs(`slot ${slot}: ${job.sizes[slot]} bytes, not ${size}`);
  const at = findDamage(job.region.bytes(job.addresses[slot] as number, size), slot, stamp);
  if (at >= 0) differs(`the block of slot ${slot}, byte ${at} of ${size}`);
}

function verifyWords(index: WordIndex, model: TextModel, plan: Plan): void {
  if (index.documents !== model.document) {
    differs(`${index.documents} documents are indexed, not ${model.document}`);
  }
  for (let document = 0; document < model.document; document += 1) {
    const path = index.nameOf(document);
    if (path !== plan.documents[document]) differs(`document ${document} is called ${path}`);
  }
  // The table, the list of names, and each name.
  let blocks = 2 + model.document;
  const seen = new Set<string>();
  for (const word of index) {
    const { text, bucket, count } = word;
    const list = model.postings.get(text) ?? differs(`'${text}' is not in the text`);
    if (seen.has(text)) differs(`'${text}' is there twice`);
    seen.add(text);
    if (bucket !== index.bucketOf(text)) differs(`'${text}' is in bucket ${bucket}`);
    const { pairs, runs } = index.occurrences(word);
    const isSame = pairs.length === list.length && pairs.every((n, i) => n === list[i]);
    if (!isSame || 2 * count !== list.length) differs(`the occurrences of '${text}'`);
    blocks += 1 + runs;
  }
  if (seen.size !== model.postings.size || index.words !== seen.size) {
    differs(`${seen.size} words, not ${model.postings.size}`);
  }
  soundness(index.region, blocks);
}

/** The heap itself is sound, and no block is lost or left over. */
function soundness(region: Region, blocks: number): void {
  const [finding] = region.check();
  if (finding !== undefined) {
    differs(`region '${region.name}': ${finding.id} at ${finding.address}: ${finding.detail}`);
  }
  const { busyBlocks } = region.stat();
  if (busyBlocks !== blocks) {
    differs(`region '${region.name}' has ${busyBlocks} blocks, not ${blocks}`);
  }
}
