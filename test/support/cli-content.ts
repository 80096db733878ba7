/** What the stores and regions of the command line tests hold. */
import type { Store } from '../../src/store/api.ts';
import type { Region } from '../../src/types.ts';

/** A region's name may be anything; this one would clear a terminal. */
export const HOSTILE = 'beta\x1b[2J\u202e';

/** `count` blocks of growing sizes, with a byte pattern, every third one freed again. */
export function fillRegion(region: Region, count: number): void {
  const addresses = Array.from({ length: count }, (_, i) => {
    const address = region.alloc(16 + (i % 97) * 8);
    region.bytes(address).fill(i % 251);
    return address;
  });
  addresses.forEach((address, i) => {
    if (i % 3 === 1) region.free(address);
  });
  region.roots.set('first', addresses[0]);
  region.roots.set('greeting', region.strdup('hello'));
}

/** Two regions, two checkpoints, the first labelled; alpha ends with much free memory. */
export function fillStore(store: Store): void {
  const alpha = store.region('alpha');
  fillRegion(alpha, 2000);
  const large = alpha.alloc(3_000_000);
  alpha.bytes(large).fill(7);
  fillRegion(store.region(HOSTILE, { capacity: '64MiB' }), 50);
  store.checkpoint('filled \x1b[31m');
  alpha.free(large);
  store.checkpoint();
}
