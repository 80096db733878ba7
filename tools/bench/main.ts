/**
 * `npm run bench`: every part of the benchmark, one after the other, nothing beside it.
 *
 *   node main.js [--only NAME]… [--quick] [--json] [--save] [--dir DIR]
 *
 * Tables go to stdout (with --json one JSON document instead), progress to stderr. --save writes
 * both to tools/results/. --quick is a short run that shows that everything works; its figures say
 * nothing. DIR has to be on a disk; default is a folder inside the project's .regionstore/.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { alloc } from './alloc.ts';
import { buffers } from './buffers.ts';
import { commit } from './commit.ts';
import { history } from './history.ts';
import { objects } from './objects.ts';
import { reopen } from './reopen.ts';
import { environment, isMet, renderEnvironment, renderSection, type Section } from './report.ts';
import { rings } from './rings.ts';
import { sharing } from './sharing.ts';
import { stores } from './stores.ts';
import type { Bench } from './trials.ts';

/** Compiled, this file is in dist/tools/bench. */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

type Part = (bench: Bench) => Section;

const PARTS: Readonly<Record<string, Part>> =
  { alloc, buffers, commit, history, objects, reopen, rings, shared: sharing, stores };

function readArguments() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      save: { type: 'boolean', default: false },
      dir: { type: 'string' },
    },
  });
  const names = values.only ?? Object.keys(PARTS);
  const unknown = names.find((name) => !Object.hasOwn(PARTS, name));
  if (unknown !== undefined) {
    throw new Error(`there is no part '${unknown}'; there are: ${Object.keys(PARTS).join(', ')}`);
  }
  return { ...values, names };
}

function save(text: string, document: unknown, date: string): void {
  const folder = join(ROOT, 'tools', 'results');
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `bench-${date.slice(0, 16).replaceAll(/[-:]/g, '')}`);
  writeFileSync(`${path}.md`, text);
  writeFileSync(`${path}.json`, `${JSON.stringify(document, null, 1)}\n`);
  process.stderr.write(`saved ${path}.md and .json\n`);
}

function verdict(sections: readonly Section[]): string {
  const targets = sections.flatMap((section) => section.targets);
  const met = targets.filter(isMet).length;
  return `${met} of ${targets.length} targets met.`;
}

function main(): void {
  const options = readArguments();
  const started = Date.now();
  const tell = (text: string) => {
    const seconds = Math.round((Date.now() - started) / 1000);
    process.stderr.write(`${String(seconds).padStart(5)} s  ${text}\n`);
  };
  const parent = resolve(options.dir ?? join(ROOT, '.regionstore'));
  mkdirSync(parent, { recursive: true });
  const dir = mkdtempSync(join(parent, 'bench-'));
  try {
    const command = ['npm run bench --', ...process.argv.slice(2)].join(' ');
    const where = environment(dir, command, new Date(started));
    const bench: Bench = { dir, isQuick: options.quick, tell };
    const sections: Section[] = [];
    if (!options.json) process.stdout.write(`# Benchmark\n\n${renderEnvironment(where)}\n\n`);
    for (const name of options.names) {
      const section = (PARTS[name] as Part)(bench);
      sections.push(section);
      if (!options.json) process.stdout.write(`${renderSection(section)}\n\n`);
    }
    const document = { environment: where, sections };
    if (options.json) process.stdout.write(`${JSON.stringify(document)}\n`);
    else process.stdout.write(`${verdict(sections)}\n`);
    const texts = [`# Benchmark\n\n${renderEnvironment(where)}`, ...sections.map(renderSection),
      verdict(sections)];
    if (options.save) save(`${texts.join('\n\n')}\n`, document, where.date);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

main();
