/**
 * Giving up objects and collections that nobody knows of yet, because what they were made for
 * failed. They may refer to one another, so all are emptied before any is freed: a slot is only
 * looked at while what it names is still there.
 */
import { ROLE_SHIFT } from '../layout-objects.ts';
import type { Core } from './core.ts';
import { dropFields } from './records.ts';

/**
 * `refs` = objects and headers of collections; gone through twice. While a collection is under way
 * it frees them.
 */
export function discardAll(core: Core, refs: Iterable<number>): void {
  const { memory, handles } = core;
  for (const ref of refs) {
    const type = core.types.at(memory.tag(ref) >>> ROLE_SHIFT);
    if (type.layout !== null) dropFields(core, type, ref);
    else {
      const handle = new (core.classOf(type, ref))(memory.word(ref), null);
      (handle as unknown as { clear(): void }).clear();
    }
  }
  for (const ref of refs) {
    handles.expire(ref);
    memory.free(ref);
  }
}
