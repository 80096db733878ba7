/** What a profile is looked at by, and how call sites are written for people. */
import type { SiteProfile } from '../profile.ts';

/** Live bytes, bytes that were ever asked for, number of allocations. */
export type By = 'live' | 'bytes' | 'count';
export const MEASURES: readonly By[] = ['live', 'bytes', 'count'];

export function measureOf(counters: Omit<SiteProfile, 'stack'>, by: By): number {
  return by === 'live' ? counters.live : by === 'bytes' ? counters.bytes : counters.allocs;
}

export function labelOf(by: By): string {
  return by === 'live' ? 'live bytes' : by === 'bytes' ? 'allocated bytes' : 'allocations';
}

/** `file:line:function` → its parts; the file may have colons in it. */
export function partsOf(site: string): { file: string; line: string; called: string } {
  const [, file = site, line = '', called = site] = /^(.*?):(\d+):(.*)$/s.exec(site) ?? [];
  return { file, line, called };
}

/** `function (last/folders/file.ts:line)`. */
export function shortened(site: string): string {
  const { file, line, called } = partsOf(site);
  if (line === '') return site;
  return `${called} (${file.split(/[\\/]/).slice(-2).join('/')}:${line})`;
}

/** Control characters, and those that turn the direction of text, as \u escapes. */
export function printableSite(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (c) => `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`);
}
