/**
 * Where `trace=` goes: a file in the format its name ends in, or lines to a descriptor. The default
 * region and the preload of one thread share a target of the same name; their regions have
 * different names in it.
 */
import { type LineTrace, lineTrace, traceFile } from '../trace/record.ts';
import type { TraceSink } from '../events.ts';
import { isDescriptor, type Output, outputTo, ownFile, say } from './output.ts';

export interface TraceTarget extends TraceSink {
  /** Completes the trace; what comes later is left out. */
  close(): void;
}

const targets = new Map<string, TraceTarget>();

/** Opens a target, or gives the one that is open. ERR_BAD_OPTION, ERR_IO. */
export function traceTarget(target: string, sites: boolean): TraceTarget {
  const known = targets.get(target);
  if (known !== undefined) return known;
  const opened = isDescriptor(target) ? linesTo(outputTo(target, 'trace'), sites)
    : traceFile(ownFile(target), { sites });
  let isOpen = true;
  const shared: TraceTarget = {
    sites,
    record(event) {
      if (isOpen) opened.record(event);
    },
    close() {
      if (!isOpen) return;
      isOpen = false;
      try {
        opened.close();
      } catch (error) {
        say(`trace: ${(error as Error).message}`);
      }
    },
  };
  targets.set(target, shared);
  return shared;
}

function linesTo(output: Output, sites: boolean): TraceTarget {
  const lines: LineTrace = lineTrace((line) => output.add(line), { sites });
  return {
    sites,
    record: lines.record,
    close() {
      lines.end();
      output.flush();
    },
  };
}
