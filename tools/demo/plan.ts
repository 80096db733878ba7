/**
 * What the main job does, as parent and child both see it: which trace, which text, and how far
 * both have to be at each step. A step ends with a checkpoint.
 */
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TRACE_RECORD } from '../../src/layout.ts';
import { readTrace } from '../../src/trace/trace-file.ts';
import type { Trace } from '../../src/trace/trace.ts';

const { words: RECORD, operation: OPERATION, align: ALIGN } = TRACE_RECORD;

/** Folder of the project: this file is below it in tools/ as source, in dist/tools/ compiled. */
export const ROOT = findRoot(dirname(fileURLToPath(import.meta.url)));

export interface Plan {
  readonly traceName: string;
  readonly trace: Trace;
  /** Records of the trace that are replayed. */
  readonly records: number;
  /** READMEs, relative to ROOT, in the order they are indexed. */
  readonly documents: readonly string[];
  readonly steps: number;
  readonly kills: number;
}

/** How far the job is: records replayed, documents indexed. */
export interface Goal {
  readonly record: number;
  readonly document: number;
}

/** `quick` is a part of the job that takes a few seconds, for the tests. */
export function makePlan(quick: boolean): Plan {
  const traceName = quick ? 'lua' : 'make';
  const trace = readTrace(join(ROOT, 'test', 'fixtures', 'traces', `${traceName}.vmt.gz`));
  const all = trace.records.length / RECORD;
  const documents = findReadmes();
  return {
    traceName,
    trace,
    records: quick ? Math.min(all, 60_000) : all,
    documents: quick ? documents.slice(0, 40) : documents,
    steps: quick ? 48 : 320,
    kills: quick ? 2 : 8,
  };
}

/** Where step n ends. An align record and the alloc it speaks of are never parted. */
export function goalOf(plan: Plan, step: number): Goal {
  const share = step / plan.steps;
  let record = Math.floor(plan.records * share);
  const word = record === 0 ? 0 : plan.trace.records[(record - 1) * RECORD] as number;
  if ((word & OPERATION) === ALIGN) record += 1;
  return { record, document: Math.floor(plan.documents.length * share) };
}

function findRoot(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : findRoot(dirname(folder));
}

function findReadmes(): string[] {
  return readdirSync(join(ROOT, 'node_modules'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /^readme.*\.md$/i.test(entry.name))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .sort();
}
