/**
 * A search engine that is there again after a restart: an inverted index of text files, kept as
 * objects in a heap. Files that changed are indexed again, the rest is left alone; a query ranks by
 * BM25 (Robertson and others, Okapi at TREC-3).
 *
 *   Index ── documents: path → Document ── terms: the words it has
 *         └─ terms:     word → Term ────── postings: document, count, document, count, …
 *
 * `npm run build && node dist/tools/examples/search.js` runs it; a test does the same.
 */
import { f64, list, map, type ObjectHeap, type Persistent, type PersistentList,
  ref, str, struct, u32 } from '../../src/index.ts';

const Term = struct('Term', {
  word: str,
  /** Number and count, document after document, numbers ascending. */
  postings: list(u32),
});
type Term = Persistent<typeof Term>;

const Document = struct('Document', {
  number: u32, path: str, modified: f64, words: u32, terms: list(ref(Term)),
});
type Document = Persistent<typeof Document>;

const Index = struct('Index', {
  documents: map(str, ref(Document)),
  byNumber: map(u32, ref(Document)),
  terms: map(str, ref(Term)),
  nextNumber: u32,
  words: f64,
});
type Index = Persistent<typeof Index>;

/** A file to be indexed. */
export interface Source {
  readonly path: string;
  /** Milliseconds since 1970. */
  readonly modified: number;
  readonly text: () => string;
}

export interface Hit {
  readonly path: string;
  readonly score: number;
}

/** What `update` did. */
export interface Changes {
  readonly added: number;
  readonly changed: number;
  readonly removed: number;
}

/** Saturation and length normalization, as usual. */
const K1 = 1.2;
const B = 0.75;

/** The index in a heap, empty at first. */
export class InvertedIndex {
  readonly #heap: ObjectHeap;
  readonly #index: Index;

  constructor(heap: ObjectHeap) {
    this.#heap = heap;
    const found = heap.root.get('index') as Index | undefined;
    this.#index = found ?? heap.create(Index);
    if (found === undefined) heap.root.set('index', this.#index);
  }

  get documentCount(): number {
    return this.#index.documents.size;
  }

  get termCount(): number {
    return this.#index.terms.size;
  }

  /** Makes the index that of exactly these files; those that did not change are left alone. */
  update(sources: Iterable<Source>): Changes {
    const { documents } = this.#index;
    const seen = new Set<string>();
    let [added, changed] = [0, 0];
    for (const source of sources) {
      seen.add(source.path);
      const known = documents.get(source.path) ?? null;
      if (known?.modified === source.modified) continue;
      if (known === null) added += 1;
      else {
        changed += 1;
        this.#remove(known);
      }
      this.#add(source);
    }
    const gone = [...documents.keys()].filter((path) => !seen.has(path));
    for (const path of gone) this.#remove(documents.get(path) as Document);
    return { added, changed, removed: gone.length };
  }

  /** The best documents that have any of the words, best first. */
  query(text: string, limit = 10): Hit[] {
    const scores = new Map<number, number>();
    for (const word of new Set(wordsOf(text))) {
      const term = this.#index.terms.get(word) ?? null;
      if (term !== null) this.#score(term, scores);
    }
    return [...scores].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, limit)
      .map(([number, score]) => ({ path: this.#numbered(number).path, score }));
  }

  /** Number and count of each document that has the word. */
  postings(word: string): number[] {
    return [...this.#index.terms.get(word)?.postings ?? []];
  }

  /** Path and count of each document that has the word. */
  counts(word: string): [string, number][] {
    const postings = this.postings(word);
    return Array.from({ length: postings.length / 2 }, (_, i) =>
      [this.#numbered(postings[i * 2] as number).path, postings[i * 2 + 1] as number]);
  }

  *words(): Generator<string> {
    yield* this.#index.terms.keys();
  }

  #score({ postings }: Term, scores: Map<number, number>): void {
    const { documents, words } = this.#index;
    const found = postings.length / 2;
    const rarity = Math.log(1 + (documents.size - found + 0.5) / (found + 0.5));
    const average = words / documents.size;
    for (let i = 0; i < postings.length; i += 2) {
      const number = postings.at(i) as number;
      const count = postings.at(i + 1) as number;
      const length = K1 * (1 - B + (B * this.#numbered(number).words) / average);
      const score = (rarity * count * (K1 + 1)) / (count + length);
      scores.set(number, (scores.get(number) ?? 0) + score);
    }
  }

  #numbered(number: number): Document {
    return this.#index.byNumber.get(number) as Document;
  }

  #add({ path, modified, text }: Source): void {
    const index = this.#index;
    const counts = new Map<string, number>();
    let words = 0;
    for (const word of wordsOf(text())) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
      words += 1;
    }
    const number = index.nextNumber++;
    const document = this.#heap.create(Document, { number, path, modified, words });
    const { terms } = document;
    for (const [word, count] of counts) {
      const term = this.#termFor(word);
      // Numbers only grow, so the newest document comes last.
      term.postings.push(number, count);
      terms.push(term);
    }
    index.documents.set(path, document);
    index.byNumber.set(number, document);
    index.words += words;
  }

  #remove(document: Document): void {
    const index = this.#index;
    for (const term of document.terms) {
      if (term === null) continue;
      const { postings } = term;
      postings.splice(placeOf(postings, document.number), 2);
      if (postings.length === 0) index.terms.delete(term.word);
    }
    index.words -= document.words;
    index.byNumber.delete(document.number);
    index.documents.delete(document.path);
  }

  #termFor(word: string): Term {
    const known = this.#index.terms.get(word) ?? null;
    if (known !== null) return known;
    const term = this.#heap.create(Term, { word });
    this.#index.terms.set(word, term);
    return term;
  }
}

/** Where the entry of a document begins; it is there. */
function placeOf(postings: PersistentList<number>, number: number): number {
  let low = 0;
  let high = postings.length / 2;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((postings.at(middle * 2) as number) < number) low = middle + 1;
    else high = middle;
  }
  return low * 2;
}

/** Runs of letters and digits, in lower case. */
export function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]{2,40}/gu) ?? [];
}
