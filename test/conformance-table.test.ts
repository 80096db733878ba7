/** The table of Vmalloc's verbs: `npm run conformance` fills it in. */
import { expect, test } from 'vitest';
import { judge } from '../tools/conformance/judge.ts';
import { FAULTS, ROWS } from '../tools/conformance/rows.ts';

test('every row and every fault has proofs', () => {
  expect(ROWS.length).toBe(19);
  expect(FAULTS.length).toBe(8);
  expect([...ROWS, ...FAULTS].filter(({ proofs }) => proofs.length === 0)).toEqual([]);
});

test('a proof without a test, and a test that failed, are seen', () => {
  const row = { vmalloc: 'a', here: 'b', proofs: [/^x: one/, /^x: two/] };
  const [judged] = judge([row], [{ name: 'x: one', status: 'failed' },
    { name: 'y: two', status: 'passed' }]);
  expect(judged).toMatchObject({ tests: 1, failed: 1, missing: ['/^x: two/'] });
});
