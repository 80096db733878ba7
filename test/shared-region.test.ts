/** What a shared region is to one thread: options, errors, flags, memory. */
import { describe, expect, test } from 'vitest';
import { heap } from '../src/disciplines/heap.ts';
import { shared } from '../src/disciplines/shared-buffer.ts';
import { PAGE, SHARED, THREAD } from '../src/layout.ts';
import { best } from '../src/methods/best.ts';
import { last } from '../src/methods/last.ts';
import { pool } from '../src/methods/pool.ts';
import { registerMethod } from '../src/methods/registry.ts';
import { createRegion, openRegion } from '../src/region/region.ts';
import { regionOf } from '../src/region/windows.ts';
import type { Arena, Blocks, Finding, Method, Region } from '../src/types.ts';
import { expectCode } from './support/expect-code.ts';
import { memoryOf } from './support/memory.ts';

const MIB = 2 ** 20;

function bytesOf(buffer: SharedArrayBuffer): Buffer {
  return Buffer.from(Uint8Array.from(new Uint8Array(buffer)));
}

describe('options', () => {
  test('capacity and shards, by default and as given', () => {
    expect(shared().capacity).toBe(256 * MIB);
    expect(shared({ capacity: '3MiB' }).buffer.byteLength).toBe(3 * MIB);
    expect(shared({ capacity: '64KiB' }).slotBytes).toBe(65536);
    expect(shared({ capacity: '16MiB', shards: 4 }).slotBytes).toBe(4 * MIB);
    expect(shared(undefined, { capacity: '16MiB', shards: 1 }).slotBytes).toBe(16 * MIB);
    const buffer = new SharedArrayBuffer(2 * MIB + 100);
    const memory = shared(buffer, { shards: 2 });
    expect([memory.buffer === buffer, memory.capacity]).toEqual([true, 2 * MIB]);
  });

  const wrongOptions = [
    7, 'sab', null, true, [], new ArrayBuffer(MIB), new Uint8Array(MIB), { capacity: -1 },
    { capacity: 4096 }, { capacity: '8GiB' }, { capacity: 'much' }, { shards: 0 }, { shards: 3 },
    { shards: 1.5 }, { shards: 64 }, { shards: '2' }, { sharts: 1 },
    { capacity: '64KiB', shards: 16 }, { capacity: Number.NaN }, { capacity: 2 ** 60 },
  ];
  const numbered = wrongOptions.map((wrong, i) => [i, wrong] as const);
  test.each(numbered)('refused: number %i', (_i, wrong) => {
    expectCode('ERR_BAD_OPTION', () => shared(wrong as object));
  });

  test('refused beside a buffer', () => {
    const buffer = new SharedArrayBuffer(MIB);
    expectCode('ERR_BAD_OPTION', () => shared(buffer, { capacity: MIB }));
    expectCode('ERR_BAD_OPTION', () => shared(buffer, { shards: 5 }));
    expectCode('ERR_BAD_OPTION', () => shared({ shards: 1 } as never, { shards: 1 }));
    expectCode('ERR_BAD_OPTION', () => shared(new SharedArrayBuffer(100)));
  });

  test('an unknown one is named with the nearest', () => {
    expect(expectCode('ERR_BAD_OPTION', () => shared({ shard: 2 } as object)).message)
      .toContain("'shards'");
  });
});

