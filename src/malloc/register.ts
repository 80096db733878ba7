/**
 * `node --import regionstore/register app.mjs`: records what an unmodified program allocates as
 * ArrayBuffers, typed arrays and Buffers. Of REGIONSTORE_OPTIONS `trace`, `profile`, `sites` and
 * `signals` are heard; the others are for `regionstore/malloc`.
 */
import { isMainThread } from 'node:worker_threads';
import { profileFor } from '../profile/write.ts';
import { atEnd } from './ending.ts';
import { intercept } from './intercept.ts';
import { Ledger, type Observer, tracing } from './ledger.ts';
import { outputTo, say } from './output.ts';
import { Profiling } from './profiling.ts';
import { type Settings, settingsFrom, VARIABLE } from './settings.ts';
import { traceTarget } from './trace-target.ts';

const HEARD: readonly string[] =
  ['trace', 'profile', 'sites', 'signals'] satisfies (keyof Settings)[];

function register(): void {
  const settings = settingsFrom(process.env[VARIABLE] ?? '');
  const ignored = Object.keys(settings).filter((name) => !HEARD.includes(name));
  if (isMainThread && ignored.length > 0) {
    say(`register: ${ignored.join(', ')}: not for Buffers and ArrayBuffers, ignored here`);
  }
  if (settings.trace === undefined && settings.profile === undefined) {
    if (isMainThread) say(`register: nothing to do; set ${VARIABLE} to trace=FILE or profile=FILE`);
    return;
  }
  const ledger = new Ledger();
  const problem = intercept(ledger);
  if (problem !== null) return say(`register: ${problem}`);
  const ends = [() => ledger.end()];
  // Before a trace is opened, which wants to complete itself at the end too.
  atEnd(() => {
    for (const end of ends) end();
  }, settings.signals ?? false);
  ledger.begin(observersFor(settings, ends));
}

function observersFor(
  { trace, profile, sites = false }: Settings, ends: (() => void)[],
): Observer[] {
  const observers: Observer[] = [];
  if (trace !== undefined) {
    const target = traceTarget(trace, sites);
    ends.push(() => target.close());
    observers.push(tracing(target));
  }
  if (profile !== undefined) {
    const output = outputTo(profile, 'profile');
    const counts = new Profiling();
    ends.push(() => {
      output.add(profileFor(profile, counts.finish(), 'Buffers by call stack'));
      output.flush();
    });
    observers.push(counts);
  }
  return observers;
}

register();
