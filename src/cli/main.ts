#!/usr/bin/env node
/** The command `regionstore` as a process: its arguments, its outputs, its exit code. */
import { readFileSync } from 'node:fs';
import { packageFile } from '../package.ts';
import { run } from './program.ts';

const text = readFileSync(packageFile('package.json'), 'utf8');
const { version } = JSON.parse(text) as { version: string };
const { stdout, stderr } = process;
process.exitCode = await run(process.argv.slice(2), { stdout, stderr, version });
