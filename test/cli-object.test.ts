/** `inspect DIR HEAP PATH`: a value of a heap, of any kind, found by names, indexes and fields. */
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { any, bool, date, f64, i64, list, map, optional, ref, set, sorted, str, u32 } from
  '../src/objects/kinds.ts';
import { struct } from '../src/objects/struct.ts';
import { openStore } from '../src/store/store.ts';
import { cliHere, jsonHere } from './support/cli-here.ts';
import { temporaryDirectory } from './support/temp.ts';

interface Shown {
  readonly object: { readonly type: string; readonly size: number | null; readonly value?: unknown;
    readonly parts?: readonly { name: string; type: string; value: unknown }[] };
}

let dir = '';

beforeEach(() => {
  dir = join(temporaryDirectory(), 'store');
  const User = struct('User', { name: str, admin: bool, since: optional(date), extra: any,
    tags: list(str), big: i64 });
  const store = openStore(dir);
  const heap = store.heap('app');
  const users = heap.create(list(ref(User)));
  for (let i = 0; i < 150; i++) {
    users.push(heap.create(User, { name: `u${i}\x1b`, since: new Date(0), tags: ['a', 'b'],
      extra: { deep: [1, { x: Number.NaN }], none: null }, big: 2n ** 40n }));
  }
  heap.root.set('users', users);
  heap.root.set('by id', heap.create(map(u32, optional(ref(User))), [[7, users.at(3)]]));
  heap.root.set('seen', heap.create(set(str), ['x', 'y']));
  heap.root.set('scores', heap.create(sorted(f64, str), [[1.5, 'low'], [2, 'high']]));
  heap.root.set('raw', new Uint8Array([1, 255]));
  store.close();
});

const at = async (path: string) => (await jsonHere<Shown>(['inspect', dir, 'app', path])).object;

test('values of every kind', async () => {
  expect(await at('users.3.name')).toMatchObject({ type: 'string', size: null, value: 'u3\x1b' });
  expect(await at('users.3.since')).toMatchObject({ value: '1970-01-01T00:00:00.000Z' });
  expect(await at('users.3.big')).toMatchObject({ type: 'bigint', value: '1099511627776n' });
  expect(await at('users.3.extra.deep.1.x')).toMatchObject({ type: 'number', value: 'NaN' });
  expect(await at('users.3.extra.none')).toMatchObject({ type: 'null', value: null });
  expect(await at('raw')).toMatchObject({ value: '01ff' });
  expect(await at('by id.7.admin')).toMatchObject({ type: 'boolean', value: false });
  expect(await at('scores.1\\.5')).toMatchObject({ value: 'low' });
  expect(await at('scores.2')).toMatchObject({ value: 'high' });
});

test('what has parts: the first hundred, one level', async () => {
  const users = await at('users');
  expect([users.type, users.size, users.parts?.length]).toEqual(['list(ref(User))', 150, 100]);
  expect(users.parts?.[99]).toEqual({ name: '99', type: 'User', value: null });
  expect((await at('users.0')).parts?.map(({ name, type }) => [name, type])).toEqual([
    ['name', 'string'], ['admin', 'boolean'], ['since', 'Date'], ['extra', 'object'],
    ['tags', 'list(str)'], ['big', 'bigint']]);
  expect((await at('seen')).parts?.map(({ value }) => value)).toEqual(['x', 'y']);
  expect((await at('scores')).parts).toEqual([{ name: '1.5', type: 'string', value: 'low' },
    { name: '2', type: 'string', value: 'high' }]);
  const { stdout } = await cliHere(['inspect', dir, 'app', 'users.3']);
  expect(stdout).toMatch(/^app: users\.3\nUser\n\nNAME .*\nname +string +u3\\u\{1b\}\n/);
  expect(stdout).toMatch(/\nextra +object +…\n/);
});

test('what is not there: what there is instead', async () => {
  const errors = await Promise.all(['nix', 'users.150', 'users.3.nome', 'users.3.name.x', 'seen.x']
    .map(async (path) => (await cliHere(['inspect', dir, 'app', path])).stderr));
  expect(errors).toEqual([
    expect.stringMatching(/no 'nix' in the root; there is users, by id, seen, scores, raw/),
    expect.stringMatching(/no '150' in 'users' \(list\(ref\(User\)\)\); there is 0 … 149/),
    expect.stringMatching(/no 'nome' in 'users\.3' \(User\); there is name, admin, since/),
    expect.stringMatching(/no 'x' in 'users\.3\.name' \(string\)\n/),
    expect.stringMatching(/no 'x' in 'seen'/)]);
});
