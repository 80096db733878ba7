/** Opens a store for a verb, or a file of its regions: the store with that region. */
import { RegionError } from '../errors.ts';
import type { Store } from '../store/api.ts';
import { coreOf, openStore, regionIn } from '../store/store.ts';
import { subjectOf } from './subject.ts';
import { type Access, enduring, known, type Target } from './target.ts';

/** `regionId` names the only region that is asked for; null = all. */
export function openInStore(path: string, regionId: string | null, access: Access): Target {
  const isReading = access.mode === 'read';
  const unsafeFileSystem = isReading || access.unsafeFileSystem === true;
  const { dirtyLimit } = access;
  const store = openStore(path, { create: false, readOnly: isReading, unsafeFileSystem,
    ...(dirtyLimit !== undefined && { dirtyLimit }) });
  try {
    coreOf(store).isFixed = isReading && access.isOnce === true;
    const own = regionId === null ? null : nameOfId(store, regionId);
    return storeTarget(store, own);
  } catch (error) {
    store.abandon();
    throw error;
  }
}

function storeTarget(store: Store, own: string | null): Target {
  // Rings have no blocks, so no verb about blocks is about them.
  const regions = store.regions().filter(({ kind }) => kind !== 'ring');
  const all = own === null ? regions.map(({ name }) => name) : [own];
  const chosen = (names: readonly string[]) => names.length === 0 ? all : known(all, names, store);
  return {
    type: 'store',
    path: store.dir,
    store,
    count: (names = []) => chosen(names).length,
    *subjects(names = [], onDamage) {
      const kinds = new Map(regions.map(({ name, kind }) => [name, kind]));
      for (const name of chosen(names)) {
        const region = enduring(name, onDamage, () => regionIn(store, name));
        if (region !== null) yield subjectOf(name, kinds.get(name) ?? 'region', 'store', region);
      }
    },
    close(isDone) {
      if (isDone) store.close();
      else store.abandon();
    },
  };
}

function nameOfId(store: Store, id: string): string {
  const found = store.regions().find((region) => region.id === id);
  if (found !== undefined) return found.name;
  throw new RegionError('ERR_NOT_FOUND',
    `${id}.region is not, or no longer, a region of the store ${store.dir}`);
}
