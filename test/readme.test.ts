/** The examples of the README run as they stand, each as a program of its own. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from './support/stores.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const library = new URL('../dist/src/index.js', import.meta.url).href;
const malloc = new URL('../dist/src/malloc/malloc.js', import.meta.url).href;
const examples = [...readme.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code as string);

test('there are examples', () => {
  expect(examples.length).toBeGreaterThanOrEqual(2);
});

test.each(examples.map((code, i) => [i + 1, code] as const))('example %i', (_, code) => {
  const folder = temporaryFolder();
  const file = join(folder, 'example.mjs');
  writeFileSync(file, code.replaceAll("'regionstore'", `'${library}'`)
    .replaceAll("'regionstore/malloc'", `'${malloc}'`));
  const { status, stderr } = spawnSync(process.execPath, [file], { cwd: folder, encoding: 'utf8' });
  expect(status, stderr).toBe(0);
});
