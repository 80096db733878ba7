/**
 * What `perf stat -x,` writes: one line an event, `value,unit,event,run time,percent …`. The value
 * of an event that the machine or the kernel does not offer is `<not supported>` or `<not
 * counted>`. Lines that begin with # and empty lines are not events.
 * Source: perf-stat(1), "CSV FORMAT".
 */

export interface PerfStat {
  /** Counts by event, modifiers like `:u` cut off. */
  readonly counts: Readonly<Record<string, number>>;
  /** Events that were asked for and not counted. */
  readonly missing: readonly string[];
}

/** The events of a study, as perf names them. */
export const PERF_EVENTS = [
  'instructions', 'cache-references', 'cache-misses', 'dTLB-load-misses',
] as const;

export function readPerfStat(text: string): PerfStat {
  const counts: Record<string, number> = {};
  const missing: string[] = [];
  for (const line of text.split('\n')) {
    const [value = '', , event = ''] = line.split(',');
    if (line.startsWith('#') || event === '') continue;
    // A hybrid processor reports one line for each kind of core: cpu_core/instructions/u.
    const plain = /^cpu_\w+\/(.+)\/\w*$/.exec(event)?.[1] ?? event.replace(/:[a-zA-Z]+$/, '');
    const count = Number(value);
    if (value !== '' && Number.isFinite(count)) counts[plain] = (counts[plain] ?? 0) + count;
    else missing.push(plain);
  }
  return { counts, missing: [...new Set(missing)].filter((name) => !(name in counts)) };
}

/** Counts of a run less those of a run that did no work; never below 0. */
export function lessIdle(
  run: Readonly<Record<string, number>>, idle: Readonly<Record<string, number>>,
): Record<string, number> {
  return Object.fromEntries(Object.entries(run)
    .map(([name, count]) => [name, Math.max(0, count - (idle[name] ?? 0))]));
}
