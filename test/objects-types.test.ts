/**
 * What the compiler makes of declarations. The assertions of types are checked by tsc, which
 * compiles the tests too; at run time only the lines that do something count.
 */
import { expect, expectTypeOf, test } from 'vitest';
import { any, array, bool, bytes, date, f64, i64, list, map, optional, ref, set, sorted, str, u32,
  u8 } from '../src/objects/kinds.ts';
import type { LooseObject, NumberArray, PersistentList, PersistentMap, PersistentSet,
  PersistentSorted } from '../src/objects/persistent.ts';
import { type Persistent, struct } from '../src/objects/struct.ts';
import { newHeap } from './support/heaps.ts';

const User = struct('User', { name: str });
type User = Persistent<typeof User>;

const All = struct('All', {
  n: u32, f: f64, big: i64, b: bool, d: date, s: str, raw: bytes(), key: bytes(16), x: any,
  maybe: optional(str), user: ref(User), maybeUser: optional(ref(User)),
  tags: list(str), users: list(ref(User)), grid: list(list(u8)), ages: map(str, u32),
  byUser: map(ref(User), list(date)), marks: set(u8), times: sorted(f64, str),
  vector: array(f64, 3), bigs: array(i64, 3),
});
type All = Persistent<typeof All>;

test('fields have the types of their kinds', () => {
  expectTypeOf<All['n']>().toEqualTypeOf<number>();
  expectTypeOf<All['f']>().toEqualTypeOf<number>();
  expectTypeOf<All['big']>().toEqualTypeOf<bigint>();
  expectTypeOf<All['b']>().toEqualTypeOf<boolean>();
  expectTypeOf<All['d']>().toEqualTypeOf<Date>();
  expectTypeOf<All['s']>().toEqualTypeOf<string>();
  expectTypeOf<All['raw']>().toEqualTypeOf<Uint8Array>();
  expectTypeOf<All['key']>().toEqualTypeOf<Uint8Array>();
  expectTypeOf<All['x']>().toEqualTypeOf<unknown>();
  expectTypeOf<All['maybe']>().toEqualTypeOf<string | undefined>();
  expectTypeOf<All['user']>().toEqualTypeOf<User | null>();
  expectTypeOf<All['maybeUser']>().toEqualTypeOf<User | null | undefined>();
  expectTypeOf<All['tags']>().toEqualTypeOf<PersistentList<string>>();
  expectTypeOf<All['users']>().toExtend<PersistentList<User | null, never>>();
  expectTypeOf<All['ages']>().toEqualTypeOf<PersistentMap<string, number>>();
  expectTypeOf<All['marks']>().toEqualTypeOf<PersistentSet<number>>();
  expectTypeOf<All['times']>().toEqualTypeOf<PersistentSorted<number, string>>();
  expectTypeOf<All['vector']>().toEqualTypeOf<NumberArray>();
  expectTypeOf<All['bigs']>().toEqualTypeOf<BigInt64Array | BigUint64Array>();
});

test('what is given may be arrays, Maps, Sets, plain objects', () => {
  const { heap } = newHeap();
  const user = heap.create(User, { name: 'Ada' });
  expectTypeOf(user).toEqualTypeOf<User>();
  expectTypeOf(user.keep().name).toEqualTypeOf<string>();
  for (const each of heap.scan(User)) expectTypeOf(each).toEqualTypeOf<User>();
  const all = heap.create(All, { n: 1, user, tags: ['a'], users: [user, null], grid: [[1, 2], [3]],
    ages: { a: 1 }, byUser: [[user, [new Date(5)]]], marks: new Set([1]),
    times: new Map([[1, 'a']]),
    vector: [1, 2, 3], bigs: BigInt64Array.of(1n, 2n, 3n), maybe: undefined, x: { deep: [1] } });
  all.grid.push([4, 5]);
  all.grid.set(0, new Set([9]));
  all.users.push(user, null);
  expect(all.grid.map((row) => [...row])).toEqual([[9], [3], [4, 5]]);
  expectTypeOf(all.grid.at(0)).toExtend<PersistentList<number> | undefined>();
  expectTypeOf(all.users.at(0)).toEqualTypeOf<User | null | undefined>();
  expectTypeOf(all.tags.splice(0, 1)).toEqualTypeOf<string[]>();
  expectTypeOf(all.byUser.get(user)).toExtend<PersistentList<Date> | undefined>();
  const numbers = heap.create(list(f64), [1, 2]);
  expectTypeOf(numbers.view()).toEqualTypeOf<NumberArray>();
  expectTypeOf(heap.create(list(i64)).view()).toEqualTypeOf<BigInt64Array | BigUint64Array>();
  expectTypeOf(() => all.tags.view()).returns.toEqualTypeOf<never>();
  expect([...numbers.view()]).toEqual([1, 2]);
});

test('a struct that mentions itself: by a function its fields are loose, by a getter exact', () => {
  const Loose = struct('Loose', { id: u32, title: str, parent: ref(() => Loose),
    children: list(ref(() => Loose)) });
  type Loose = Persistent<typeof Loose>;
  const Exact = struct('Exact', {
    id: u32,
    get parent() { return ref(Exact); },
    get children() { return list(ref(Exact)); },
    get named() { return map(str, ref(Exact)); },
  });
  type Exact = Persistent<typeof Exact>;
  expectTypeOf<Loose['parent']>().toEqualTypeOf<LooseObject | null>();
  expectTypeOf<Exact['id']>().toEqualTypeOf<number>();
  const { heap } = newHeap();
  const root = heap.create(Loose, { id: 1 });
  const child = heap.create(Loose, { id: 2, parent: root, title: 'x' });
  child.parent = root;
  root.children.push(child);
  expect(child.parent?.id).toBe(1);
  expect(root.children.at(0)).toBe(child);
  const top = heap.create(Exact, { id: 7 });
  const below = heap.create(Exact, { id: 8, parent: top });
  top.children.push(below);
  top.named.set('first', below);
  const found: Exact | null | undefined = top.children.at(0)?.parent?.named.get('first');
  expect(found).toBe(below);
  expect(below.parent?.parent).toBeNull();
});

test('what does not fit is refused by the compiler', () => {
  const { heap } = newHeap();
  const wrong = [
    // @ts-expect-error: a text is no number
    () => heap.create(All, { n: 'x' }),
    // @ts-expect-error: there is no such field
    () => heap.create(All, { nn: 1 }),
    // @ts-expect-error: a list of texts takes no numbers
    () => heap.create(All).tags.push(1),
    // @ts-expect-error: keys are texts
    () => heap.create(All).ages.set(1, 1),
    // @ts-expect-error: a bool is no number
    () => { heap.create(All).b = 1; },
    // @ts-expect-error: elements have one kind
    () => list(str, str),
    // @ts-expect-error: a struct is no kind
    () => list(User),
  ];
  expect(wrong.slice(0, -2).every((work) => {
    try {
      work();
      return false;
    } catch (error) {
      return (error as { code: string }).code === 'ERR_SCHEMA';
    }
  })).toBe(true);
});
