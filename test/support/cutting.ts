/** Methods that can be stopped at any of their stores, as a thread that dies there is. */
import type { Arena, Method } from '../../src/types.ts';

const WRITERS = new Set(['fill', 'copyWithin', 'set']);

/** The method, which calls `onStore` before every store to its memory, whatever its length. */
export function cutting(method: Method, onStore: () => void): Method {
  return {
    name: method.name,
    format: (arena) => method.format(arena),
    attach: (arena) => method.attach(watched(arena, onStore)),
  };
}

function watched(arena: Arena, onStore: () => void): Arena {
  const words = new Proxy(arena.words, {
    set(target, key, value: number) {
      onStore();
      target[key as unknown as number] = value;
      return true;
    },
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== 'function') return value;
      return (...given: unknown[]) => {
        if (WRITERS.has(String(key))) onStore();
        return Reflect.apply(value, target, given);
      };
    },
  });
  return {
    words,
    start: arena.start,
    end: () => arena.end(),
    extend(granules) {
      onStore();
      const isMore = arena.extend(granules);
      onStore();
      return isMore;
    },
    retract(end) {
      onStore();
      arena.retract(end);
      onStore();
    },
    ...(arena.monitor && { monitor: arena.monitor }),
  };
}
