/**
 * Texts: every string comes back as it was, in as few bytes as its characters need; comparing and
 * hashing agree with JavaScript; damaged blocks lead nowhere.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ROLE, ROLE_MASK, ROLE_SHIFT, TEXT } from '../src/layout-objects.ts';
import { heap } from '../src/disciplines/heap.ts';
import { best } from '../src/methods/best.ts';
import { debug } from '../src/methods/debug.ts';
import { slab } from '../src/methods/slab.ts';
import type { Core } from '../src/objects/core.ts';
import type { Handle } from '../src/objects/handles.ts';
import { heapIn } from '../src/objects/heap.ts';
import { str } from '../src/objects/kinds.ts';
import { addressAt, type Memory } from '../src/objects/memory.ts';
import { struct } from '../src/objects/struct.ts';
import { compareText, equalsText, hashText, loadText, newText } from '../src/objects/text.ts';
import { createRegion } from '../src/region/region.ts';
import { expectCode } from './support/expect-code.ts';
import { newHeap } from './support/heaps.ts';
import { newSeed, randomFrom } from './support/oracle.ts';

const Note = struct('Note', { text: str, other: str });

function setUp(capacity = '64MiB', method = slab) {
  const { heap: made, region } = newHeap(capacity, method);
  const note = made.create(Note);
  const { core } = (note as unknown as Handle).$bound as { core: Core };
  return { region, note, core, memory: core.memory };
}

const roleOf = (memory: Memory, ref: number) => memory.tag(ref) & ROLE_MASK;

/** Writes, reads, compares, frees. */
function goesThrough(memory: Memory, text: string): void {
  const ref = newText(memory, text);
  if (loadText(memory, ref) !== text) {
    expect.fail(`${JSON.stringify(text.slice(0, 50))} (${text.length}) came back otherwise`);
  }
  if (!equalsText(memory, ref, text)) expect.fail(`${JSON.stringify(text)} is not equal to itself`);
  if (compareText(memory, ref, text) !== 0) expect.fail(`${JSON.stringify(text)} is not in order`);
  memory.free(ref);
}

const SAMPLES = [
  'plain', 'Grüße, ÿ', 'Ελληνικά', 'Кириллица', 'עברית', 'العربية', 'हिन्दी', 'ไทย', '한국어', '日本語',
  '漢字', 'Tiếng Việt', 'ქართული', 'አማርኛ', '😀👩‍👩‍👧‍👦', '𝒳𝔜', '\u0000',
  '\u0000a\u0000', '\ufeffbom', '\ufffd',
  '\uffff', '\ud800', '\udc00', 'a\ud800b', '\udc00\ud800', '😀\ud83d', 'e\u0301', '\u00ff\u0100',
];

describe.each([best, slab, debug(best)])('$name', (method) => {
  const { memory, region } = setUp('64MiB', method);

  test('every script, lone surrogates, NUL, marks', () => {
    for (const text of SAMPLES) {
      for (const whole of [text, text.repeat(5), text.repeat(1000), `${text}x`, `x${text}`]) {
        goesThrough(memory, whole);
      }
    }
  });

  test('every length from 0 to 100, one byte, two, three and four a character, and mixed', () => {
    for (let length = 0; length <= 100; length++) {
      for (const one of ['a', 'ÿ', 'д', '漢', '😀', '\ud800']) {
        goesThrough(memory, one.repeat(length));
        goesThrough(memory, `${'a'.repeat(length)}${one}`);
        goesThrough(memory, `${one}${'b'.repeat(length)}`);
      }
    }
  });

  test('lengths around 2 ** 16 and 2 ** 20', () => {
    for (const middle of [2 ** 16, 2 ** 20]) {
      for (const length of [middle - 1, middle, middle + 1]) {
        for (const one of ['a', 'ÿ', '漢', '\udfff']) goesThrough(memory, one.repeat(length));
      }
    }
  });

  test('all 65,536 units, alone and between others', () => {
    const step = method.name.startsWith('debug') ? 37 : 1;
    for (let unit = 0; unit < 2 ** 16; unit += step) {
      const one = String.fromCharCode(unit);
      goesThrough(memory, one);
      if (unit % 7 === 0) goesThrough(memory, `abc${one}def`);
    }
  });

  test('whatever fast-check thinks of; nothing is left behind, no block is overrun', () => {
    const before = region.stat().busyBlocks;
    const texts = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }),
      fc.array(fc.nat(65_535), { maxLength: 60 }).map((units) => String.fromCharCode(...units)));
    fc.assert(fc.property(texts, (text) => goesThrough(memory, text)), { numRuns: 1000 });
    expect(region.stat().busyBlocks).toBe(before);
    expect(region.check()).toEqual([]);
  });
});

