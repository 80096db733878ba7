/**
 * Checkpoints in flight: captured and written here, synced and committed by a thread of their own.
 *
 * What is in flight counts as committed at once (it is staged), so that the next checkpoint builds
 * on it; when its commit fails, it and all later ones are taken back, and what they held is found
 * changed again. Whoever needs to know what is committed waits (`await`), without a turn of the
 * event loop.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker }
  from 'node:worker_threads';
import { type ErrorCode, RegionError } from '../errors.ts';
import type { CheckpointRow } from './catalog.ts';
import { adopt, commitOf, isCommitted, type Logged, logChanges, type Writers }
  from './checkpoint.ts';
import type { Answer, Job, WorkerSetup } from './commit-worker.ts';
import type { StoreCore } from './core.ts';
import type { RegionFile } from './region-file.ts';
import type { Record } from './record.ts';
import { RecordWriter } from './record-writer.ts';
import { settle } from './settle.ts';

const SCRIPT = new URL(
  import.meta.url.endsWith('.ts') ? '../../dist/src/store/commit-worker.js' : './commit-worker.js',
  import.meta.url);

/** Settling waits until nothing is in flight, up to so many times the bytes it is due after. */
const PATIENCE = 4;

/** Records of these stay in memory until they are in the region files. */
const WRITERS: Writers = { redo: new RecordWriter(true), undo: new RecordWriter(true) };

interface Flight {
  readonly id: number;
  /** null = region files are synced before they are settled. */
  readonly logged: Logged | null;
  /** Lengths of region files as they are synced with it. */
  readonly lengths: readonly (readonly [RegionFile, number])[];
  readonly takeBack: () => void;
  readonly done: (row: CheckpointRow) => void;
  readonly failed: (error: unknown) => void;
}

export class Flights {
  readonly #core: StoreCore;
  readonly #answers = new Int32Array(new SharedArrayBuffer(4));
  #queue: Flight[] = [];
  #worker: Worker | null = null;
  #port: MessagePort | null = null;
  #epoch = 0;
  #ids = 0;

  constructor(core: StoreCore) {
    this.#core = core;
    core.awaitFlights = () => this.await();
  }

