/** Methods by the name that is stored in a region's header. */
import { RegionError } from '../errors.ts';
import type { Method } from '../types.ts';
import { best } from './best.ts';
import { last } from './last.ts';
import { pool } from './pool.ts';
import { slab } from './slab.ts';

const methods = new Map<string, Method>(
  [best, last, pool, slab].map((method) => [method.name, method]),
);

/**
 * Makes a method known, so that regions that name it can be opened. The last one of a name wins.
 */
export function registerMethod(method: Method): void {
  methods.set(method.name, method);
}

export function methodNamed(name: string): Method {
  const method = methods.get(name);
  if (method !== undefined) return method;
  const known = [...methods.keys()].join(', ');
  throw new RegionError(
    'ERR_NOT_FOUND',
    `no method '${name}' is registered (known: ${known}); registerMethod makes one known`,
  );
}
