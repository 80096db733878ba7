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
import { fileURLToPath } from 'node:url';
import type { DirectRequest, DirectResult } from '../../src/cli/study-direct.ts';
import { peakResident, startPeak } from '../../src/cli/study-memory.ts';
import { studyRegion } from '../../src/cli/study-region.ts';
import { refusal } from '../../src/trace/replay.ts';
import { type Document, WORKLOADS } from './workloads.ts';

/** Compiled, this file is in dist/tools/study. */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** The source of this package: text that is there wherever it is installed. */
function documents(): Document[] {
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true }).map(String)
    .filter((name) => /\.(ts|md)$/.test(name)).sort().map((name) => join('src', name));
  return ['README.md', ...sources].map((path) =>
    ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));
}

function run({ workload, method, discipline, passes, dir }: DirectRequest): DirectResult {
  const program = WORKLOADS.find(({ name }) => name === workload);
  const input = documents();
  const { region, peakExtent, end } = studyRegion(method, discipline, dir);
  startPeak();
  process.stdout.write('ready\n');
  const before = process.resourceUsage();
  const started = performance.now();
  const checksum = program?.run(region, input, passes) ?? 0;
  const ms = performance.now() - started;
  const after = process.resourceUsage();
  const result = {
    ms,
    minorFaults: after.minorPageFault - before.minorPageFault,
    majorFaults: after.majorPageFault - before.majorPageFault,
    peakResident: peakResident(),
    extent: peakExtent(),
    checksum: checksum.toString(16).padStart(8, '0'),
    refused: '',
  };
  end();
  return result;
}

function attempt(request: DirectRequest): DirectResult {
  try {
    return run(request);
  } catch (error) {
    const refused = refusal(error);
    if (refused === null) throw error;
    return { ms: 0, minorFaults: 0, majorFaults: 0, peakResident: 0, extent: 0, checksum: '',
      refused };
  }
}

const request = JSON.parse(process.argv[2] ?? '{}') as DirectRequest;
process.stdout.write(`${JSON.stringify(attempt(request))}\n`);