describe('bytes', () => {
  const { memory, core, note } = setUp();

  test('one a character below U+0100, UTF-8 where well-formed, else two a unit', () => {
    const stored = (text: string) => {
      const ref = newText(memory, text);
      return [roleOf(memory, ref), memory.tag(ref) >>> ROLE_SHIFT];
    };
    expect(newText(memory, '')).toBe(0);
    expect(stored('Grüße')).toEqual([ROLE.latin1, 5]);
    expect(stored('ÿ'.repeat(100))).toEqual([ROLE.latin1, 100]);
    expect(stored('дом')).toEqual([ROLE.utf8, 6]);
    expect(stored('😀')).toEqual([ROLE.utf8, 4]);
    expect(stored('a\ud800')).toEqual([ROLE.utf16, 4]);
  });

  test('a text is its own: reading makes no block, writing frees the old one', () => {
    const { region } = core.memory;
    note.text = 'first';
    const busy = region.stat().busyBlocks;
    for (let i = 0; i < 100; i++) note.text = `${note.text.slice(0, 5)} ${i}`;
    expect(region.stat().busyBlocks).toBe(busy);
    note.other = note.text;
    note.text = 'changed';
    expect(note.other).toBe('first 99');
    note.text = '';
    expect(region.stat().busyBlocks).toBe(busy);
  });

  test('what is too long is refused, the field as it was', () => {
    note.text = 'kept';
    expectCode('ERR_BAD_SIZE', () => { note.text = 'x'.repeat(2 ** 27); });
    expectCode('ERR_NO_SPACE', () => { note.text = 'x'.repeat(2 ** 26); });
    for (const other of [5, null, undefined, {}, ['a'], new String('a'), Symbol.iterator]) {
      expectCode('ERR_SCHEMA', () => { note.text = other as string; });
    }
    expect(note.text).toBe('kept');
  });

  test('texts made by the handler that is asked for room do not get into others', () => {
    let asked = 0;
    const noMemory = () => {
      asked += 1;
      large.text = '';
      for (let i = 0; i < 5; i++) small.text = `by the handler ${i}`;
      return 'retry' as const;
    };
    const region = createRegion(heap({ capacity: '256KiB' }), slab,
      { name: 'app', on: { noMemory } });
    const full = heapIn(region, { now: () => 0 });
    const large = full.create(Note, { text: 'x'.repeat(20_000) });
    const small = full.create(Note);
    const notes = Array.from({ length: 6000 }, () => full.create(Note));
    expect(asked).toBe(0);
    let i = 0;
    while (asked === 0) notes[i].text = `filling ${i++}`;
    expect(notes.slice(0, i).every(({ text }, k) => text === `filling ${k}`)).toBe(true);
    expect(small.text).toBe('by the handler 4');
  });
});

