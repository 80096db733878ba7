/**
 * debug over an arena alone: a random model, death between any two stores, every clause of D7, and
 * bytes that are anything.
 */
import { describe, expect, test } from 'vitest';
import { GRANULE } from '../src/layout.ts';
import { DEBUG, DEBUG_HEADER, PROFILE, SITE, SITES } from '../src/layout-debug.ts';
import { best } from '../src/methods/best.ts';
import { debug } from '../src/methods/debug.ts';
import { InnerArena } from '../src/methods/inner-arena.ts';
import { last } from '../src/methods/last.ts';
import { profile } from '../src/methods/profile.ts';
import { methodNamed } from '../src/methods/registry.ts';
import type { Arena, Blocks, Finding, Method } from '../src/types.ts';
import { arenaOver, busyBlocks, countingWords, Killed, newArena, type TestArena }
  from './support/arena.ts';
import { newSeed, type Random, randomFrom } from './support/oracle.ts';

const START = 512;
const S = START * 4;
const SMALL = { siteTable: 4096, quarantineBlocks: 8, quarantine: 4096 };

function heapOf(method: Method, bytes = 2 ** 20): { arena: TestArena; blocks: Blocks } {
  const arena = newArena(bytes);
  arena.words.fill(0x5a5a5a5a);
  expect(method.format(arena)).toBe(true);
  return { arena, blocks: method.attach(arena) };
}

function findings(blocks: Blocks): Finding[] {
  const all: Finding[] = [];
  blocks.check((finding) => all.push(finding));
  return all;
}

/** Contents are the block's number in every byte. */
class Model {
  readonly live = new Map<number, { size: number; value: number }>();
  readonly #isOrdered: boolean;
  #count = 0;

  constructor(isOrdered: boolean) {
    this.#isOrdered = isOrdered;
  }

  step(arena: Arena, blocks: Blocks, random: Random): void {
    const granules = [...this.live.keys()];
    const what = random(100);
    const size = random(random(8) === 0 ? 3000 : 90);
    const some = granules[random(granules.length || 1)];
    if (what < 40 || granules.length === 0) this.#add(arena, blocks.alloc(size), size);
    else if (what < 48) this.#add(arena, blocks.align(size, 32 << random(4)), size);
    else if (what < 80) this.#drop(blocks, this.#isOrdered ? granules.at(-1) as number : some);
    else if (what < 96) this.#resize(arena, blocks, some, size);
    else blocks.trim();
  }

  verify(arena: Arena, blocks: Blocks): void {
    const bytes = bytesOf(arena);
    const wanted = [...this.live].map(([p, { size }]) => [p, size]).sort((a, b) => a[0] - b[0]);
    expect(busyBlocks(blocks)).toEqual(wanted);
    for (const [p, { size, value }] of this.live) {
      const held = bytes.subarray(p * GRANULE, p * GRANULE + size);
      expect(held.every((byte) => byte === value), `block ${p}`).toBe(true);
    }
  }

  #add(arena: Arena, p: number, size: number): void {
    if (p === 0) return;
    this.#count += 1;
    const value = this.#count & 0xff;
    bytesOf(arena).fill(value, p * GRANULE, p * GRANULE + size);
    this.live.set(p, { size, value });
  }

  #drop(blocks: Blocks, p: number): void {
    const held = this.live.get(p);
    this.live.delete(p);
    if (!blocks.free(p) && held !== undefined) this.live.set(p, held);
  }

  #resize(arena: Arena, blocks: Blocks, p: number, size: number): void {
    const held = this.live.get(p) as { size: number; value: number };
    if (!blocks.resize(p, size)) return;
    bytesOf(arena).fill(held.value, p * GRANULE, p * GRANULE + size);
    this.live.set(p, { size, value: held.value });
  }
}

function bytesOf({ words }: Arena): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}

describe.each([debug(best, SMALL), debug(last, SMALL), debug(debug(best, SMALL), SMALL),
  debug(profile(best, { siteTable: 4096 }), SMALL)])(
  '$name', (method) => {
    const isOrdered = method.name.includes('last');

    test('random steps agree with a model, over many attachments', () => {
      const seed = newSeed();
      const random = randomFrom(seed);
      const { arena, blocks } = heapOf(method);
      const model = new Model(isOrdered);
      let now = blocks;
      for (let i = 0; i < 4000; i++) {
        model.step(arena, now, random);
        if (i % 200 !== 0) continue;
        model.verify(arena, now);
        expect(findings(now), `seed ${seed}, step ${i}`).toEqual([]);
        now = method.attach(arena);
        if (i % 400 === 0) expect(now.rebuild()).toBe(true);
      }
    });

    test('death between any two stores leaves what rebuild puts in order', () => {
      const seed = newSeed();
      const random = randomFrom(seed);
      const { arena, blocks } = heapOf(method);
      const model = new Model(isOrdered);
      for (let i = 0; i < 60; i++) model.step(arena, blocks, random);
      for (let round = 0; round < 5; round++) {
        const from = random(2 ** 30);
        killEverywhere(method, arena, model, from, `seed ${seed}, round ${round}`);
        model.step(arena, method.attach(arena), randomFrom(from));
      }
    });

    test('whatever the bytes are, nothing is thrown and nothing goes on for ever', () => {
      const seed = newSeed();
      const random = randomFrom(seed);
      const { arena, blocks } = heapOf(method, 2 ** 19);
      const model = new Model(isOrdered);
      for (let i = 0; i < 100; i++) model.step(arena, blocks, random);
      for (let round = 0; round < 60; round++) {
        const words = arena.words.slice();
        const { held } = arena;
        for (let n = 1 + random(30); n > 0; n--) {
          const isState = random(3) === 0;
          const at = isState ? S + random(60) : S + random((held - START) * 4);
          words[at] = random(2) === 0 ? random(2 ** 32) | 0 : random(held);
        }
        useAll(method, arenaOver(words, START, held, arena.limit), random);
      }
    });
  });

