/**
 * Call sites: where in the program a call into the library was made. Structured stack frames come
 * through Error.prepareStackTrace, which is put back before this returns; whatever the program set
 * there keeps working. Frames of the library itself and of Node are left out.
 */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Folder of the library's own files: src/ or dist/src/. */
const OWN = dirname(fileURLToPath(import.meta.url));
const OWN_URL = new URL('.', import.meta.url).href;

/** Frames that are looked at to find the first one outside the library. */
const REACH = 24;

/** `file:line:function` of the innermost frame outside the library; '' = there is none. */
export function callSite(): string {
  return callStack(1)[0] ?? '';
}

/** The innermost `depth` frames outside the library, innermost first, as `file:line:function`. */
export function callStack(depth: number): string[] {
  const found: string[] = [];
  for (const frame of framesOf(depth + REACH)) {
    const file = frame.getFileName() ?? '';
    if (isOwn(file) || file.startsWith('node:') || file === '') continue;
    found.push(nameOf(frame, file));
    if (found.length === depth) break;
  }
  return found;
}

function isOwn(file: string): boolean {
  return file.startsWith(OWN_URL) || (file.startsWith(OWN) && file[OWN.length] === '/');
}

function nameOf(frame: NodeJS.CallSite, file: string): string {
  const path = file.startsWith('file:') ? fileURLToPath(file) : file;
  const called = frame.getFunctionName() ?? frame.getMethodName() ?? '<top level>';
  const type = frame.isConstructor() ? 'new ' : '';
  return `${path}:${frame.getLineNumber() ?? 0}:${type}${called}`;
}

function framesOf(limit: number): readonly NodeJS.CallSite[] {
  const { prepareStackTrace, stackTraceLimit } = Error;
  const holder: { stack?: readonly NodeJS.CallSite[] } = {};
  Error.stackTraceLimit = limit;
  Error.prepareStackTrace = (_error, frames) => frames;
  try {
    Error.captureStackTrace(holder, callStack);
    return holder.stack ?? [];
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    Error.prepareStackTrace = prepareStackTrace;
  }
}
