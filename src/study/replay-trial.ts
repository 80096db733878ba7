/**
 * One trial of `regionstore replay` in a process of its own, so that trials do not share a heap,
 * compiled code or a fate:
 *
 *   node replay-trial.js SPEC      SPEC and the outcome on stdout are JSON
 *
 * Where it has a channel to its parent, it tells it of each replay that is done.
 */
import { readTrace } from '../trace/trace-file.ts';
import { runTrial, type Spec } from './replay-run.ts';

const spec = JSON.parse(process.argv[2] ?? '{}') as Spec;
const outcome = runTrial(spec, readTrace(spec.path), () => performance.now(),
  () => process.send?.(true));
process.stdout.write(JSON.stringify(outcome));
