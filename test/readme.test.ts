/** The examples of the README run as they stand, each as a program of its own. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from './support/stores.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const library = new URL('../dist/bundle/index.js', import.meta.url).href;
const malloc = new URL('../dist/bundle/malloc.js', import.meta.url).href;
const examples = [...readme.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code as string);

test('there are examples', () => {
  expect(examples.length).toBeGreaterThanOrEqual(2);
});

const VALUE = /^(?!const |let |using )(\S.*);\s+\/\/ ((?:['[{\d]|true$|false$|undefined$).*)$/;

function isLiteral(text: string): boolean {
  try {
    new Function(`return (${text})`);
    return true;
  } catch {
    return false;
  }
}

/** `expression;  // value`: what the comment says is what comes out. */
function asserted(code: string): string {
  const lines = code.split('\n').map((line) => {
    const [, expression, value = ''] = VALUE.exec(line) ?? [];
    if (expression === undefined || !isLiteral(value)) return line;
    return `(await import('node:assert')).deepStrictEqual((${expression}), (${value}));`;
  });
  return lines.join('\n');
}

test('values in comments are compared', () => {
  expect(asserted('f(1);   // [1, 2]')).toContain('deepStrictEqual((f(1)), ([1, 2]))');
  expect(asserted('f(1);   // 7 again')).toBe('f(1);   // 7 again');
  expect(examples.map(asserted).join('').match(/deepStrictEqual/g)?.length).toBeGreaterThan(8);
});

test.each(examples.map((code, i) => [i + 1, code] as const))('example %i', (_, code) => {
  const folder = temporaryFolder();
  const file = join(folder, 'example.mjs');
  writeFileSync(file, asserted(code).replaceAll("'regionstore'", `'${library}'`)
    .replaceAll("'regionstore/malloc'", `'${malloc}'`));
  const { status, stderr } = spawnSync(process.execPath, [file], { cwd: folder, encoding: 'utf8' });
  expect(status, stderr).toBe(0);
});
