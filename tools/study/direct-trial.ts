/**
 * Runs one program of a study under one method, a process of its own, and prints `ready` and then
 * a DirectResult as JSON:
 *
 *   node direct-trial.js '{"workload": "words", "method": "best", "discipline": "heap", …}'
 *
 * Without a workload it does everything but the work: what remains is what Node itself costs.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { standFor } from '../../src/study/places.ts';
import type { DirectRequest, DirectResult } from '../../src/study/direct.ts';
import { peakResident, startPeak } from '../../src/study/memory.ts';
import { RegionError } from '../../src/errors.ts';
import { last } from '../../src/methods/last.ts';
import { methodNamed } from '../../src/methods/registry.ts';
import { packageFile } from '../../src/package.ts';
import { refusal } from '../../src/trace/replay.ts';
import { type Document, WORKLOADS, wordsOf } from './workloads.ts';

/** The source of this package: text that is there wherever it is installed. */
function documents(most: number | null): Document[] {
  const sources = readdirSync(packageFile('src'), { recursive: true }).map(String)
    .filter((name) => /\.(ts|md)$/.test(name)).sort().map((name) => join('src', name));
  return ['README.md', ...sources].slice(0, most ?? Infinity).map((path) =>
    ({ path, words: wordsOf(readFileSync(packageFile(path), 'utf8')) }));
}

function run({ workload, method, discipline, size, dir }: DirectRequest): DirectResult {
  const program = WORKLOADS.find(({ name }) => name === workload);
  const job = program?.prepare(documents(size.texts), size.passes) ?? null;
  const { region, close } = standFor(discipline, dir, methodNamed(method));
  // What preparing left behind is not the work's.
  globalThis.gc?.();
  const resident = startPeak();
  process.stdout.write('ready\n');
  const before = process.resourceUsage();
  const started = performance.now();
  job?.work(region);
  const ms = performance.now() - started;
  const after = process.resourceUsage();
  const peak = peakResident();
  const result = {
    ms,
    minorFaults: after.minorPageFault - before.minorPageFault,
    majorFaults: after.majorPageFault - before.majorPageFault,
    peakResident: peak,
    addedResident: Math.max(0, peak - resident),
    extent: region.stat().extent,
    checksum: (job?.checksum() ?? 0).toString(16).padStart(8, '0'),
    refused: '',
  };
  close();
  return result;
}

function attempt(request: DirectRequest): DirectResult {
  try {
    return run(request);
  } catch (error) {
    const refused = refusal(error) ?? ofOrder(request, error);
    if (refused === null) throw error;
    return { ms: 0, minorFaults: 0, majorFaults: 0, peakResident: 0, addedResident: 0, extent: 0,
      checksum: '', refused };
  }
}

/** `last` frees only the newest block; under every other method that would be a fault. */
function ofOrder({ method }: DirectRequest, error: unknown): string | null {
  const isOrder = method === last.name && error instanceof RegionError
    && error.code === 'ERR_BAD_ADDRESS';
  return isOrder ? `${method} cannot free or resize blocks in the order of this program` : null;
}

const request = JSON.parse(process.argv[2] ?? '{}') as DirectRequest;
process.stdout.write(`${JSON.stringify(attempt(request))}\n`);
