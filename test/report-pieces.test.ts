/** The pieces of which the maps of a report are made. */
import { describe, expect, test } from 'vitest';
import { MOST_BLOCKS, PIECE, type Part, piecesFor } from '../src/cli/report/pieces.ts';

const MIB = 2 ** 20;

/** What a piece says. */
function decoded(words: Uint32Array) {
  return Array.from({ length: words.length / 2 }, (_, i) => {
    const code = words[2 * i + 1] as number;
    const bits = (shift: number, count: number) => (code >>> shift) & (2 ** count - 1);
    return {
      bytes: (words[2 * i] as number) * 16,
      kind: bits(0, 2),
      share: bits(PIECE.shareShift, 8),
      type: bits(PIECE.typeShift, 10),
      since: bits(PIECE.sinceShift, 6),
      log: bits(PIECE.sizeShift, 6),
    };
  });
}

const extentOf = (pieces: readonly { bytes: number }[]) =>
  pieces.reduce((sum, { bytes }) => sum + bytes, 0);

describe('blocks', () => {
  test('one by one, what lies between is the method\'s', () => {
    const pieces = piecesFor([{ address: 0, size: 4096 }], 2);
    pieces.add(1024, 512, true, 3, 2);
    pieces.add(1536, 1024, false, 0, 0);
    const found = decoded(pieces.finish());
    expect(pieces.cellBytes).toBeNull();
    expect(found).toMatchObject([
      { bytes: 1024, kind: PIECE.method },
      { bytes: 512, kind: PIECE.live, type: 3, since: 2, log: 9 },
      { bytes: 1024, kind: PIECE.free },
      { bytes: 1536, kind: PIECE.method },
    ]);
  });

  test('segments follow each other without their gaps', () => {
    const segments: Part[] = [{ address: 0, size: MIB }, { address: 2 ** 32, size: MIB }];
    const pieces = piecesFor(segments, 2);
    pieces.add(0, MIB, true, 0, 0);
    pieces.add(2 ** 32 + MIB / 2, MIB / 2, true, 1, 0);
    const found = decoded(pieces.finish());
    expect(found.map(({ bytes, kind }) => [bytes, kind])).toEqual(
      [[MIB, PIECE.live], [MIB / 2, PIECE.method], [MIB / 2, PIECE.live]]);
  });
});

describe('cells', () => {
  test('share, type and age of most of what is live, sizes on average', () => {
    const pieces = piecesFor([{ address: 0, size: 64 * MIB }], MOST_BLOCKS + 1);
    expect(pieces.cellBytes).toBe(1024);
    pieces.add(0, 256, true, 1, 1);
    pieces.add(256, 512, true, 2, 3);
    pieces.add(768, 256, false, 0, 0);
    // Over two cells and a half.
    pieces.add(2048, 2560, true, 4, 5);
    const found = decoded(pieces.finish());
    expect(extentOf(found)).toBe(64 * MIB);
    expect(found.slice(0, 6)).toMatchObject([
      { kind: PIECE.cell, share: 191, type: 2, since: 3, log: Math.round(Math.log2(384)) },
      { kind: PIECE.method },
      { kind: PIECE.cell, share: 255, type: 4, since: 5 },
      { kind: PIECE.cell, share: 255, type: 4, since: 5 },
      { kind: PIECE.cell, share: 128, type: 4 },
      { kind: PIECE.method },
    ]);
  });
});
