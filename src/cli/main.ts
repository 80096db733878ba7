#!/usr/bin/env node
/** The command `regionstore` as a process: its arguments, its outputs, its exit code. */
import { readFileSync } from 'node:fs';
import { run } from './program.ts';

// This file is built into dist/src/cli.
const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
const { version } = JSON.parse(text) as { version: string };
const { stdout, stderr } = process;
process.exitCode = await run(process.argv.slice(2), { stdout, stderr, version });
