/**
 * The processes of the ring benchmark.
 *
 *   node rings-trial.js append PEER BYTES RECORDS DIR → { ns }: nanoseconds per record
 *   node rings-trial.js killed PEER BYTES RECORDS DIR   appends, then kills itself
 *   node rings-trial.js count PEER BYTES DIR          → { records }: that are there, whole
 *   node rings-trial.js read BYTES RECORDS DIR        → { iterateNs, tailUs, followNs }
 *
 * Records are appended a hundred at a time; after each hundred the event loop gets a turn where the
 * peer needs one. Everything that was appended is read again, or its bytes are counted.
 */
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { pino } from 'pino';
import { openStore, type Ring } from 'regionstore';

const BATCH = 100;
const WARM = 20_000;
const SIZE = '64MiB';

interface Peer {
  append(): void;
  /** Where the peer writes by itself later: a turn of the event loop. */
  turn?(): Promise<void>;
  /** Everything appended is in the file, and safe from power loss. */
  close(): void | Promise<void>;
}

type Open = (dir: string, bytes: number) => Peer;

function ring(mapper: 'shim' | 'file', isText: boolean): Open {
  return (dir, bytes) => {
    const store = openStore(dir, { mapper });
    const log = store.ring('log', { size: SIZE });
    const [text, record] = [line(bytes), Buffer.from(line(bytes))];
    return {
      append: isText ? () => void log.append(text) : () => void log.append(record),
      close: () => {
        log.sync();
        store.close();
      },
    };
  };
}

function written(dir: string, bytes: number): Peer {
  const fd = openSync(join(dir, 'log'), 'a');
  const record = Buffer.from(`${line(bytes - 1)}\n`);
  return {
    append: () => void writeSync(fd, record),
    close: () => {
      fsyncSync(fd);
      closeSync(fd);
    },
  };
}

function logged(sync: boolean): Open {
  return (dir, bytes) => {
    const path = join(dir, 'log');
    const to = pino.destination({ dest: path, sync, minLength: sync ? 0 : 4096 });
    const text = `${line(bytes - 1)}\n`;
    return {
      append: () => void to.write(text),
      ...(sync ? {} : { turn: async () => void await setImmediate() }),
      close: async () => {
        const closed = new Promise((resolve) => to.once('close', resolve));
        to.end();
        await closed;
        const fd = openSync(path, 'r');
        fsyncSync(fd);
        closeSync(fd);
      },
    };
  };
}

const PEERS: Readonly<Record<string, Open>> = {
  'ring': ring('shim', false),
  'ring, text': ring('shim', true),
  'ring, without the shim': ring('file', false),
  'fs.writeSync': written,
  'pino, sync': logged(true),
  'pino, async': logged(false),
};

function line(bytes: number): string {
  return 'a record of the flight recorder, which says nothing at all; '.repeat(99).slice(0, bytes);
}

function opened(peer: string, dir: string, bytes: number): Peer {
  const open = PEERS[peer];
  if (open === undefined) throw new Error(`no peer '${peer}'`);
  return open(dir, bytes);
}

async function appendAll({ append, turn }: Peer, records: number): Promise<void> {
  for (let i = 0; i < records; i += BATCH) {
    for (let j = 0; j < BATCH; j += 1) append();
    if (turn !== undefined) await turn();
  }
}

/** The part after the first records, with the last byte in the file at its end. */
async function append(peer: string, bytes: number, records: number, dir: string): Promise<object> {
  const one = opened(peer, dir, bytes);
  await appendAll(one, Math.min(WARM, records));
  const started = performance.now();
  await appendAll(one, records);
  const ns = ((performance.now() - started) * 1e6) / records;
  await one.close();
  const there = count(peer, bytes, dir).records;
  const all = records + Math.min(WARM, records);
  if (there < Math.min(all, 20_000)) throw new Error(`${there} of ${all} records are there`);
  return { ns };
}

async function killed(peer: string, bytes: number, records: number, dir: string): Promise<never> {
  const one = opened(peer, dir, bytes);
  await appendAll(one, records - (records % BATCH));
  for (let i = records % BATCH; i > 0; i -= 1) one.append();
  process.kill(process.pid, 'SIGKILL');
  throw new Error('alive after SIGKILL');
}

function count(peer: string, bytes: number, dir: string): { records: number } {
  if (!peer.startsWith('ring')) {
    const text = readFileSync(join(dir, 'log'), 'latin1');
    return { records: text.split(`${line(bytes - 1)}\n`).length - 1 };
  }
  using store = openStore(dir);
  const wanted = line(bytes);
  let records = 0;
  for (const { bytes: found } of store.ring('log')) {
    if (Buffer.from(found).toString() === wanted) records += 1;
  }
  return { records };
}

async function read(bytes: number, records: number, dir: string): Promise<object> {
  using store = openStore(dir);
  const log = store.ring('log', { size: SIZE });
  const record = Buffer.from(line(bytes));
  for (let i = 0; i < records; i += 1) log.append(record);
  const iterateNs = [0, 1, 2].map(() => {
    const started = performance.now();
    let found = 0;
    for (const { seq } of log) found = seq;
    if (found !== records) throw new Error(`${found} of ${records} records`);
    return ((performance.now() - started) * 1e6) / records;
  }).at(-1);
  const started = performance.now();
  if (log.tail(10).length !== 10) throw new Error('no tail');
  const tailMs = performance.now() - started;
  return { iterateNs, tailMs, followNs: await follow(log, record) };
}

/** From append to the one who follows, in one process. */
async function follow(log: Ring, record: Uint8Array): Promise<number> {
  const stop = new AbortController();
  const wanted = 2000;
  let started = 0;
  let total = 0;
  let seen = 0;
  const following = (async () => {
    for await (const _ of log.follow({ signal: stop.signal })) {
      total += performance.now() - started;
      seen += 1;
    }
  })();
  for (let i = 0; i < wanted; i += 1) {
    await setImmediate();
    started = performance.now();
    log.append(record);
    while (seen <= i) await setImmediate();
  }
  stop.abort();
  await following;
  return (total * 1e6) / wanted;
}

async function main(): Promise<void> {
  const [verb = '', ...rest] = process.argv.slice(2);
  const [first = '', second = '', third = '', fourth = ''] = rest;
  const verbs: Record<string, () => object | Promise<object>> = {
    append: () => append(first, Number(second), Number(third), fourth),
    killed: () => killed(first, Number(second), Number(third), fourth),
    count: () => count(first, Number(second), third),
    read: () => read(Number(first), Number(second), third),
  };
  const work = verbs[verb];
  if (work === undefined) throw new Error(`no verb '${verb}'`);
  process.stdout.write(`${JSON.stringify(await work())}\n`);
}

await main();
