/**
 * What a workload says about itself in the recorder's log: checkpoint k was begun and will hold
 * this content; checkpoint k was acknowledged; a program opened the store and saw this content,
 * which is an acknowledgement too. Checkpoint 0 is the empty store. Also the commands to the
 * recorder. Without a recorder all of it goes nowhere.
 */
import { openSync, readFileSync, writeSync } from 'node:fs';

export type Mark =
  | { readonly begun: number; readonly digest: string }
  | { readonly acked: number }
  | { readonly seen: string };

/** Numbers are those of recorder.c. */
export const FAULTS = { eioOnce: 1, eioForever: 2, full: 3, short: 4, kill: 5 } as const;
export type Fault = keyof typeof FAULTS;

export interface Marks {
  begun(k: number, digest: string): void;
  acked(k: number): void;
  seen(digest: string): void;
  /** The n-th operation from now fails; 0 = only count. */
  fault(n: number, fault: Fault): void;
  /** Writes to files whose path has this part fail with this errno until cleared. */
  refuse(errno: number, part: string): void;
  /** The next sync of such a file fails, and what it should have saved is lost. */
  unsync(part: string): void;
  clear(): void;
  /** Operations since `fault`, how many failed, and what the last one was. */
  count(): { operations: number; fired: number; what: string };
}

export function openMarks(path: string | undefined): Marks {
  const fd = path === undefined ? -1 : openSync(path, 'w+', 0o600);
  const say = (text: string): void => {
    if (fd >= 0) writeSync(fd, text);
  };
  return {
    begun: (k, digest) => say(JSON.stringify({ begun: k, digest })),
    acked: (k) => say(JSON.stringify({ acked: k })),
    seen: (digest) => say(JSON.stringify({ seen: digest })),
    fault: (n, fault) => say(`!fault ${n} ${FAULTS[fault]}`),
    refuse: (errno, part) => say(`!refuse ${errno} ${part}`),
    unsync: (part) => say(`!unsync ${part}`),
    clear: () => say('!clear'),
    count: () => {
      say('!count');
      const text = path === undefined ? '0 0 ' : readFileSync(path, 'utf8').trim();
      const [operations, fired, ...what] = text.split(' ');
      return { operations: Number(operations), fired: Number(fired), what: what.join(' ') };
    },
  };
}

export function markOf(text: string): Mark {
  return JSON.parse(text) as Mark;
}
