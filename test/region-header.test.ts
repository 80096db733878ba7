/** Header and durable state of a region as bytes, and the invariants of both. */
import { describe, expect, test } from 'vitest';
import { heap } from '../src/disciplines/heap.ts';
import { HEADER, PAGE, STATE } from '../src/layout.ts';
import { best } from '../src/methods/best.ts';
import { decodeState, encodeState, readHeader, writeHeader } from '../src/region/header.ts';
import { createRegion } from '../src/region/region.ts';

describe('header and state as bytes', () => {
  const id = '00112233445566778899aabbccddeeff';

  test('what is written is read', () => {
    const page = new Uint8Array(PAGE).fill(0xaa);
    const header = { regionId: id, storeId: '', method: 'best', createdAt: 12345, capacity: 65536 };
    writeHeader(page, header);
    expect(readHeader(page)).toEqual({ ...header, rootsBlock: 0, segmentPages: [] });
    const state = { sequence: 7, clean: true, regionId: id, bootId: id, segmentPages: [16, 0, 3] };
    expect(decodeState(encodeState(state))).toEqual(state);
  });

  test('every flipped bit of the identity is noticed', () => {
    const page = new Uint8Array(PAGE);
    writeHeader(page, { regionId: id, storeId: id, method: 'last', createdAt: 1, capacity: 65536 });
    for (let bit = 0; bit < (HEADER.identityCrc + 4) * 8; bit++) {
      page[bit >> 3] ^= 1 << (bit & 7);
      expect(readHeader(page), `bit ${bit}`).toHaveProperty('problem');
      page[bit >> 3] ^= 1 << (bit & 7);
    }
  });

  test('every flipped bit of the state is noticed', () => {
    const state = encodeState(
      { sequence: 1, clean: false, regionId: id, bootId: '', segmentPages: [4] });
    for (let bit = 0; bit < STATE.bytes * 8; bit++) {
      state[bit >> 3] ^= 1 << (bit & 7);
      expect(decodeState(state), `bit ${bit}`).toBeNull();
      state[bit >> 3] ^= 1 << (bit & 7);
    }
    expect(decodeState(state)).not.toBeNull();
  });
});

describe('invariants of the header', () => {
  const broken = (damage: (view: DataView) => void) => {
    const memory = heap({ capacity: '1MiB' });
    const region = createRegion(memory, best);
    damage(new DataView(memory.window(0).buffer));
    return region.check().map(({ id, address }) => [id, address]);
  };

  test('R1: magic, version, page size', () => {
    expect(broken((view) => view.setUint8(0, 1))).toEqual([['R1', HEADER.magic]]);
    expect(broken((view) => view.setUint32(HEADER.version, 9, true)))
      .toEqual([['R1', HEADER.version]]);
  });
  test('R2: identity', () => {
    expect(broken((view) => view.setUint8(HEADER.createdAt, 77)))
      .toEqual([['R2', HEADER.identityCrc]]);
  });
  test.each([-1, 0, 0.5, Number.NaN, 2 ** 60])('R3: a capacity of %d', (capacity) => {
    expect(broken((view) => view.setFloat64(HEADER.capacity, capacity, true)))
      .toEqual([['R3', HEADER.capacity]]);
  });
  test('R4: more pages than the capacity, a segment that cannot be', () => {
    expect(broken((view) => view.setUint32(HEADER.segmentPages + 4 * 3, 5, true)))
      .toContainEqual(['R4', HEADER.segmentPages + 4]);
    expect(broken((view) => view.setUint32(HEADER.segmentPages, 100_000, true)))
      .toContainEqual(['R4', HEADER.segmentPages]);
  });
  test('R8: state', () => {
    expect(broken((view) => view.setUint8(STATE.at, 1))).toEqual([['R8', STATE.at]]);
    const regionId = 'ab'.repeat(16);
    const other = { sequence: 0, clean: true, regionId, bootId: '', segmentPages: [] };
    expect(broken((view) => new Uint8Array(view.buffer, STATE.at).set(encodeState(other))))
      .toEqual([['R8', STATE.at + STATE.regionId]]);
  });
});
