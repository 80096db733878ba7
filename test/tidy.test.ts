/**
 * The house rules that a program can check. What it finds it names by file and line.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { ERROR_CODES } from '../src/errors.ts';
import { longFunctions } from './support/functions.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

function filesBelow(folder: string, pattern: RegExp): string[] {
  return readdirSync(join(root, folder), { recursive: true })
    .map((name) => join(folder, String(name)))
    .filter((name) => pattern.test(name) && !/(^|\/)(build|fixtures|results)\//.test(name))
    .sort();
}

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

/** Lines of a file that match, as `file:line: text`. */
function hits(file: string, pattern: RegExp): string[] {
  return read(file)
    .split('\n')
    .map((line, i) => ({ line, at: `${file}:${i + 1}` }))
    .filter(({ line }) => pattern.test(line))
    .map(({ line, at }) => `${at}: ${line.trim()}`);
}

const product = filesBelow('src', /\.ts$/);
const code = [...product, ...filesBelow('tools', /\.ts$/), ...filesBelow('test', /\.ts$/)];
const native = filesBelow('native-shim', /\.(c|h|mjs)$/);

/** Layers from the bottom up; imports go to the same or a lower line. */
const LAYERS = [
  ['src/errors.ts', 'src/package.ts'],
  ['src/layout.ts', 'src/layout-debug.ts', 'src/layout-ring.ts', 'src/layout-objects.ts',
    'src/types.ts', 'src/call-options.ts',
    'src/events.ts', 'src/profile.ts', 'src/files.ts', 'src/size.ts', 'src/options.ts',
    'src/sites.ts', 'src/work.ts', 'src/tenants.ts', 'src/sharing.ts'],
  ['src/native/'],
  ['src/methods/', 'src/disciplines/'],
  ['src/region/'],
  ['src/objects/', 'src/buffers/'],
  ['src/store/', 'src/trace/', 'src/profile/'],
  ['src/malloc/', 'src/study/', 'src/repair/'],
  ['src/cli/', 'src/index.ts'],
];

function layerOf(file: string): number {
  return LAYERS.findIndex((names) => names.some((name) => file.startsWith(name)));
}

function importsOf(file: string): string[] {
  const found = read(file).matchAll(/from\s+'(\.[^']+)'/g);
  return [...found].map(([, path]) => join(file, '..', path as string));
}

