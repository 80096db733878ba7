/**
 * The codecs of compressed region files. A chunk that does not get smaller is kept as it is, which
 * its length tells: only such a chunk has the length of a chunk.
 */
import * as zlib from 'node:zlib';
import { RegionError } from '../errors.ts';
import { CHUNK, CODEC } from '../layout.ts';

export type CodecName = keyof typeof CODEC;

export interface Codec {
  readonly name: CodecName;
  readonly id: number;
  /** Lowest, usual and highest level. */
  readonly levels: readonly [number, number, number];
  readonly pack: (chunk: Uint8Array, level: number) => Uint8Array;
  /** Throws for what is no packed chunk, and before it gets longer than one. */
  readonly unpack: (packed: Uint8Array) => Uint8Array;
}

/** What node:zlib has from Node 22.15 and 23.8 on. */
interface Zstd {
  readonly zstdCompressSync?: (bytes: Uint8Array, options: object) => Uint8Array;
  readonly zstdDecompressSync?: (bytes: Uint8Array, options: object) => Uint8Array;
  readonly constants: { readonly ZSTD_c_compressionLevel?: number };
}

const LIMIT = { maxOutputLength: CHUNK };

const deflate: Codec = {
  name: 'deflate',
  id: CODEC.deflate,
  levels: [1, 6, 9],
  pack: (chunk, level) => smaller(chunk, zlib.deflateRawSync(chunk, { level })),
  unpack: (packed) => (packed.length === CHUNK ? packed : zlib.inflateRawSync(packed, LIMIT)),
};

function zstdIn({ zstdCompressSync, zstdDecompressSync, constants }: Zstd): Codec | null {
  const parameter = constants.ZSTD_c_compressionLevel;
  if (zstdCompressSync === undefined || zstdDecompressSync === undefined) return null;
  if (parameter === undefined) return null;
  return {
    name: 'zstd',
    id: CODEC.zstd,
    levels: [1, 3, 19],
    pack: (chunk, level) =>
      smaller(chunk, zstdCompressSync(chunk, { params: { [parameter]: level } })),
    unpack: (packed) => (packed.length === CHUNK ? packed : zstdDecompressSync(packed, LIMIT)),
  };
}

function smaller(chunk: Uint8Array, packed: Uint8Array): Uint8Array {
  return packed.length < chunk.length ? packed : chunk;
}

const zstd = zstdIn(zlib as Zstd);

/** ERR_VERSION where this Node lacks it. */
export function codecNamed(name: CodecName, what: string): Codec {
  if (name === 'deflate') return deflate;
  if (zstd !== null) return zstd;
  throw new RegionError('ERR_VERSION',
    `${what}: this Node.js (${process.version}) has no zstd; use Node 22.15, 23.8 or newer`);
}

/** The codec a file names. ERR_VERSION where this Node or this program lacks it. */
export function codecOf(id: number, what: string): Codec {
  if (id === CODEC.deflate) return deflate;
  if (id === CODEC.zstd) return codecNamed('zstd', what);
  throw new RegionError('ERR_VERSION',
    `${what}: chunks are packed with codec ${id}, which this program does not know; open it with ` +
      'a newer regionstore; it was not changed');
}
