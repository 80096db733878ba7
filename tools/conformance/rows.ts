/**
 * What Vmalloc does, row by row, and the tests that prove that it is so here. A proof is a pattern
 * over `file: suite > title` of a test; every one must match at least one test.
 */

export interface Row {
  /** The names of Vmalloc. */
  readonly vmalloc: string;
  /** What it is called here. */
  readonly here: string;
  readonly proofs: readonly RegExp[];
}

/** The table of Vmalloc's verbs. */
export const ROWS: readonly Row[] = [
  {
    vmalloc: 'vmopen vmclose',
    here: 'createRegion openRegion close',
    proofs: [
      /^conformance: .* > a closed region is the same when it is opened again/,
      /^conformance: .* > creating over a region is refused/,
      /^conformance: .* > after close every call is refused/,
      /^watch: .*close.*veto/i,
    ],
  },
  {
    vmalloc: 'vmclear',
    here: 'clear',
    proofs: [/^conformance: .* > clear frees everything and keeps the segments/],
  },
  {
    vmalloc: 'vmcompact',
    here: 'compact',
    proofs: [
      /^conformance: .* > compact gives back what is not needed/,
      /^disciplines: .*refus/i,
    ],
  },
  {
    vmalloc: 'vmset VM_TRACE VM_DBCHECK VM_DBABORT VM_SHARE',
    here: 'configure',
    proofs: [/^watch: .*(flag|configure)/i, /^watch: .*trace/i, /^watch: .*abort/i,
      /^shared-region: /],
  },
  {
    vmalloc: 'vmdisc',
    here: 'setDiscipline',
    proofs: [/setDiscipline/],
  },
  {
    vmalloc: 'vmalloc vmalign vmresize vmfree',
    here: 'alloc align resize free',
    proofs: [
      /^conformance: .* > a block of every size is aligned/,
      /^conformance: .* > align returns a multiple/,
      /^conformance: .* > resize keeps contents/,
      /^conformance: .* > resize zeroes from the old size/,
      /^conformance: .* > a resize that fails leaves the block as it was/,
      /^conformance: .* > free: 0 is ignored/,
      /^conformance: .* > random steps agree with a model/,
      /^misuse: /,
    ],
  },
  {
    vmalloc: 'vmnewof vmoldof vmstrdup vmgetmem',
    here: 'newOf oldOf strdup scratch',
    proofs: [/^region-verbs: .*newOf/, /^region-verbs: .*oldOf/, /^region-verbs: .*scratch/,
      /^conformance: .* > text comes back/],
  },
  {
    vmalloc: 'vmaddr vmsize vmregion vmsegment vmwalk',
    here: 'offsetOf sizeOf regionOf segmentOf walk walkRegions',
    proofs: [
      /^conformance: .* > offsetOf answers for every byte/,
      /^conformance: .* > views are bounded by the block/,
      /^region-verbs: walk visits segments/,
      /^region-verbs: a walk over all regions can be stopped/,
    ],
  },
  {
    vmalloc: 'vmstat',
    here: 'stat',
    proofs: [/^conformance: .* > random steps agree with a model/, /^debug.*padded/i],
  },
  {
    vmalloc: 'vmmopen vmmvalue vmmcleanup',
    here: 'mmap file roots',
    proofs: [/^roots: /, /^region: .*(foreign|magic|not a region)/i, /^disciplines: /,
      /^golden: /],
  },
  { vmalloc: 'Vmbest', here: 'best', proofs: [/^best: /, /^best-model: /] },
  {
    vmalloc: 'Vmpool',
    here: 'pool',
    proofs: [/^pool.*: /, /^conformance: pool .* > free: 0 is ignored/],
  },
  { vmalloc: 'Vmlast', here: 'last', proofs: [/^last: /] },
  {
    vmalloc: 'Vmdebug vmdbcheck vmdbwatch vmdbwarn',
    here: 'debug(inner) check watch warning',
    proofs: [/^debug.*overrun/i, /^debug.*underrun/i, /^debug.*after free/i, /^debug.*double/i,
      /^debug.*foreign/i, /^debug.*leak/i, /^watch: .*watch/i],
  },
  {
    vmalloc: 'Vmprofile vmprofile',
    here: 'profile(inner) profileOf',
    proofs: [/^profile/],
  },
  {
    vmalloc: 'vmtrace vmtrbusy mtreplay',
    here: 'trace busyTrace regionstore replay',
    proofs: [/^trace/, /^region-verbs: .*busyTrace/, /^cli-trace: /],
  },
  {
    vmalloc: 'Vmdcsystem Vmdcheap and others',
    here: 'heap mmap file nested shared compressed own',
    proofs: [/^disciplines: /, /^nested: /, /^shared: /, /^compressed: /, /^own-discipline: /],
  },
  {
    vmalloc: 'VM_OPEN VM_CLOSE VM_NOMEM VM_DISC VM_BADADDR',
    here: 'on: open close noMemory discipline badAddress',
    proofs: [/^watch: .*noMemory/i, /^watch: .*badAddress/i, /^watch: .*open/i],
  },
  {
    vmalloc: 'malloc family, VMALLOC_OPTIONS',
    here: 'regionstore/malloc REGIONSTORE_OPTIONS',
    proofs: [/^malloc/, /^register: /],
  },
];

/** Faults of the last public Vmalloc that must not come back. */
export const FAULTS: readonly Row[] = [
  { vmalloc: 'addresses bound to one mapping base', here: 'offsets',
    proofs: [/^conformance: .* > what was synced is there although it was never closed/] },
  { vmalloc: 'no version, no checksum', here: 'refused',
    proofs: [/^region: .*a newer format is refused untouched/, /^region-header: /] },
  { vmalloc: 'a dead owner’s lock hangs the next', here: 'locks die with their owner',
    proofs: [/^region: .*SIGKILL|^disciplines: .*(kill|die)/i] },
  { vmalloc: 'a foreign file is lengthened', here: 'left as it was',
    proofs: [/^region: .*(left|unchanged|untouched|as it was)/i] },
  { vmalloc: 'a huge size gives a tiny block', here: 'ERR_BAD_SIZE',
    proofs: [/^misuse: .* > alloc: sizes/] },
  { vmalloc: 'compaction of last and pool inverted', here: 'compact',
    proofs: [/^conformance: last .* > compact gives back/, /^conformance: pool .* > compact/] },
  { vmalloc: 'a walk that cannot be stopped', here: 'walkRegions',
    proofs: [/^region-verbs: a walk over all regions can be stopped/] },
  { vmalloc: 'tracing busy blocks never ends', here: 'busyTrace',
    proofs: [/^region-verbs: .* > busyTrace tells of every live block once/] },
];
