/** Every row of Vmalloc's table is proved by tests that exist (`npm run conformance` runs them). */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { judge } from '../tools/conformance/judge.ts';

const tool = fileURLToPath(new URL('../dist/tools/conformance/main.js', import.meta.url));

test('every proof names a test', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [tool, '--list'],
    { encoding: 'utf8' });
  expect(stdout, stderr).toMatch(/^VMALLOC/);
  expect(status, stdout).toBe(0);
});

test('a proof without a test, and a test that failed, are seen', () => {
  const row = { vmalloc: 'a', here: 'b', proofs: [/^x: one/, /^x: two/] };
  const [judged] = judge([row], [{ name: 'x: one', status: 'failed' },
    { name: 'y: two', status: 'passed' }]);
  expect(judged).toMatchObject({ tests: 1, failed: 1, missing: ['/^x: two/'] });
});
