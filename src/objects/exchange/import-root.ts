/**
 * The root during an import: names are set as they come, and how it was can be had back. A root
 * without names is emptied for that; of another one the names are remembered, and, where they may
 * be replaced, their former values in a map of their own.
 */
import { RegionError } from '../../errors.ts';
import type { Core } from '../core.ts';
import { type Handle, refOf } from '../handles.ts';
import { any, map, str } from '../kinds.ts';
import type { PersistentMap } from '../persistent.ts';

type Names = PersistentMap<string, unknown>;

export class ImportedRoot {
  readonly #core: Core;
  readonly #root: Names;
  readonly #isEmpty: boolean;
  readonly #replace: boolean;
  readonly #added = new Set<string>();
  /** Names that were set. */
  count = 0;
  #saved: (Names & Handle) | null = null;

  constructor(core: Core, root: Names, replace: boolean) {
    this.#core = core;
    this.#root = root;
    this.#isEmpty = root.size === 0;
    this.#replace = replace;
  }

  /** ERR_EXISTS where the name is taken, ERR_CORRUPT where it came before. */
  set(name: string, value: unknown): void {
    const root = this.#root;
    if (root.has(name)) this.#makeWay(name);
    else if (!this.#isEmpty) this.#added.add(name);
    root.set(name, value);
    this.count += 1;
  }

  /** As it was, when the import fails. */
  undo(): void {
    const root = this.#root;
    if (this.#isEmpty) root.clear();
    for (const name of this.#added) root.delete(name);
    if (this.#saved === null) return;
    // First what takes no room, so that there is some.
    for (const name of this.#saved.keys()) root.set(name, null);
    this.#core.peek(() => {
      for (const [name, value] of this.#saved as Names) root.set(name, value);
    });
    this.commit();
  }

  /** Former values are given up. */
  commit(): void {
    const saved = this.#saved;
    if (saved === null) return;
    this.#saved = null;
    saved.clear();
    this.#core.memory.free(refOf(saved));
  }

  #makeWay(name: string): void {
    const isOwn = this.#isEmpty || this.#saved?.has(name) === true || this.#added.has(name);
    const shown = JSON.stringify(name);
    if (isOwn) throw new RegionError('ERR_CORRUPT', `the name ${shown} is there twice`);
    if (!this.#replace) {
      throw new RegionError('ERR_EXISTS',
        `the heap has a value named ${shown}; import with replace, or into a new heap`);
    }
    this.#saved ??= this.#newMap();
    const saved = this.#saved;
    this.#core.peek(() => saved.set(name, this.#root.get(name)));
  }

  #newMap(): Names & Handle {
    const core = this.#core;
    const type = core.types.ofKind(map(str, any));
    const ref = core.familyOf(type).create(core, type, undefined);
    return new (core.classOf(type, ref))(core.memory.word(ref), null) as unknown as Names & Handle;
  }
}
