/** Peak resident memory of this process, from a moment on where the system can tell. */
import { readFileSync, writeFileSync } from 'node:fs';

/** Linux forgets the peak when asked to; elsewhere it is the peak since the process began. */
export function startPeak(): number {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    return process.memoryUsage.rss();
  }
  return peakResident();
}

/** Bytes. */
export function peakResident(): number {
  try {
    const [, kib] = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    if (kib !== undefined) return Number(kib) * 1024;
  } catch {
    // Not Linux.
  }
  return process.resourceUsage().maxRSS * 1024;
}
