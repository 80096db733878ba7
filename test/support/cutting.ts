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

/** A part of them, which is what a method that wraps another gives that one, is watched too. */
function watchedWords(words: Int32Array, onStore: () => void): Int32Array {
  return new Proxy(words, {
    set(target, key, value: number) {
      onStore();
      target[key as unknown as number] = value;
      return true;
    },
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== 'function') return value;
      if (key === 'subarray') {
        return (from: number, to?: number) => watchedWords(target.subarray(from, to), onStore);
      }
      return (...given: unknown[]) => {
        if (WRITERS.has(String(key))) onStore();
        return Reflect.apply(value, target, given);
      };
    },
  });
}

function watched(arena: Arena, onStore: () => void): Arena {
  return {
    words: watchedWords(arena.words, onStore),
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
