/**
 * Between checkpoints: stores to a region against stores to an ArrayBuffer, and checkpoints of
 * nothing.
 */
import { figure, median, type Section } from './report.ts';
import { type Bench, runTrial, within } from './trials.ts';

interface Trial {
  readonly buffer: number;
  readonly region: number;
  readonly firstTouch: number;
  readonly untouched: number;
  readonly scan: number;
}

export function stores(bench: Bench): Section {
  const mib = bench.isQuick ? 64 : 256;
  const list = Array.from({ length: bench.isQuick ? 1 : 3 }, (_, i) => {
    bench.tell(`stores: trial ${i + 1}`);
    return within(bench, (dir) => runTrial<Trial>('./stores-trial.js', [dir, mib]));
  });
  const of = (key: keyof Trial) => median(list.map((trial) => trial[key]));
  const scanPerGib = of('scan') * (1024 / mib);
  const rows = [
    ['a 32-bit store to an ArrayBuffer, ns', figure(of('buffer'))],
    ['a 32-bit store to a region, ns', figure(of('region'))],
    ['the first store to a page after a checkpoint, µs more', figure(of('firstTouch') / 1000)],
    ['checkpoint, nothing touched since open, µs', figure(of('untouched') * 1000)],
    ['checkpoint, everything read, nothing changed, ms per GiB', figure(scanPerGib)],
  ];
  return {
    name: 'stores',
    title: 'Between checkpoints',
    tables: [{ title: `A region of ${mib} MiB`, head: ['<', ''], rows }],
    targets: [
      { what: 'store to a region / to an ArrayBuffer', value: of('region') / of('buffer'), unit: '',
        most: 1.1 },
      { what: 'first store to a page', value: of('firstTouch') / 1000, unit: ' µs', most: 2.6 },
      { what: 'checkpoint, nothing touched', value: of('untouched') * 1000, unit: ' µs', most: 50 },
      { what: 'checkpoint, nothing changed, per GiB', value: scanPerGib, unit: ' ms', most: 3 },
    ],
    data: list,
  };
}
