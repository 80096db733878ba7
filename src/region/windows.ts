/** Which open region a window belongs to, so that a view tells its region. */
import type { Region } from '../types.ts';

const owners = new WeakMap<ArrayBufferLike, { region: Region; base: number }>();

export function claimWindow(window: ArrayBuffer, region: Region, base: number): void {
  owners.set(window, { region, base });
}

export function releaseWindow(window: ArrayBuffer, region: Region): void {
  if (owners.get(window)?.region === region) owners.delete(window);
}

/** The open region whose memory a view looks at. */
export function regionOf(view: ArrayBufferView): Region | undefined {
  return ArrayBuffer.isView(view) ? owners.get(view.buffer)?.region : undefined;
}

/** Address of a view's first byte in `region`, or -1. */
export function placeOf(view: ArrayBufferView, region: Region): number {
  const owner = ArrayBuffer.isView(view) ? owners.get(view.buffer) : undefined;
  return owner?.region === region ? owner.base + view.byteOffset : -1;
}