describe('buffers', () => {
  test('a used one is opened, not made again; a blank one the other way round', () => {
    const buffer = new SharedArrayBuffer(MIB);
    expectCode('ERR_NOT_FOUND', () => openRegion(shared(buffer)));
    const memory = shared(buffer);
    const region = createRegion(memory, best);
    const text = region.strdup('still here');
    expectCode('ERR_EXISTS', () => createRegion(shared(buffer), best));
    expectCode('ERR_EXISTS', () => createRegion(memory, best));
    expectCode('ERR_BUSY', () => openRegion(memory));
    expectCode('ERR_MISMATCH', () => openRegion(shared(buffer, { shards: 32 })));
    region.close();
    using again = openRegion(shared(buffer));
    expect(again.string(text)).toBe('still here');
    expect(again.id).toBe(region.id);
    again.close();
    using third = openRegion(memory);
    expect(third.check()).toEqual([]);
  });

  test('foreign ones are left as they were', () => {
    for (const at of [0, 100, PAGE + 600, SHARED.magic, MIB - 1]) {
      const buffer = new SharedArrayBuffer(MIB);
      new Uint8Array(buffer)[at] = 1;
      const before = bytesOf(buffer);
      expectCode('ERR_EXISTS', () => createRegion(shared(buffer), best));
      expectCode('ERR_CORRUPT', () => openRegion(shared(buffer)));
      expect(bytesOf(buffer).equals(before)).toBe(true);
    }
  });

  test('a region that was made elsewhere is refused', () => {
    const memory = memoryOf(new Uint8Array(0), MIB);
    createRegion(memory, best).close();
    const buffer = new SharedArrayBuffer(MIB);
    new Uint8Array(buffer).set(memory.bytes());
    const before = bytesOf(buffer);
    expectCode('ERR_MISMATCH', () => openRegion(shared(buffer)));
    expectCode('ERR_MISMATCH', () => createRegion(shared(buffer), best));
    expect(bytesOf(buffer).equals(before)).toBe(true);
  });

  test('damaged and cut off ones are refused as they are', () => {
    const memory = shared({ capacity: '4MiB', shards: 4 });
    createRegion(memory, best).close();
    const whole = bytesOf(memory.buffer);
    const damaged = (change: (bytes: Uint8Array) => void, length = whole.length) => {
      const buffer = new SharedArrayBuffer(length);
      new Uint8Array(buffer).set(whole.subarray(0, length));
      change(new Uint8Array(buffer));
      const before = bytesOf(buffer);
      expectCode('ERR_CORRUPT', () => openRegion(shared(buffer)));
      // The thread was in the table for a moment; nothing else may differ.
      const after = bytesOf(buffer);
      after.fill(0, SHARED.threads, SHARED.threads + 2 * THREAD.bytes);
      before.fill(0, SHARED.threads, SHARED.threads + 2 * THREAD.bytes);
      expect(after.equals(before)).toBe(true);
    };
    damaged(() => {}, 3 * MIB);
    damaged((bytes) => bytes.fill(9, 20, 24));
    damaged((bytes) => bytes.fill(0, 0, 8));
    damaged((bytes) => bytes.fill(255, 128, 132));
    damaged((bytes) => bytes.fill(0, 2 * MIB, 2 * MIB + 8));
    damaged((bytes) => bytes.fill(1, SHARED.shards, SHARED.shards + 4));
  });

  test('one whose maker died, or lost its entry, was never finished', () => {
    const memory = shared({ capacity: MIB });
    createRegion(memory, best).close();
    const words = new Int32Array(memory.buffer);
    words[SHARED.isReady / 4] = 0;
    expectCode('ERR_CORRUPT', () => openRegion(shared(memory.buffer)));
    expectCode('ERR_CORRUPT', () => createRegion(shared(memory.buffer), best));
    words[SHARED.isReady / 4] = 1;
    openRegion(shared(memory.buffer)).close();
  });

  test('one whose maker finished and left while it was waited for is opened', () => {
    const memory = shared({ capacity: MIB });
    createRegion(memory, best).close();
    const words = new Int32Array(memory.buffer);
    words[SHARED.isReady / 4] = 0;
    const { wait } = Atomics;
    Atomics.wait = () => {
      words[SHARED.isReady / 4] = 1;
      return 'timed-out';
    };
    try {
      using region = openRegion(shared(memory.buffer));
      expect(region.check()).toEqual([]);
    } finally {
      Atomics.wait = wait;
    }
  });

  test('what cannot be laid out leaves a blank buffer', () => {
    const buffer = new SharedArrayBuffer(3 * PAGE);
    expectCode('ERR_NO_SPACE', () => createRegion(shared(buffer), last));
    expectCode('ERR_BAD_OPTION', () => createRegion(shared(buffer), { ...best, name: '' }));
    expect(bytesOf(buffer).every((byte) => byte === 0)).toBe(true);
    const memory = shared({ capacity: MIB });
    expectCode('ERR_BAD_OPTION', () => createRegion(memory, best, { trace: true }));
    expect(bytesOf(memory.buffer).every((byte) => byte === 0)).toBe(true);
    createRegion(memory, best).close();
  });

  test('closing in one place leaves the others alone', () => {
    const memory = shared({ capacity: '8MiB' });
    const first = createRegion(memory, best);
    using second = openRegion(shared(memory.buffer));
    const view = first.bytes(first.alloc(10));
    expect(regionOf(view) === first || regionOf(view) === second).toBe(true);
    const address = first.addressOf(view);
    first.close();
    expect(second.sizeOf(address)).toBeGreaterThanOrEqual(10);
    expect(second.alloc(10)).not.toBe(address);
    second.free(address);
    expect(second.check()).toEqual([]);
    expectCode('ERR_CLOSED', () => first.alloc(10));
    expectCode('ERR_CLOSED', () => first.roots.get('a'));
    expectCode('ERR_CLOSED', () => first.stat());
  });

  test('a listing ends where the region is closed meanwhile', () => {
    const region = createRegion(shared({ capacity: '8MiB', shards: 4 }), best);
    for (let i = 0; i < 10; i++) region.alloc(10);
    let seen = 0;
    for (const _ of region.blocks()) {
      seen += 1;
      region.close();
    }
    expect(seen).toBeGreaterThan(0);
  });
});

