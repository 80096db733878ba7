/**
 * Call sites: where in the program a call into the library was made. Structured stack frames come
 * through Error.prepareStackTrace, which is put back before this returns; whatever the program set
 * there keeps working. Frames of the library itself and of Node are left out.
 *
 * Capturing costs half a microsecond a frame and more than all the rest, so few frames are asked
 * for at first. A place is turned into text once: later it is known by its script and position.
 */
import { findSourceMap } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { packageFile } from './package.ts';

/** Folders of the library's own files, as paths and as URLs. */
const OWN = ['src', 'dist/src', 'dist/bundle'].map((name) => `${packageFile(name)}/`)
  .flatMap((folder) => [folder, pathToFileURL(folder).href]);

/** Frames beyond the wanted ones that are captured at first, and when that was too few. */
const NEAR = 4;
const FAR = 48;
/** Places whose text is kept; a program that makes code as it runs would fill any memory. */
const MOST_KNOWN = 2 ** 16;

/** Text by position, by script; null = the script is the library's, or none of the program. */
const scripts = new Map<string, Map<number, string> | null>();
let known = 0;

/** A function on the stack: frames are those below it. */
export type Below = (...given: never[]) => unknown;

/** `file:line:function` of the innermost frame outside the library; '' = there is none. */
export function callSite(below: Below = callSite): string {
  return captured(1, below)[0] ?? '';
}

/** The innermost `depth` frames outside the library, innermost first, as `file:line:function`. */
export function callStack(depth: number, below: Below = callStack): string[] {
  return captured(depth, below);
}

/** Frames from the caller of `below` on. */
function captured(depth: number, below: Below): string[] {
  const frames = framesOf(depth + NEAR, below);
  const found = outside(frames, depth);
  if (found.length === depth || frames.length < depth + NEAR) return found;
  return outside(framesOf(depth + FAR, below), depth);
}

function outside(frames: readonly NodeJS.CallSite[], depth: number): string[] {
  const found: string[] = [];
  for (const frame of frames) {
    const file = frame.getFileName() ?? '';
    let places = scripts.get(file);
    if (places === undefined) {
      places = isForeign(file) ? new Map() : null;
      scripts.set(file, places);
    }
    if (places === null) continue;
    found.push(textOf(frame, file, places));
    if (found.length === depth) break;
  }
  return found;
}

function isForeign(file: string): boolean {
  return file !== '' && !file.startsWith('node:') && !OWN.some((own) => file.startsWith(own));
}

function textOf(frame: NodeJS.CallSite, file: string, places: Map<number, string>): string {
  const position = positionOf(frame);
  const held = position < 0 ? undefined : places.get(position);
  if (held !== undefined) return held;
  const called = frame.getFunctionName() ?? frame.getMethodName() ?? '<top level>';
  const type = frame.isConstructor() ? 'new ' : '';
  const text = `${placeOf(frame, file)}:${type}${called}`;
  if (position >= 0 && known < MOST_KNOWN) {
    places.set(position, text);
    known += 1;
  }
  return text;
}

/**
 * `file:line` as the program was written: where it was translated, whoever prepares stack traces
 * for it knows that, or its source map.
 */
function placeOf(frame: NodeJS.CallSite, file: string): string {
  const line = frame.getLineNumber() ?? 0;
  const origin = findSourceMap(file)?.findEntry(line - 1, (frame.getColumnNumber() ?? 1) - 1);
  if (origin !== undefined && 'originalSource' in origin) {
    return `${pathOf(origin.originalSource)}:${origin.originalLine + 1}`;
  }
  const [, path = file, shown = line] = PLACE.exec(preparedLine(frame)) ?? [];
  return `${pathOf(path)}:${shown}`;
}

/** `at f (file:line:column)` or `at file:line:column`. */
const PLACE = /^\s*at (?:.*\()?((?:file:\/\/)?\/[^()]*|[A-Z]:\\[^()]*):(\d+):\d+\)?$/;

function preparedLine(frame: NodeJS.CallSite): string {
  const prepare: unknown = Error.prepareStackTrace;
  if (typeof prepare !== 'function') return '';
  try {
    return String(prepare(new Error('call site'), [frame])).split('\n').at(-1) ?? '';
  } catch {
    // It is the program's; what it cannot do costs it the translation only.
    return '';
  }
}

function pathOf(file: string): string {
  return file.startsWith('file:') ? fileURLToPath(file) : file;
}

/** V8 knows the offset in the script without looking for the line; -1 = it does not say. */
function positionOf(frame: NodeJS.CallSite & { getPosition?(): number }): number {
  return typeof frame.getPosition === 'function' ? frame.getPosition() : -1;
}

const asFrames = (_error: Error, frames: NodeJS.CallSite[]) => frames;

function framesOf(limit: number, below: Below): readonly NodeJS.CallSite[] {
  const { prepareStackTrace, stackTraceLimit } = Error;
  const holder: { stack?: readonly NodeJS.CallSite[] } = {};
  Error.stackTraceLimit = limit;
  Error.prepareStackTrace = asFrames;
  try {
    Error.captureStackTrace(holder, below);
    return holder.stack ?? [];
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    Error.prepareStackTrace = prepareStackTrace;
  }
}
