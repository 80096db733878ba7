/** Slots of kind `any`. */
import { ANY } from '../layout-objects.ts';
import type { KeyCodec } from './codec.ts';
import type { Core } from './core.ts';
import type { Kind } from './kinds.ts';

export function anyCodec(core: Core, kind: Kind): KeyCodec {
  throw new Error(`${core.name} ${kind.name} ${ANY.nan}`);
}