describe('memory', () => {
  test('one thread uses all shards; a block is smaller than one', () => {
    using region = createRegion(shared({ capacity: '8MiB', shards: 4 }), best);
    const error = expectCode('ERR_NO_SPACE', () => region.alloc(2 * MIB));
    expect(error.message).toContain('4 shards of 2097152 bytes');
    expectCode('ERR_BAD_SIZE', () => region.alloc(2 ** 32));
    const blocks: number[] = [];
    const full = expectCode('ERR_NO_SPACE', () => {
      for (;;) blocks.push(region.alloc(100_000));
    });
    expect(full.message).toContain('no room for 100000 bytes');
    expect(blocks.length).toBeGreaterThan(75);
    expect(new Set(blocks.map((address) => Math.floor(address / (2 * MIB)))).size).toBe(4);
    for (const address of blocks) region.free(address);
    expect(region.compact()).toBeGreaterThan(7 * MIB);
    expect(region.check()).toEqual([]);
    expect([...region.segments()]).toHaveLength(4);
  });

  test('alignments up to half a shard', () => {
    using region = createRegion(shared({ capacity: '10MiB', shards: 4 }), best);
    for (let alignment = 1; alignment <= 2 * MIB; alignment *= 2) {
      const blocks = [0, 1].map(() => region.align(5, alignment));
      for (const address of blocks) expect(address % alignment).toBe(0);
      for (const address of blocks) region.free(address);
    }
    expectCode('ERR_NO_SPACE', () => region.align(5, 4 * MIB));
    expect(region.check()).toEqual([]);
  });

  test('pool: the first block fixes the size for the shards of all threads', () => {
    const memory = shared({ capacity: '8MiB', shards: 4 });
    using region = createRegion(memory, pool);
    const others = [1, 2, 3].map(() => openRegion(shared(memory.buffer)));
    const first = region.alloc(48);
    const shards = [first, ...others.map((other) => {
      expectCode('ERR_BAD_SIZE', () => other.alloc(64));
      const address = other.alloc(48);
      expectCode('ERR_BAD_SIZE', () => other.alloc(49));
      return address;
    })].map((address) => Math.floor(address / (2 * MIB)));
    expect(new Set(shards).size).toBe(4);
    region.clear();
    for (const other of others) expectCode('ERR_BAD_SIZE', () => other.alloc(64));
    expect(region.stat().busyBlocks).toBe(0);
    expect(region.check()).toEqual([]);
    for (const other of others) other.close();
  });

  test('noMemory: the handler frees, and changes roots while they grow', () => {
    const spare: number[] = [];
    const noMemory = (_bytes: number, region: Region) => {
      const address = spare.pop();
      if (address === undefined) return 'fail' as const;
      region.free(address);
      region.roots.get('asked');
      region.stat();
      return 'retry' as const;
    };
    using region = createRegion(shared({ capacity: '1MiB' }), best, { on: { noMemory } });
    while (spare.length < 10) spare.push(region.alloc(50_000));
    expectCode('ERR_NO_SPACE', () => {
      for (;;) region.alloc(40_000);
    });
    expect(spare).toEqual([]);
    const filler: number[] = [];
    expectCode('ERR_NO_SPACE', () => {
      for (;;) filler.push(region.alloc(1000));
    });
    spare.push(...filler);
    for (let i = 0; i < 200; i++) region.roots.set(`a root with a long name, number ${i}`, i);
    expect([...region.roots]).toHaveLength(200);
    expect(region.check()).toEqual([]);
  });
});

