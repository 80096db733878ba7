/**
 * The thread that commits checkpoints, so that the program's own never waits for a disk: syncs the
 * files it is told, then commits with a connection of its own. Jobs are done in order; after one
 * that failed, later ones of the same epoch are refused, since they build on it.
 */
import { fdatasyncSync } from 'node:fs';
import { type MessagePort, workerData } from 'node:worker_threads';
import { RegionError } from '../errors.ts';
import { crc32c } from '../native/crc32c.ts';
import { Catalog, type CheckpointCommit } from './catalog.ts';
import type { Sync } from './catalog-schema.ts';
import { systemError } from '../files.ts';

/** What the thread is made with. */
export interface WorkerSetup {
  readonly catalog: string;
  readonly sync: Sync;
  readonly port: MessagePort;
  /** Counts answers; whoever waits for one is woken. */
  readonly answers: Int32Array;
}

export interface Job {
  readonly id: number;
  readonly epoch: number;
  /** Descriptors of image files, and of region files that grew. */
  readonly images: readonly number[];
  readonly regions: readonly number[];
  /** null = only sync. */
  readonly commit: CheckpointCommit | null;
}

export interface Answer {
  readonly id: number;
  /** null = done. */
  readonly error: { readonly code: string; readonly message: string } | null;
  /** A region file could not be synced: nothing on disk can be trusted any more. */
  readonly isPoison: boolean;
}

const { catalog: path, sync, port, answers } = workerData as WorkerSetup;
let catalog: Catalog | null = null;
let failedEpoch = -1;

port.on('message', (job: Job) => {
  const answer = answerTo(job);
  if (answer.error !== null) failedEpoch = job.epoch;
  port.postMessage(answer);
  Atomics.add(answers, 0, 1);
  Atomics.notify(answers, 0);
});

function answerTo({ id, epoch, images, regions, commit }: Job): Answer {
  let isPoison = false;
  try {
    if (epoch === failedEpoch) {
      throw new RegionError('ERR_IO', 'the checkpoint before it failed, and so does this one');
    }
    for (const fd of images) fdatasyncSync(fd);
    isPoison = true;
    for (const fd of regions) fdatasyncSync(fd);
    isPoison = false;
    if (commit !== null) {
      catalog ??= Catalog.open(path, sync, crc32c, null);
      catalog.commit(commit);
    }
    return { id, error: null, isPoison: false };
  } catch (failure) {
    const { code, message } = systemError('committing a checkpoint', failure);
    return { id, error: { code, message }, isPoison };
  }
}