describe('imports', () => {
  test('every file has a layer, and imports point down', () => {
    expect(product.filter((file) => layerOf(file) < 0)).toEqual([]);
    const up = product.flatMap((file) => importsOf(file)
      .filter((target) => layerOf(target) > layerOf(file))
      .map((target) => `${file} → ${target}`));
    expect(up).toEqual([]);
  });

  test('methods and disciplines do not know each other', () => {
    const cross = product.flatMap((file) => importsOf(file)
      .filter((target) => (file.startsWith('src/methods/') && target.startsWith('src/disciplines/'))
        || (file.startsWith('src/disciplines/') && target.startsWith('src/methods/')))
      .map((target) => `${file} → ${target}`));
    expect(cross).toEqual([]);
  });

  test('there are no cycles', () => {
    const state = new Map<string, 'open' | 'done'>();
    const cycles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (state.get(file) === 'done') return;
      if (state.get(file) === 'open') {
        cycles.push([...path.slice(path.indexOf(file)), file].join(' → '));
        return;
      }
      state.set(file, 'open');
      const real = importsOf(file).filter((target) => hasValueImport(file, target));
      for (const target of real) visit(target, [...path, file]);
      state.set(file, 'done');
    };
    for (const file of product) visit(file, []);
    expect(cycles).toEqual([]);
  });

  test('a verb loads its own file, and a store only when it has one', () => {
    const heavy = (file: string) => loadedBy(file)
      .filter((name) => /^src\/(store|region|methods|disciplines|trace|study)\//.test(name));
    for (const name of ['main', 'ls', 'inspect', 'blocks', 'check', 'compact', 'checkpoint']) {
      expect([name, heavy(`src/cli/${name}.ts`)]).toEqual([name, []]);
    }
    expect(heavy('src/cli/trace.ts').filter((name) => !name.startsWith('src/trace/'))).toEqual([]);
    expect(heavy('src/cli/open-region.ts').filter((name) => /catalog/.test(name))).toEqual([]);
    expect(heavy('src/cli/open-store.ts')).toContain('src/store/catalog.ts');
  });

  test('only the index re-exports; no default and star exports', () => {
    const from = product.filter((file) => file !== 'src/index.ts')
      .flatMap((file) => hits(file, /^export .* from '/));
    expect(from).toEqual([]);
    const banned = code.filter((file) => file !== 'tools/vitest.config.ts')
      .flatMap((file) => hits(file, /^export (default|\*)/));
    expect(banned).toEqual([]);
  });

  test('only the catalog and the locks speak SQL', () => {
    const sql = /\b(SELECT .+ FROM|INSERT (OR \w+ )?INTO|CREATE TABLE|PRAGMA |BEGIN [IE])/;
    const speakers = product.filter((file) => sql.test(read(file)));
    expect(speakers).toEqual(['src/store/catalog-history.ts', 'src/store/catalog-remains.ts',
      'src/store/catalog-schema.ts', 'src/store/catalog.ts', 'src/store/lock.ts']);
  });
});

/** `import type` never makes a cycle at run time. */
function hasValueImport(file: string, target: string): boolean {
  const name = target.split('/').at(-1) as string;
  const line = read(file).split(';\n').find((text) => text.includes(`/${name}'`));
  return line !== undefined && !/import type|export type/.test(line);
}

/** What a file imports before it runs, and what those import. */
function loadedBy(file: string, known = new Set<string>()): string[] {
  if (known.has(file)) return [];
  known.add(file);
  for (const target of importsOf(file)) {
    if (hasValueImport(file, target)) loadedBy(target, known);
  }
  return [...known];
}

describe('sizes', () => {
  test('files ≤ 400 lines, lines ≤ 100 columns', () => {
    const all = [...code, ...native];
    expect(all.filter((file) => read(file).split('\n').length > 401)).toEqual([]);
    const wide = all.flatMap((file) => hits(file, /^.{101,}$/u));
    expect(wide).toEqual([]);
  });

  test('functions ≤ 60 lines', () => {
    const long = [...product, ...filesBelow('tools', /\.ts$/)]
      .flatMap((file) => longFunctions(read(file), 60).map((found) => `${file}:${found}`));
    expect(long).toEqual([]);
  });
});

describe('words', () => {
  test('no marks of unfinished work, no untyped values, no switched-off tests', () => {
    // Annotations with any are found by biome; here it is a kind of fields, too.
    const banned = /\b(TODO|FIXME|XXX|HACK)\b|\bas any\b|<any>|@ts-ignore|@ts-nocheck/;
    const off = /\b(test|it|describe)\.(only|todo)\b/;
    const files = code.filter((file) => file !== 'test/tidy.test.ts');
    expect(files.flatMap((file) => [...hits(file, banned), ...hits(file, off)])).toEqual([]);
  });

  test('no rooms for leftovers', () => {
    const rooms = /(^|\/)(utils?|helpers?|common|misc|shared)\.(ts|c|h|mjs)$/;
    expect([...code, ...native].filter((file) => rooms.test(file))).toEqual([]);
  });

  test('every file says what it is', () => {
    const silent = [...product, ...native].filter((file) => !/^(#!.*\n)?\/\*/.test(read(file)));
    expect(silent).toEqual([]);
  });

  test('the core is quiet: no environment, clock, console or randomness', () => {
    const loud = new RegExp(['\\bprocess\\.(env|stdout|stderr|hrtime)\\b', '\\bconsole\\.',
      '\\bDate\\.now\\(', '\\bMath\\.random\\('].join('|'));
    const core = product.filter((file) => !/^src\/(cli|store|malloc|study)\//.test(file)
      && file !== 'src/region/region.ts');
    const isExample = (hit: string) => /^\S+ \*/.test(hit);
    const found = core.flatMap((file) => hits(file, loud)).filter((hit) => !isExample(hit));
    expect(found).toEqual([]);
  });
});

describe('bytes', () => {
  test('magics and format constants stand in layout.ts only', () => {
    const owned = /'RGNS|0x52475354|2 \*\* 32 \* |& 0xfffffff0/;
    const others = product.filter((file) => file !== 'src/layout.ts');
    expect(others.flatMap((file) => hits(file, owned))).toEqual([]);
  });
});

describe('documents', () => {
  test('every error code is in the README', () => {
    const readme = read('README.md');
    expect(ERROR_CODES.filter((name) => !readme.includes(name))).toEqual([]);
  });
});

test('biome finds nothing', () => {
  const biome = join(root, 'node_modules', '.bin', 'biome');
  const { status, stdout, stderr } = spawnSync(biome, ['lint', '--error-on-warnings'],
    { cwd: root, encoding: 'utf8' });
  expect(status, stdout + stderr).toBe(0);
});
