/**
 * Faults put into the store on purpose, each breaking one rule of DURABILITY.md. A crash test that
 * does not notice one of them proves nothing, so every mutant must be caught. A patch replaces text
 * of the compiled store; the text must be in it exactly once, white space aside.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Mutant, Patch } from './mutant.ts';
import { ASYNC_MUTANTS } from './mutants-async.ts';
import { BUFFER_MUTANTS } from './mutants-buffers.ts';
import { HISTORY_MUTANTS } from './mutants-history.ts';
import { HOLE_MUTANTS } from './mutants-holes.ts';
import { COPY_MUTANTS } from './mutants-copies.ts';
import { READER_MUTANTS } from './mutants-readers.ts';
import { RING_MUTANTS } from './mutants-rings.ts';


export const MUTANTS: readonly Mutant[] = [
  {
    name: 'synchronous=NORMAL',
    patches: [{ find: 'full: 2', put: 'full: 1' }],
    workloads: ['pages'],
  },
  {
    name: 'apply before commit',
    patches: [{
      find: 'commit(core, logged); adopt(core, logged); applyRecords(core, logged);',
      put: 'applyRecords(core, logged); commit(core, logged); adopt(core, logged);',
    }],
    workloads: ['pages', 'growth'],
  },
  {
    name: 'trim before fsync',
    patches: [{
      find: 'for (const file of core.files()) file.syncApplied(); if (!letGo(core)) return false;',
      put: 'if (!letGo(core)) return false; for (const file of core.files()) file.syncApplied();',
    }],
    workloads: ['pages', 'images'],
  },
  {
    name: 'no region fsync',
    patches: [{
      find: 'this.sums.save(this.#options.isDurable); this.length.sync();',
      put: 'this.sums.save(this.#options.isDurable);',
    }],
    workloads: ['pages', 'images'],
  },
  {
    name: 'naive dirty rule: private at the last scan means clean',
    patches: [{
      find: 'const count = this.#dirty(window, bytes); const isDue',
      put: `const seen = (this.naive ??= new Set());
        const found = this.#dirty(window, bytes);
        let count = 0;
        for (let i = 0; i < found; i++) {
          const from = this.#runs[2 * i];
          if (seen.has(from)) continue;
          seen.add(from);
          this.#runs[2 * count] = from;
          this.#runs[2 * count++ + 1] = this.#runs[2 * i + 1];
        }
        const isDue`,
    }],
    workloads: ['pages', 'growth'],
  },
  {
    name: 'DONTNEED before apply',
    patches: [{
      find: 'this.#follow(change, sequence); this.sums.note(change);',
      put: `this.#follow(change, sequence); this.sums.note(change);
        this.memory.revert();`,
    }],
    workloads: ['pending'],
  },
  {
    name: 'header sequence not bumped',
    patches: [{
      find: 'return encodeState({ sequence, clean: false, regionId: this.id',
      put: 'return encodeState({ sequence: 0, clean: false, regionId: this.id',
    }],
    workloads: ['pages', 'growth'],
  },
  {
    name: 'missing directory fsync',
    patches: [{
      find: 'renameSync(temporary, path); syncDirectory(dirname(path));',
      put: 'renameSync(temporary, path);',
      file: 'store/entries.js',
    }],
    workloads: ['pages', 'regions'],
  },
  {
    name: 'skip if equal to the file while an apply is pending',
    patches: [{
      find: 'if (this.overlay.size === 0) return hasState',
      put: 'if (this.overlay.size >= 0) return hasState',
    }],
    workloads: ['pending'],
  },
  {
    name: 'rollback that ignores unapplied images',
    patches: [{
      find: 'this.memory.revert(); this.#layOverlay();',
      put: 'this.memory.revert();',
    }],
    workloads: ['pending'],
  },
  {
    name: 'image file not synced before the commit',
    patches: [{ find: 'if (file.touched && this.#durable)',
      put: 'if (false)' }],
    workloads: ['images'],
  },
  {
    name: 'image file written again while it is needed',
    patches: [{ find: 'if (place.at - at >= size) return at;', put: 'return 0;' }],
    workloads: ['images', 'reopen'],
  },
  {
    name: 'length of a grown file not synced before the commit',
    patches: [{ find: 'if (!this.length.isSynced)',
      put: 'if (false)' }],
    workloads: ['growth', 'pages'],
  },
  {
    name: 'regions committed before their images',
    patches: [{
      find: 'const { sequence, at, label, pages, bytes } = row;',
      put: `const { sequence, at, label, pages, bytes } = row;
        for (const region of regions) this.#writeRegion(region);
        this.#commit.run(); this.#begin.run();`,
    }],
    workloads: ['regions', 'pages'],
  },
  {
    name: 'a failed sync is tried again',
    patches: [{ find: 'core.poisonBy(error); return false;',
      put: 'return false;' }],
    workloads: ['unsynced'],
  },
  ...ASYNC_MUTANTS,
  ...BUFFER_MUTANTS,
  ...HISTORY_MUTANTS,
  ...HOLE_MUTANTS,
  ...READER_MUTANTS,
  ...COPY_MUTANTS,
  ...RING_MUTANTS,
];

/** A pattern that takes any white space for white space. */
function patternOf(text: string): RegExp {
  const words = text.trim().split(/\s+/).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(words.join('\\s*'), 'g');
}

/** The one file of `texts` (by path) that has the text, changed. */
export function patched(texts: ReadonlyMap<string, string>, patch: Patch, name: string):
    { path: string; text: string } {
  const { file } = patch;
  const places = [...texts].filter(([path]) => file === undefined || path === file)
    .flatMap(([path, text]) =>
    [...text.matchAll(patternOf(patch.find))].map((match) => ({ path, text, match })));
  const [place] = places;
  if (place === undefined || places.length !== 1) {
    throw new Error(`torture: mutant '${name}': ${places.length} places match '${patch.find}'; ` +
      'adapt tools/torture/mutants.ts to the store');
  }
  const { path, text, match: { index, 0: found } } = place;
  return { path, text: text.slice(0, index) + patch.put + text.slice(index + found.length) };
}

/** What mutants are made of, below src of the compiled program. */
const ROOMS = ['store', 'buffers'];

/** The changed files, by their path below src. */
export function mutated(mutant: Mutant, compiled: string): Map<string, string> {
  const files = ROOMS.flatMap((room) => readdirSync(join(compiled, 'src', room))
    .filter((name) => name.endsWith('.js')).map((name) => join(room, name)));
  const texts = new Map(files.map((name) =>
    [name, readFileSync(join(compiled, 'src', name), 'utf8')]));
  const changed = new Map<string, string>();
  for (const patch of mutant.patches) {
    const { path, text } = patched(texts, patch, mutant.name);
    texts.set(path, text);
    changed.set(path, text);
  }
  return changed;
}

/** Copies the compiled program and breaks it. */
export function buildMutant(mutant: Mutant, compiled: string, out: string): void {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(dirname(out), { recursive: true });
  for (const part of ['src', 'tools/torture']) {
    cpSync(join(compiled, part), join(out, part), { recursive: true });
  }
  for (const [path, text] of mutated(mutant, compiled)) {
    writeFileSync(join(out, 'src', path), text);
  }
}