  /** Captures now; the promise is resolved when it is committed. */
  launch(label: string | null, now: number): Promise<CheckpointRow> {
    const core = this.#core;
    // Flight after flight there is never a moment to settle: then one is made.
    if (core.unsettledBytes >= PATIENCE * core.options.settleBytes) {
      this.await();
      settle(core, true);
    }
    const base = core.sequence;
    const logged = logChanges(core, label, now, null, WRITERS);
    if (logged === null) return this.#afterLast(core.last as CheckpointRow);
    const takeBack = stage(core, logged);
    core.resetGrowth();
    const lengths = [...core.current.values()].flatMap(({ file }) =>
      file === null || file.length.unsynced === null ? [] : [[file, file.length.bytes] as const]);
    return this.#send({ logged, lengths, takeBack }, {
      images: core.images.takeUnsynced(),
      regions: lengths.map(([file]) => file.length.unsynced as number),
      commit: commitOf(logged, base),
    });
  }

  /** Until nothing is in flight. */
  await(): void {
    while (this.#queue.length > 0) {
      const seen = Atomics.load(this.#answers, 0);
      const answer = receiveMessageOnPort(this.#port as MessagePort);
      if (answer === undefined) Atomics.wait(this.#answers, 0, seen);
      else this.#hear(answer.message as Answer);
    }
  }

  close(): void {
    this.#port?.close();
    void this.#worker?.terminate();
    this.#worker = null;
    this.#port = null;
  }

  /** Resolved with the last of those in flight, at once where there is none. */
  #afterLast(row: CheckpointRow): Promise<CheckpointRow> {
    if (this.#queue.length === 0) return Promise.resolve(row);
    return this.#send({ logged: null, lengths: [], takeBack: () => {} },
      { images: [], regions: [], commit: null }).then(() => row);
  }

  #send(flight: Pick<Flight, 'logged' | 'lengths' | 'takeBack'>,
        work: Pick<Job, 'images' | 'regions' | 'commit'>): Promise<CheckpointRow> {
    return new Promise((done, failed) => {
      this.#start();
      const id = ++this.#ids;
      this.#queue.push({ id, ...flight, done, failed });
      // A program does not end while a checkpoint of it is being committed.
      this.#port?.ref();
      this.#port?.postMessage({ id, epoch: this.#epoch, ...work } satisfies Job);
    });
  }

  #start(): void {
    if (this.#worker !== null) return;
    const { port1, port2 } = new MessageChannel();
    const { catalog, options } = this.#core;
    const setup: WorkerSetup = { catalog: catalog.path, sync: options.sync, port: port2,
      answers: this.#answers };
    // What Node was told of the program (--input-type, --import) is not meant for this thread.
    this.#worker = new Worker(SCRIPT, { workerData: setup, transferList: [port2], execArgv: [] });
    this.#worker.unref();
    this.#worker.on('error', (error) => this.#lose(error));
    port1.on('message', (answer: Answer) => this.#hear(answer));
    this.#port = port1;
  }

  /** The thread is gone, and with it what it was to say: only opening again can tell. */
  #lose(error: Error): void {
    const poison = this.#core.poisonBy(error);
    for (const { failed } of this.#queue.splice(0)) failed(poison);
    this.close();
  }

  #hear({ id, error, isPoison }: Answer): void {
    const flight = this.#queue[0];
    // Answers to flights that were taken back with an earlier one.
    if (flight === undefined || flight.id !== id) return;
    this.#queue.shift();
    const failure = this.#failureOf(flight, error);
    if (failure === null) this.#land(flight);
    else this.#fail(flight, failure, isPoison || this.#core.poison !== null);
    if (this.#queue.length === 0) this.#port?.unref();
  }

  /** What failed, unless it is committed all the same; the store stops where nobody can tell. */
  #failureOf({ logged }: Flight, error: Answer['error']): Answer['error'] {
    if (error === null || logged === null) return error;
    const { code, message } = error;
    try {
      const failure = new RegionError(code as ErrorCode, message);
      return isCommitted(this.#core, logged.row.sequence, failure) ? null : error;
    } catch (poison) {
      return poison as RegionError;
    }
  }

  #land({ logged, lengths, done, failed }: Flight): void {
    const core = this.#core;
    for (const [file, bytes] of lengths) file.length.synced(bytes);
    if (logged === null) {
      done(core.last as CheckpointRow);
      return;
    }
    core.pins.look();
    if (core.poison === null) for (const record of logged.redo.records) land(core, logged, record);
    core.unsettledBytes += logged.redo.bytes;
    core.counters?.committed(logged.row, 0);
    done(logged.row);
    if (core.unsettledBytes >= core.options.settleBytes) this.#settle(failed);
  }

  /** Region files are synced by the thread first, so that settling finds nothing left to sync. */
  #settle(failed: (error: unknown) => void): void {
    const core = this.#core;
    if (this.#queue.length > 0 || core.poison !== null) return;
    const regions = [...core.files()].flatMap((file) => file.unsynced ?? []);
    this.#send({ logged: null, lengths: [], takeBack: () => {} },
      { images: [], regions, commit: null })
      .then(() => this.#queue.length === 0 && settle(core, true), failed);
  }

  /** It is not committed, and what was built on it cannot be. */
  #fail(flight: Flight, error: NonNullable<Answer['error']>, isPoison: boolean): void {
    const core = this.#core;
    const flights = [flight, ...this.#queue.splice(0)];
    this.#epoch += 1;
    for (const { logged, takeBack } of [...flights].reverse()) {
      takeBack();
      core.images.retreat([...logged?.redo.parts ?? [], ...logged?.undo?.parts ?? []]);
    }
    const failure = new RegionError(error.code as ErrorCode, error.message);
    const thrown = isPoison ? core.poisonBy(failure) : failure;
    for (const { failed } of flights) failed(thrown);
  }
}

/** What was staged is committed: it goes to the region files, where nothing holds them back. */
function land(core: StoreCore, { changed }: Logged, record: Record): void {
  for (const change of record.regions) {
    const file = changed.find(({ id }) => id === change.id);
    if (file === undefined) continue;
    const isFree = core.options.sync !== 'normal' && core.mayWrite(file, record.sequence);
    const failure = file.land(change, record.bytes, record.sequence, isFree);
    core.applyFailure = failure ?? core.applyFailure;
  }
}

/** What was logged counts as committed from now on; the answer takes that back. */
function stage(core: StoreCore, logged: Logged): () => void {
  const { sequence, last, points, chain } = core;
  const lengths = [points.length, chain.length] as const;
  const rows = logged.regions.map(({ id }) => [id, core.committed.get(id)] as const);
  const files = logged.redo.records.flatMap((record) => record.regions.map((change) =>
    logged.changed.find(({ id }) => id === change.id)
      ?.stage(change, record.bytes, record.sequence)));
  adopt(core, logged);
  return () => {
    for (const takeBack of files.reverse()) takeBack?.();
    Object.assign(core, { sequence, last, points, chain });
    [points.length, chain.length] = lengths;
    for (const [id, row] of rows) {
      if (row !== undefined) core.committed.set(id, row);
      else core.committed.delete(id);
    }
    for (const entry of core.current.values()) entry.born = !core.committed.has(entry.id);
  };
}
