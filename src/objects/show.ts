/** How handles look in util.inspect and what prints with it: their contents, as deep as asked. */

/** What util.inspect hands to its custom functions. */
export type Inspect = (value: unknown, options: object) => string;

/** Handles that are being shown: one inside itself is circular. */
const open = new Set<object>();

/** A title and contents; of what lies too deep only the title. */
export function show(
  handle: object, title: string, contents: () => unknown, depth: number | null,
  options: { readonly depth?: number | null }, inspect: Inspect,
): string {
  if (open.has(handle)) return `[Circular ${title}]`;
  if (depth !== null && depth < 0) return `[${title}]`;
  open.add(handle);
  try {
    return `${title} ${inspect(contents(), { ...options, depth })}`;
  } finally {
    open.delete(handle);
  }
}
