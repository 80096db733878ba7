/**
 * Records a moving picture in region memory: of each frame the tiles that changed, as runs of equal
 * and different bytes; the newest frames are kept, older ones go into the base picture. At the end
 * base and frames together must give the last picture again.
 *
 *   frame     one pair a tile: address of its block, bytes; address 0 = the tile did not change
 *   block     (equal bytes, different bytes, those bytes) …, each count one byte
 *   log       bytes of each frame that was recorded, a growing array
 */
import type { Address, Region } from '../../src/index.ts';
import type { Job } from './workloads.ts';

const WIDTH = 512;
const HEIGHT = 384;
const TILE = 32;
const ACROSS = WIDTH / TILE;
const TILES = ACROSS * (HEIGHT / TILE);
/** Of a tile whose bytes change every other one. */
const MOST_BYTES = (3 * TILE * TILE) / 2 + 2;
const KEPT_FRAMES = 300;
const BALLS = 9;

interface Recording {
  readonly region: Region;
  /** The picture before the oldest kept frame. */
  readonly base: Uint8Array;
  readonly last: Uint8Array;
  readonly frames: Address[];
  log: Address;
  room: number;
  count: number;
}

export function recordTiles(frameCount: number): Job {
  let recording: Recording | null = null;
  let sum = 0;
  return {
    work: (region) => {
      const made = startRecording(region);
      const next = pixels(region);
      for (let time = 0; time < frameCount; time += 1) {
        paint(next, time);
        sum = (Math.imul(sum, 31) + record(made, next)) >>> 0;
        if (made.frames.length > KEPT_FRAMES) retire(made);
      }
      recording = made;
    },
    checksum: () => {
      if (recording === null) throw new Error('nothing was recorded');
      const { base, last, frames } = recording;
      while (frames.length > 0) retire(recording);
      if (!base.every((value, i) => value === last[i])) throw new Error('the picture is damaged');
      return base.reduce((all, value) => (Math.imul(all, 33) + value) >>> 0, sum);
    },
  };
}

function pixels(region: Region): Uint8Array {
  return region.bytes(region.newOf(0, Uint8Array, WIDTH * HEIGHT), WIDTH * HEIGHT);
}

function startRecording(region: Region): Recording {
  return {
    region, base: pixels(region), last: pixels(region), frames: [],
    log: region.newOf(0, Uint32Array, 16), room: 16, count: 0,
  };
}

/** A slow gradient, and balls that bounce; whole numbers only. */
function paint(into: Uint8Array, time: number): void {
  const shade = time >> 4;
  for (let y = 0; y < HEIGHT; y += 1) {
    into.fill(((y >> 3) + shade) & 0x7f, y * WIDTH, (y + 1) * WIDTH);
  }
  for (let ball = 0; ball < BALLS; ball += 1) {
    const radius = 10 + 5 * ball;
    const x = bounce(time * (ball + 2) + 97 * ball, WIDTH - 2 * radius) + radius;
    const y = bounce(time * (ball + 3) + 61 * ball, HEIGHT - 2 * radius) + radius;
    disc(into, x, y, radius, ball);
  }
}

function bounce(distance: number, room: number): number {
  const at = distance % (2 * room);
  return at < room ? at : 2 * room - at;
}

function disc(into: Uint8Array, x: number, y: number, radius: number, ball: number): void {
  for (let dy = -radius; dy < radius; dy += 1) {
    const row = (y + dy) * WIDTH + x;
    for (let dx = -radius; dx < radius; dx += 1) {
      const far = dx * dx + dy * dy;
      if (far >= radius * radius) continue;
      into[row + dx] = 0x80 + ((far >> 2) ^ (ball << 4) ^ (dx * dy)) % 96;
    }
  }
}

/** Takes a frame down; returns the bytes it needed. */
function record(recording: Recording, next: Uint8Array): number {
  const { region, last } = recording;
  const address = region.newOf(0, Uint32Array, 2 * TILES);
  const frame = region.array(Uint32Array, address, 2 * TILES);
  let total = 0;
  for (let tile = 0; tile < TILES; tile += 1) {
    const corner = cornerOf(tile);
    if (isSame(last, next, corner)) continue;
    const block = region.alloc(MOST_BYTES);
    const used = encode(region.bytes(block, MOST_BYTES), last, next, corner);
    frame[2 * tile] = region.resize(block, used);
    frame[2 * tile + 1] = used;
    total += used;
  }
  last.set(next);
  recording.frames.push(address);
  note(recording, total);
  return total;
}

function note(recording: Recording, bytes: number): void {
  const { region } = recording;
  if (recording.count === recording.room) {
    recording.room = Math.ceil(recording.room * 1.5);
    recording.log = region.resize(recording.log, recording.room * 4);
  }
  region.array(Uint32Array, recording.log, recording.room)[recording.count] = bytes;
  recording.count += 1;
}

function cornerOf(tile: number): number {
  return Math.floor(tile / ACROSS) * TILE * WIDTH + (tile % ACROSS) * TILE;
}

function isSame(a: Uint8Array, b: Uint8Array, corner: number): boolean {
  for (let y = 0; y < TILE; y += 1) {
    const row = corner + y * WIDTH;
    for (let at = row; at < row + TILE; at += 1) if (a[at] !== b[at]) return false;
  }
  return true;
}

/** Where byte n of a tile is in the picture. */
function placeOf(corner: number, n: number): number {
  return corner + Math.floor(n / TILE) * WIDTH + (n % TILE);
}

function encode(into: Uint8Array, a: Uint8Array, b: Uint8Array, corner: number): number {
  let used = 0;
  for (let n = 0; n < TILE * TILE; ) {
    const isEqual = (at: number) => a[placeOf(corner, at)] === b[placeOf(corner, at)];
    const from = n;
    while (n < TILE * TILE && n - from < 255 && isEqual(n)) n += 1;
    const start = n;
    while (n < TILE * TILE && n - start < 255 && !isEqual(n)) n += 1;
    into[used] = start - from;
    into[used + 1] = n - start;
    used += 2;
    for (let at = start; at < n; at += 1) into[used++] = b[placeOf(corner, at)] as number;
  }
  return used;
}

/** The oldest frame becomes part of the base and is freed. */
function retire({ region, frames, base }: Recording): void {
  const address = frames.shift() as Address;
  const frame = region.array(Uint32Array, address, 2 * TILES);
  for (let tile = 0; tile < TILES; tile += 1) {
    const block = frame[2 * tile] as number;
    if (block === 0) continue;
    decode(base, region.bytes(block, frame[2 * tile + 1]), cornerOf(tile));
    region.free(block);
  }
  region.free(address);
}

function decode(into: Uint8Array, block: Uint8Array, corner: number): void {
  let n = 0;
  for (let at = 0; at < block.length; ) {
    n += block[at] as number;
    const end = at + 2 + (block[at + 1] as number);
    for (at += 2; at < end; at += 1) into[placeOf(corner, n++)] = block[at] as number;
  }
}
