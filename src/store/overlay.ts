/**
 * Images that count as committed and are not in the region's file: those the disk refused, those a
 * record that is being committed elsewhere holds, and those of a checkpoint that is looked at.
 */
import { PAGE } from '../layout.ts';
import type { RegionChange } from './record.ts';

export class Overlay extends Map<number, Uint8Array> {
  get bytes(): number {
    return this.size * PAGE;
  }

  /** Copies of the images of a change. */
  keep(change: RegionChange, bytes: Uint8Array): void {
    change.pages.forEach((page, i) => {
      this.set(page, imageIn(bytes, change, i).slice());
    });
  }

  /** The images themselves; what is returned puts back what was there before. */
  lend(change: RegionChange, bytes: Uint8Array): () => void {
    const before = [...change.pages].map((page) => [page, this.get(page)] as const);
    change.pages.forEach((page, i) => {
      this.set(page, imageIn(bytes, change, i));
    });
    return () => {
      for (const [page, image] of before) {
        if (image === undefined) this.delete(page);
        else this.set(page, image);
      }
    };
  }

  /** The pages of a change whose images, lent before, are still the newest. */
  stillLent(change: RegionChange, bytes: Uint8Array): Int32Array {
    return change.pages.filter((page, i) => {
      const image = this.get(page);
      return image?.buffer === bytes.buffer && image.byteOffset === placeIn(bytes, change, i);
    });
  }

  /** Images one after the other. */
  joined(pages: Int32Array): Uint8Array {
    return Buffer.concat([...pages].map((page) => this.get(page) as Uint8Array));
  }
}

/** Where the image of the i-th page of a change is in the memory of its record. */
function placeIn(bytes: Uint8Array, { imagesAt }: RegionChange, i: number): number {
  return bytes.byteOffset + imagesAt + i * PAGE;
}

function imageIn(bytes: Uint8Array, change: RegionChange, i: number): Uint8Array {
  return new Uint8Array(bytes.buffer, placeIn(bytes, change, i), PAGE);
}
