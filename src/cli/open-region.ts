/** Opens a region file by itself for a verb. */
import { basename } from 'node:path';
import { attachRegion, openRegion } from '../region/region.ts';
import { privateFile, writableFile } from './direct-file.ts';
import { subjectOf } from './subject.ts';
import { type Access, known, type Subject, type Target } from './target.ts';

export function openAlone(path: string, access: Access): Target {
  const name = basename(path);
  const discipline = access.mode === 'read' ? privateFile(path) : writableFile(path);
  const region = openRegion(discipline, { name });
  return regionTarget(path, subjectOf(name, 'region', discipline.name, region));
}

/** Not put in order first: nothing but checking and closing it is safe. */
export function openAsItStands(path: string): Target {
  const discipline = privateFile(path);
  const name = basename(path);
  try {
    const { region } = attachRegion(discipline, null, name);
    return regionTarget(path, subjectOf(name, 'region', discipline.name, region));
  } catch (error) {
    discipline.close();
    throw error;
  }
}

function regionTarget(path: string, subject: Subject): Target {
  const chosen = (names: readonly string[]) => known([subject.name], names, null);
  return {
    type: 'region',
    path,
    store: null,
    count: () => 1,
    *subjects(names = []) {
      chosen(names);
      yield subject;
    },
    close: () => subject.region.close(),
  };
}