/** One step, cut off after every number of stores it can have. */
function killEverywhere(
  method: Method, arena: TestArena, model: Model, from: number, where: string,
): void {
  const before = [...model.live.keys()];
  for (let limit = 0; limit < 5000; limit += limit < 50 ? 1 : 37) {
    const words = arena.words.slice();
    const counted = countingWords(words, limit);
    const trial = arenaOver(counted.words, START, arena.held, arena.limit);
    const copy = new Model(method.name.includes('last'));
    for (const [p, held] of model.live) copy.live.set(p, held);
    let isDone = false;
    try {
      copy.step(trial, method.attach(trial), randomFrom(from));
      isDone = true;
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
    }
    const after = arenaOver(words, START, trial.held, arena.limit);
    const blocks = method.attach(after);
    expect(blocks.rebuild(), `${where}, after ${limit} stores`).toBe(true);
    expect(findings(blocks), `${where}, after ${limit} stores`).toEqual([]);
    const now = busyBlocks(blocks).map(([p]) => p);
    const changed = [...before.filter((p) => !now.includes(p)), ...now.filter((p) =>
      !before.includes(p))];
    expect(changed.length, `${where}, after ${limit} stores`).toBeLessThanOrEqual(1);
    if (isDone) return;
  }
}

/** Every call, on bytes that may be anything; what is read only changes nothing. */
function useAll(method: Method, arena: TestArena, random: Random): void {
  const blocks = method.attach(arena);
  const copy = arena.words.slice();
  const found = findings(blocks);
  expect(found.length).toBeLessThanOrEqual(300);
  const busy = busyBlocks(blocks);
  blocks.leaks?.(() => {});
  for (let i = 0; i < 40; i++) {
    const p = START + random(arena.held);
    const size = blocks.sizeOf(p);
    if (size >= 0) expect(p * GRANULE + size).toBeLessThanOrEqual(arena.held * GRANULE);
    blocks.startOf(p);
    blocks.accuse?.(p * GRANULE + random(GRANULE));
  }
  expect(Buffer.compare(bytesOf(arena), new Uint8Array(copy.buffer))).toBe(0);
  for (const [p] of busy.slice(0, 30)) {
    if (random(2) === 0) blocks.resize(p, random(500));
    else blocks.free(p);
  }
  for (let i = 0; i < 30; i++) blocks.alloc(random(500));
  blocks.trim();
  blocks.rebuild();
  blocks.clear();
}

