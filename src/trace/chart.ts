/** x. */
import type { Study } from './study.ts';
export function chartOf(_study: Study): string { return ''; }
