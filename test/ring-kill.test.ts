/** A process that appends to a ring is killed, with one beside it that follows; few of many. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ringKillLoop } from '../tools/torture/ring-kills.ts';
import { MAPPERS, temporaryFolder } from './support/stores.ts';

test.each(MAPPERS)('mapper %s', { timeout: 30_000 }, async (mapper) => {
  const found = await ringKillLoop({ seed: 20_261_126, mapper, kills: 3,
    folder: join(temporaryFolder(), 'store'), until: Date.now() + 20_000 });
  expect(found).toMatchObject({ cases: 3, losses: [] });
  expect(found.records).toBeGreaterThan(1000);
});
