/**
 * What a word index must hold after some documents, known from the text alone. Nothing here has
 * seen a region.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hashOf } from '../torture/random.ts';
import { ROOT } from './plan.ts';
import { mix } from './trace-model.ts';

/** The words of a text, in order, lower case. */
export function wordsIn(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

export class TextModel {
  /** Postings of each word: document, position, document, position … in the order of the text. */
  readonly postings = new Map<string, number[]>();
  /** Documents done. */
  document = 0;
  positions = 0;
  /** Depends on every posting. */
  digest = 0;
  readonly #documents: readonly string[];

  constructor(documents: readonly string[]) {
    this.#documents = documents;
  }

  advance(document: number): void {
    while (this.document < document) this.addNext();
  }

  /** Takes in the next document; returns its words. */
  addNext(): string[] {
    const document = this.document;
    const words = wordsIn(readFileSync(join(ROOT, this.#documents[document] as string), 'utf8'));
    words.forEach((word, position) => {
      const list = this.postings.get(word);
      if (list === undefined) this.postings.set(word, [document, position]);
      else list.push(document, position);
      this.digest = (this.digest + mix(mix(hashOf(word), document), position)) | 0;
    });
    this.positions += words.length;
    this.document += 1;
    return words;
  }
}
