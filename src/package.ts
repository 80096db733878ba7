/**
 * Where this package is. The sources are in src/, the build in dist/src/, what programs load in
 * dist/bundle/: the folder is above them all.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NAME = 'regionstore';
/** Of a file that is looked for when there is none. */
const HERE = dirname(fileURLToPath(import.meta.url));

/** null = no package.json above this file says that this is it. */
export const PACKAGE: string | null = findPackage(HERE);

/** A file of the package that is run or read as it is, by its path from the package's folder. */
export function packageFile(path: string): string {
  return join(PACKAGE ?? HERE, path);
}

function findPackage(folder: string): string | null {
  const path = join(folder, 'package.json');
  if (existsSync(path) && nameIn(readFileSync(path, 'utf8')) === NAME) return folder;
  return dirname(folder) === folder ? null : findPackage(dirname(folder));
}

function nameIn(json: string): unknown {
  try {
    return (JSON.parse(json) as { name?: unknown }).name;
  } catch {
    return undefined;
  }
}
