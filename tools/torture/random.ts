/**
 * Seeded randomness of the crash tests (sfc32, Chris Doty-Humphrey). A run is repeated by its seed;
 * `split` gives a part of a run its own sequence, so that parts can be repeated alone.
 */

export interface Random {
  /** An integer in [0, below). */
  int(below: number): number;
  /** True with this probability. */
  chance(probability: number): boolean;
  pick<T>(choices: readonly T[]): T;
  fill(bytes: Uint8Array): Uint8Array;
}

/** A word that depends on every character of the label. */
export function hashOf(label: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < label.length; i++) {
    hash = Math.imul(hash ^ label.charCodeAt(i), 0x01000193);
  }
  return hash >>> 0;
}

export function split(seed: number, label: string): Random {
  return random((seed ^ hashOf(label)) >>> 0);
}

export function random(seed: number): Random {
  let a = seed | 0;
  let b = 0x9e3779b9 | 0;
  let c = 0x243f6a88 | 0;
  let counter = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let i = 0; i < 12; i++) next();
  const int = (below: number): number => Math.floor((next() / 2 ** 32) * below);
  return {
    int,
    chance: (probability) => next() < probability * 2 ** 32,
    pick: (choices) => {
      const choice = choices[int(choices.length)];
      if (choice === undefined) throw new Error('torture: nothing to pick from');
      return choice;
    },
    fill: (bytes) => {
      for (let i = 0; i < bytes.length; i++) bytes[i] = next();
      return bytes;
    },
  };
}