describe('D7', () => {
  function held(): { arena: TestArena; blocks: Blocks; p: number } {
    const { arena, blocks } = heapOf(debug(best, SMALL));
    const p = blocks.alloc(100);
    blocks.free(p);
    blocks.free(blocks.alloc(50));
    expect(findings(blocks)).toEqual([]);
    return { arena, blocks, p };
  }
  const D7 = (address: number, detail: RegExp) =>
    [{ id: 'D7', address, detail: expect.stringMatching(detail) }];
  const STATE_AT = START * GRANULE;

  test.each([['magic', 0], ['front', 256], ['slots', 7], ['siteWords', 66],
    ['check', 0]] as const)(
    'a state whose %s cannot be', (field, value) => {
      const { arena, blocks } = held();
      arena.words[S + DEBUG[field]] = value;
      expect(findings(blocks)).toEqual(D7(STATE_AT, /state of debug is damaged/));
      expect(blocks.rebuild()).toBe(false);
      const attached = debug(best).attach(arena);
      expect(findings(attached)).toContainEqual(D7(STATE_AT, /state of debug is damaged/)[0]);
    });

  test.each([['count', 9], ['count', -1], ['head', 8], ['head', -1]] as const)(
    'a quarantine with %s %i', (field, value) => {
      const { arena, blocks } = held();
      arena.words[S + DEBUG[field]] = value;
      expect(findings(blocks)).toEqual(D7(STATE_AT, /quarantine says it holds/));
    });

  test('a quarantine that forgot a block, names another, counts wrong', () => {
    const { arena, blocks, p } = held();
    const { words } = arena;
    words[S + DEBUG.count] = 1;
    expect(findings(blocks)).toHaveLength(2);
    words[S + DEBUG.count] = 2;
    words[S + DEBUG.held] += 1;
    expect(findings(blocks)).toEqual(D7(STATE_AT, /granules are held back, not/));
    words[S + DEBUG.held] -= 1;
    words[S + DEBUG.ring] = p + 1 - words[S + DEBUG.front];
    expect(findings(blocks).map(({ address }) => address)).toContain((p + 1) * GRANULE);
    expect(findings(blocks).map(({ detail }) => detail).join())
      .toMatch(/names what is no freed block.*a freed block is not in the quarantine/);
    expect(blocks.rebuild()).toBe(true);
  });

  test('a table of call sites whose entries make no sense', () => {
    const { arena, blocks } = held();
    const { words } = arena;
    const table = S + DEBUG.ring + SMALL.quarantineBlocks;
    const first = table + SITES.buckets + 32;
    for (const [at, value, detail] of [
      [table + SITES.magic, 0, /is missing/],
      [table + SITES.room, 5, /says it has 5 words/],
      [table + SITES.used, 2 ** 20, /cannot have/],
      [first + SITE.hash, 5, /has another hash/],
      [first + SITE.keyBytes, -1, /makes no sense/],
      [first + SITE.keyBytes, 0, /has another hash/],
    ] as const) {
      const before = words[at];
      words[at] = value;
      expect(findings(blocks)).toContainEqual(D7(STATE_AT, detail)[0]);
      words[at] = before;
    }
    expect(findings(blocks)).toEqual([]);
  });

  test('a block that is too small for its header', () => {
    const { arena, blocks } = heapOf(debug(best, SMALL));
    const front = arena.words[S + DEBUG.front];
    const p = best.attach(new InnerArena(arena, front)).alloc(5) + front;
    expect(findings(blocks)).toEqual([...D7(p * GRANULE, /has no room for its header/),
      ...D7(STATE_AT, /not known/)]);
  });

  test('an old header is not taken for that of a block whose lead is damaged', () => {
    const { arena, blocks } = heapOf(debug(best, { ...SMALL, quarantineBlocks: 0 }));
    blocks.alloc(2000);
    const far = blocks.align(10, 256);
    const i = far - 256 / GRANULE;
    for (const front of [2, 4]) {
      let p = 0;
      for (let size = 0; p !== i + front && size < 4096; size += GRANULE) {
        blocks.clear();
        blocks.alloc(size);
        p = front === 2 ? blocks.alloc(1) : blocks.align(1, 64);
      }
      expect(p).toBe(i + front);
    }
    blocks.clear();
    blocks.alloc(2000);
    expect(blocks.align(10, 256)).toBe(far);
    arena.words[i * 4] += 1;
    expect(findings(blocks)).toEqual([{ id: 'D2', byProgram: true, address: far * GRANULE,
      allocatedAt: expect.any(String), detail: expect.stringMatching('block of 10 bytes') }]);
    expect(blocks.sizeOf(far)).toBe(10);
    expect(blocks.free(far)).toBe(true);
  });

  test('known blocks that are not those that are there', () => {
    const { arena, blocks, p } = held();
    arena.words[S + DEBUG.known] ^= p;
    expect(findings(blocks)).toEqual(D7(STATE_AT, /a block is there that is not known/));
    expect(blocks.rebuild()).toBe(true);
    expect(findings(blocks)).toEqual([]);
  });

  test('an underrun of a block that is held back is found, and the block recognised', () => {
    const { arena, blocks, p } = held();
    arena.words[p * 4 + DEBUG_HEADER.guard] = 0;
    expect(findings(blocks).map(({ id, address }) => [id, address])).toEqual([['D2', p * GRANULE]]);
    expect(blocks.sizeOf(p)).toBe(-1);
    expect(blocks.free(p)).toBe(false);
    expect(blocks.accuse?.(p * GRANULE)).toMatchObject({ id: 'D4' });
  });
});

test('a segment that is added by name has the options of the one that is there', () => {
  const made = debug(profile(best, { depth: 3, sites: false, siteTable: 9999 }),
    { sites: false, siteTable: 5000, quarantine: 12_345, quarantineBlocks: 77, fresh: false,
      freed: 0x11 });
  const { arena } = heapOf(made);
  const found = methodNamed('debug(profile(best))');
  found.attach(arena);
  const { arena: more } = heapOf(found);
  const partOf = ({ words }: Arena, from: number, to: number) => words.slice(S + from, S + to);
  const inside = arena.words[S + DEBUG.front] * 4;
  expect(partOf(more, 0, DEBUG.ring)).toEqual(partOf(arena, 0, DEBUG.ring));
  expect(partOf(more, inside, inside + PROFILE.tables))
    .toEqual(partOf(arena, inside, inside + PROFILE.tables));
  const { arena: usual } = heapOf(methodNamed('debug(profile(best))'));
  expect(partOf(usual, 0, DEBUG.ring)).not.toEqual(partOf(arena, 0, DEBUG.ring));
});
