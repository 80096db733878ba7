/**
 * Plain objects of every realm: a REPL, node:vm and some test runners have an Object of their own.
 * Dates and bytes are told by node:util/types for the same reason, never by `instanceof`.
 */

/** Was it made by `{}`, by JSON.parse and the like, or without a prototype? */
export function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null || isForeign(prototype as object);
}

/** Is it the Object.prototype of another realm? */
function isForeign(prototype: object): boolean {
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf');
}
