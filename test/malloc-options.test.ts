/** REGIONSTORE_OPTIONS as text: words, quotes, values, and what is said of mistakes. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { settingsFrom } from '../src/malloc/settings.ts';
import { wordsOf } from '../src/malloc/words.ts';
import { expectCode } from './support/expect-code.ts';

const seed = Number(process.env.SEED ?? 20_251_126);

function pairs(text: string): [string, string | null][] {
  return wordsOf(text, 'OPTIONS').map(({ name, value }) => [name, value]);
}

describe('words', () => {
  test.each<[string, [string, string | null][]]>([
    ['', []],
    [' , ,, \t\n', []],
    ['check', [['check', null]]],
    ['check,keep abort', [['check', null], ['keep', null], ['abort', null]]],
    ['trace=a.txt, warn=&2', [['trace', 'a.txt'], ['warn', '&2']]],
    ['trace=', [['trace', '']]],
    ['trace=a=b', [['trace', 'a=b']]],
    ['trace="a, b.txt" check', [['trace', 'a, b.txt'], ['check', null]]],
    ['discipline=mmap:"my file",check', [['discipline', 'mmap:my file'], ['check', null]]],
    ['warn="say ""hello"""', [['warn', 'say "hello"']]],
    ['warn=""', [['warn', '']]],
    ['method=debug(slab)', [['method', 'debug(slab)']]],
  ])('%j', (text, expected) => {
    expect(pairs(text)).toEqual(expected);
  });

  test.each(['trace="a b', 'trace=a"', 'warn="""', '=x', '"check"', 'ch"ec"k=1'])(
    '%j is refused', (text) => {
      expectCode('ERR_BAD_OPTION', () => wordsOf(text, 'OPTIONS'));
    });

  test(`any value comes back from between quotes (seed ${seed})`, () => {
    const value = fc.string({ unit: 'binary' });
    fc.assert(fc.property(fc.array(value), (values) => {
      const text = values.map((one, i) => `n${i}="${one.replaceAll('"', '""')}"`).join(', ');
      expect(pairs(text)).toEqual(values.map((one, i) => [`n${i}`, one]));
    }), { seed });
  });
});

describe('settings', () => {
  test.each<[string, object]>([
    ['', {}],
    ['method=best', { method: 'best' }],
    ['method=last', { method: 'last' }],
    ['method=debug(slab)', { method: 'debug(slab)' }],
    ['discipline=compressed:%p', { discipline: { kind: 'compressed', file: '%p' } }],
    ['method=debug', { method: 'debug(best)' }],
    ['method=debug(last)', { method: 'debug(last)' }],
    ['method=profile', { method: 'profile(best)' }],
    ['discipline=heap', { discipline: { kind: 'heap' } }],
    ['discipline=mmap:a', { discipline: { kind: 'mmap', file: 'a' } }],
    ['discipline="file:C:\\a b"', { discipline: { kind: 'file', file: 'C:\\a b' } }],
    ['capacity=4096', { capacity: 4096 }],
    ['capacity=64KiB', { capacity: 65_536 }],
    ['check abort keep', { check: true, abort: true, keep: true }],
    ['sites,signals', { sites: true, signals: true }],
    ['period=7,start=0', { period: 7, start: 0 }],
    ['watch=4096 watch=0x1000', { watch: [4096, 4096] }],
    ['warn=a trace=b profile=c', { warn: 'a', trace: 'b', profile: 'c' }],
    ['trace=a trace=b', { trace: 'b' }],
  ])('%j', (text, expected) => {
    expect(settingsFrom(text)).toEqual(expected);
  });

  test.each([
    ['perod=3', "did you mean 'period'?"],
    ['chek', "did you mean 'check'?"],
    ['methd=best', "did you mean 'method'?"],
    ['profil=x', "did you mean 'profile'?"],
    ['__proto__=1', "unknown option '__proto__'"],
    ['zzzzzzzzzzzz', 'known: method, discipline'],
    ['method=bset', "did you mean 'best'?"],
    ['method=best(last)', 'method'],
    ['method=debgu', "did you mean 'debug'?"],
    ['method=debug(lats)', "did you mean 'last'?"],
    ['method=debug(debug)', 'known: best'],
    ['method=debug()', 'method'],
    ['method=', 'method'],
    ['method', 'needs a value'],
    ['discipline=heep', "did you mean 'heap'?"],
    ['discipline=map:a', "did you mean 'mmap'?"],
    ['discipline=heap:a', 'heap has no file'],
    ['discipline=mmap', 'discipline=mmap:FILE'],
    ['discipline=mmap:', 'discipline=mmap:FILE'],
    ['capacity=lots', "'64KiB'"],
    ['capacity=-1', 'capacity'],
    ['capacity', 'needs a value'],
    ['check=1', 'takes no value'],
    ['keep=no', 'takes no value'],
    ['period=0', 'at least 1'],
    ['period=1.5', 'at least 1'],
    ['period=-1', 'at least 1'],
    ['period=1e3', 'at least 1'],
    ['period=', 'at least 1'],
    ['period=9007199254740993', 'at least 1'],
    ['start=x', 'at least 0'],
    ['watch', 'watch[0]'],
    ['watch=here', 'watch[0]'],
    ['watch=16 watch=-1', 'watch[1]'],
    ['trace', 'needs a value'],
    ['trace=', 'give a string'],
    ['warn=""', 'give a string'],
    ['profile', 'needs a value'],
  ])('%j is refused and says what is meant', (text, hint) => {
    const { message } = expectCode('ERR_BAD_OPTION', () => settingsFrom(text));
    expect(message).toContain('REGIONSTORE_OPTIONS');
    expect(message).toContain(hint);
  });
});