describe('comparing', () => {
  const { memory } = setUp();
  const any = fc.oneof(fc.string({ unit: 'binary', maxLength: 12 }), fc.constantFrom(...SAMPLES),
    fc.array(fc.constantFrom(0x61, 0xff, 0x100, 0xd800, 0xdc00, 0xffff), { maxLength: 6 })
      .map((units) => String.fromCharCode(...units)));

  test('equalsText is ===, compareText is <', () => {
    fc.assert(fc.property(any, any, (a, b) => {
      const ref = newText(memory, a);
      expect(equalsText(memory, ref, b)).toBe(a === b);
      expect(Math.sign(compareText(memory, ref, b))).toBe(a < b ? -1 : Number(a > b));
      memory.free(ref);
    }), { numRuns: 3000 });
  });

  test('texts that differ in one unit are different', () => {
    const random = randomFrom(newSeed());
    for (let length = 1; length <= 70; length++) {
      const base = Array.from({ length }, () => 32 + random(200));
      const ref = newText(memory, String.fromCharCode(...base));
      for (let i = 0; i < length; i++) {
        const other = base.with(i, base[i] ^ (1 << random(9)));
        if (equalsText(memory, ref, String.fromCharCode(...other))) {
          expect.fail(`${other} is not ${base}`);
        }
      }
      for (const part of [base.slice(1), base.slice(0, -1), [...base, 0]]) {
        expect(equalsText(memory, ref, String.fromCharCode(...part))).toBe(false);
      }
    }
  });

  test('hashText: of the text alone, well spread', () => {
    fc.assert(fc.property(any, (text) => {
      expect(hashText(text)).toBe(hashText([...text.split('')].join('')));
      expect(hashText(text) | 0).toBe(hashText(text));
    }));
    const count = 50_000;
    const buckets = new Int32Array(1024);
    const seen = new Set<number>();
    for (let i = 0; i < count; i++) {
      const hash = hashText(`key ${i}`);
      seen.add(hash);
      buckets[hash & 1023] += 1;
    }
    expect(seen.size).toBeGreaterThan(count - 10);
    expect(Math.max(...buckets)).toBeLessThan(2 * count / 1024);
  });

  test('hashText is FNV-1a over units and the finalizer of murmur3: files depend on it', () => {
    const word = 2n ** 32n;
    const reference = (text: string) => {
      let h = 0x811c9dc5n;
      for (const unit of text.split('')) {
        h = ((h ^ BigInt(unit.charCodeAt(0))) * 0x01000193n) % word;
      }
      h = ((h ^ (h >> 16n)) * 0x85ebca6bn) % word;
      h = ((h ^ (h >> 13n)) * 0xc2b2ae35n) % word;
      return Number(BigInt.asIntN(32, h ^ (h >> 16n)));
    };
    for (const text of ['', 'a', ...SAMPLES]) expect(hashText(text)).toBe(reference(text));
  });
});

describe('damage', () => {
  test('a block that is no text, or that ends behind its segment', () => {
    const { note, memory, core } = setUp('1MiB');
    note.text = 'fine';
    const { views } = (note as unknown as Handle).$bound;
    const { $at } = note as unknown as Handle;
    const place = [...views.i32.subarray($at, $at + 8)].findIndex((word) =>
      word !== 0 && core.memory.held(word) > 0 && loadText(memory, word) === 'fine');
    const own = views.i32[$at + place];
    for (const ref of [own + 100, -1, 2 ** 28, 1, ($at >>> 2)]) {
      views.i32[$at + place] = ref;
      expectCode('ERR_CORRUPT', () => note.text);
    }
    views.i32[$at + place] = own;
    const tagAt = memory.word(own);
    for (const role of [ROLE.latin1, ROLE.utf8, ROLE.utf16]) {
      views.i32[tagAt] = role | (2 ** 26 << ROLE_SHIFT);
      expectCode('ERR_CORRUPT', () => note.text);
      expect(equalsText(memory, own, 'fine')).toBe(false);
      expect(compareText(memory, own, 'fine')).not.toBe(0);
    }
    views.i32[tagAt] = 31;
    expectCode('ERR_CORRUPT', () => note.text);
    expect(addressAt(own) % 16).toBe(0);
  });

  test('bytes that are no UTF-8 are read as a string, an odd length of UTF-16 too', () => {
    const { memory } = setUp('1MiB');
    const ref = newText(memory, 'д'.repeat(20));
    const { u8, i32 } = memory.views(ref);
    u8.fill(0xff, (memory.word(ref) + TEXT.bytes) * 4, (memory.word(ref) + TEXT.bytes) * 4 + 40);
    expect(loadText(memory, ref)).toBe('\ufffd'.repeat(40));
    i32[memory.word(ref)] = ROLE.utf16 | (7 << ROLE_SHIFT);
    expect(loadText(memory, ref)).toBe('\uffff'.repeat(3));
  });

  test('random tags: a string, null or ERR_CORRUPT', () => {
    const { memory } = setUp('1MiB');
    const random = randomFrom(newSeed());
    const ref = newText(memory, 'some text');
    const { i32 } = memory.views(ref);
    for (let i = 0; i < 2000; i++) {
      i32[memory.word(ref)] = random(2) === 0 ? random(2 ** 32) : random(32) | (random(40) << 5);
      const text = loadText(memory, ref);
      if (text !== null) expect(typeof text).toBe('string');
      equalsText(memory, ref, 'some text');
      compareText(memory, ref, 'some text');
    }
  });
});