describe('flags', () => {
  test('shared is what the discipline says', () => {
    using region = createRegion(shared({ capacity: MIB }), best, { shared: true });
    expect(region.configure({}).shared).toBe(true);
    expectCode('ERR_BAD_OPTION', () => region.configure({ shared: false }));
    using own = createRegion(heap({ capacity: MIB }), best);
    expect(own.configure({}).shared).toBe(false);
    expectCode('ERR_BAD_OPTION', () => own.configure({ shared: true }));
    expectCode('ERR_MISMATCH', () => region.setDiscipline(shared({ capacity: MIB })));
    expectCode('ERR_MISMATCH', () => own.setDiscipline(shared({ capacity: MIB })));
  });

  test('traces, checks, growth and a watch list work', () => {
    const traced: string[] = [];
    let grown = 0;
    using region = createRegion(shared({ capacity: '8MiB', shards: 2 }), best, {
      check: true,
      trace: true,
      on: { trace: ({ old, size }) => traced.push(`${old === 0} ${size}`),
        grow: (bytes) => { grown += bytes; } },
    });
    const a = region.alloc(100_000);
    region.free(region.resize(a, 300_000));
    expect(traced).toEqual(['true 100000', 'false 300000', 'false 0']);
    expect(grown).toBeGreaterThan(250_000);
    region.configure({ trace: false, check: false });
    expect(region.check()).toEqual([]);
  });

  test('what a method reports in a call is told when the locks are left', () => {
    const told: string[] = [];
    const finding: Finding = { id: 'X1', address: 16, detail: 'found in the middle of work' };
    const loud: Method = { ...best, name: 'loud', attach: (arena) => loudBlocks(arena, finding) };
    registerMethod(loud);
    const memory = shared({ capacity: '8MiB', shards: 2 });
    using region = createRegion(memory, loud, { on: { warning: ({ id }, self) => {
      told.push(`${id} ${self.alloc(10) > 0}`);
      self.roots.set('told', 1);
      self.stat();
    } } });
    const a = region.alloc(4321);
    expect(told).toEqual(['X1 true']);
    expect(region.sizeOf(a)).toBeGreaterThanOrEqual(4321);
    region.configure({ abort: true });
    expect(region.check()).toEqual([]);
  });
});

/** Reports when it is asked for 4321 bytes. */
function loudBlocks(arena: Arena, finding: Finding): Blocks {
  const blocks = best.attach(arena);
  const alloc = blocks.alloc.bind(blocks);
  blocks.alloc = (size) => {
    const granule = alloc(size);
    if (size === 4321) arena.monitor?.warn(finding);
    return granule;
  };
  return blocks;
}
