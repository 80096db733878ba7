/** Objects: a heap against a Map with a JSON file, lmdb, and rows of SQLite. */
import { figure, median, type Section } from './report.ts';
import { type Bench, runTrial, within } from './trials.ts';

const NAMES = ['heap', 'map', 'lmdb', 'sqlite'] as const;
type Name = (typeof NAMES)[number];

interface Written {
  readonly write: number;
  readonly keep: number;
  readonly read: number;
  readonly iterate: number;
  readonly collect: number | null;
  readonly bytes: number;
}

interface Ready {
  readonly ready: number;
  readonly resident: number;
}

interface Fields {
  readonly plain: number;
  readonly field: number;
}

type Round = Readonly<Record<Name, Written & Ready>>;

const TITLES: Readonly<Record<Name, string>> = {
  heap: 'regionstore heap', map: '`Map` of objects, JSON file', lmdb: 'lmdb, msgpack',
  sqlite: 'better-sqlite3, rows',
};

export function objects(bench: Bench): Section {
  const count = bench.isQuick ? 10_000 : 1_000_000;
  const rounds = Array.from({ length: bench.isQuick ? 1 : 3 }, (_, i) => {
    bench.tell(`objects: round ${i + 1}`);
    return roundOf(bench, count);
  });
  const fields = within(bench, (dir) =>
    runTrial<Fields>('./objects-trial.js', [dir, 'field', bench.isQuick ? 1e5 : 1e7]));
  const of = (name: Name, key: keyof (Written & Ready)) =>
    median(rounds.map((round) => round[name][key] ?? Number.NaN));
  /** In memory; lmdb and SQLite write one transaction, which the others' `keep` is. */
  const whole = (name: Name) => of(name, 'write') + (of(name, 'keep') * 1e6) / count;
  const rows = NAMES.map((name) => [TITLES[name], figure(of(name, 'write')),
    figure(whole(name)), figure(of(name, 'read')), figure(of(name, 'iterate')),
    figure(of(name, 'ready')), figure(of(name, 'bytes') / count)]);
  const head = ['<', 'write, ns', 'and kept, ns', 'read one field, ns', 'iterate, ns',
    'ready, ms', 'bytes a record'];
  const perMillion = (of('heap', 'collect') * 1e6) / count;
  return {
    name: 'objects',
    title: 'Objects',
    tables: [
      { title: `${count} records { id, name, score } under string keys`, head, rows },
      { title: 'A number field, read and written', head: ['<', 'ns'], rows: [
        ['plain object', figure(fields.plain)], ['object of a heap', figure(fields.field)]] },
    ],
    targets: [
      { what: 'write / Map', value: of('heap', 'write') / of('map', 'write'), unit: '', most: 1.5 },
      { what: 'write / lmdb', value: of('heap', 'write') / of('lmdb', 'write'), unit: '',
        most: 0.4 },
      { what: 'read / Map', value: of('heap', 'read') / of('map', 'read'), unit: '', most: 1.5 },
      { what: 'read / lmdb', value: of('heap', 'read') / of('lmdb', 'read'), unit: '', most: 0.25 },
      { what: 'number field / plain object', value: fields.field / fields.plain, unit: '',
        most: 1.5 },
      { what: 'ready after restart', value: of('heap', 'ready'), unit: ' ms', most: 5 },
      { what: 'ready / JSON file', value: of('heap', 'ready') / of('map', 'ready'), unit: '',
        most: 1 / 300 },
      { what: 'collection per million live objects', value: perMillion, unit: ' ms', most: 250 },
      { what: 'space / lmdb', value: of('heap', 'bytes') / of('lmdb', 'bytes'), unit: '',
        most: 1.3 },
    ],
    data: { rounds, fields },
  };
}

function roundOf(bench: Bench, count: number): Round {
  const results = NAMES.map((name) => within(bench, (dir) => {
    const written = runTrial<Written>('./objects-trial.js', [dir, name, count, 'write']);
    return [name, { ...written,
      ...runTrial<Ready>('./objects-trial.js', [dir, name, count, 'ready']) }] as const;
  }));
  return Object.fromEntries(results) as unknown as Round;
}
