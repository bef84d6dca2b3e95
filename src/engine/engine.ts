// What every engine offers, user or kernel. Bytes go in and out here; src/event gives them types. One
// contract suite (test/contract) holds for all of them.

import type { MapSpec, ObjectSpec, ProgramSpec } from '../object/spec.ts'

/** BPF_ANY, BPF_NOEXIST, BPF_EXIST of bpf(2). */
export type UpdateFlag = 'any' | 'noexist' | 'exist'

export interface Engine {
  readonly name: 'user' | 'kernel'
  /** For the line that says what a job runs on: `kernel 6.18.44`, `user engine (interpreter)`. */
  readonly description: string
  /** Maps and programs, live. Throws a Diagnostic and leaves nothing behind if any of them is refused. */
  load(spec: ObjectSpec): Promise<Collection>
}

export interface Collection extends Disposable {
  readonly engine: Engine
  readonly spec: ObjectSpec
  /** By the name in the spec. */
  readonly progs: ReadonlyMap<string, Prog>
  readonly maps: ReadonlyMap<string, BpfMap>
  /** What the engine did not take but could do without (type information, say), a sentence each. */
  readonly notes?: readonly string[]
  /** Detaches every link, closes every program and map. Idempotent; disposal calls it. */
  close(): void
  /** Runs what has come due by the engine's clock (timers of programs); absent where the kernel sees to that. */
  tick?(): void
}

/** One run of a program on given input, as BPF_PROG_TEST_RUN has it. */
export interface RunInput {
  /** Packet bytes (xdp, socket filter, tc). */
  readonly data?: Uint8Array
  /** Context bytes, laid out as the program type's context struct (tracepoint record, raw context). */
  readonly ctx?: Uint8Array
  /** How many times; 1 if absent. */
  readonly repeat?: number
}

export interface RunResult {
  /** r0, as an unsigned 32-bit number: the verdict. */
  readonly retval: number
  /** The packet afterwards, where there was one. */
  readonly data?: Uint8Array
  /** Mean time of one run, in nanoseconds, as the engine measured it. */
  readonly duration: number
  /** Where the program sends the packet, where its verdict is to redirect it and the engine can tell. */
  readonly redirect?: Redirect
  /** Copies that bpf_clone_redirect sent, in order, where the engine can tell. */
  readonly clones?: readonly Clone[]
}

/** The target of bpf_redirect and its kin (an interface) or of bpf_redirect_map (an element of a map). */
export interface Redirect {
  readonly ifindex?: number
  readonly map?: string
  /** Index or key in `map`. */
  readonly key?: number
  /** BPF_F_INGRESS, BPF_F_BROADCAST, BPF_F_EXCLUDE_INGRESS as the program gave them. */
  readonly flags: number
  /** `peer` and `neigh`: bpf_redirect_peer and bpf_redirect_neigh. */
  readonly via?: 'peer' | 'neigh'
}

/** A copy of the packet on its way to an interface. */
export interface Clone {
  readonly ifindex: number
  readonly flags: number
  readonly data: Uint8Array
}

export interface Prog {
  readonly spec: ProgramSpec
  /** Throws a Diagnostic (`EINVAL`, `ENOTSUP`) where the engine can't run this type by hand. */
  run(input: RunInput): RunResult
  /** Attaches to `target`, or to the spec's own. Throws a Diagnostic where that is not to be had. */
  attach(target?: string): Link
}

/**
 * A live attachment. Disposing it detaches, once. For a kernel, detaching means waiting until no processor runs the
 * program any more (tens of milliseconds); `await using` waits without blocking, and many links at once.
 */
export interface Link extends Disposable, AsyncDisposable {
  /** `tracepoint:sched:sched_process_exec`. */
  readonly description: string
  detach(): void
}

/**
 * A map by its bytes. Every failure is a Diagnostic whose `errno` is the one that bpf(2) gives: E2BIG, EEXIST,
 * ENOENT, EINVAL, ENOTSUPP … Keys and values that are not of the map's sizes are EINVAL before the engine sees them.
 */
export interface BpfMap {
  readonly spec: MapSpec
  /** A copy of the value, or undefined if there is none. */
  get(key: Uint8Array): Uint8Array | undefined
  set(key: Uint8Array, value: Uint8Array, flag?: UpdateFlag): void
  /** Whether there was such a key. */
  delete(key: Uint8Array): boolean
  /** A pass over the map while others may write: each element that stays is seen at least once. */
  entries(): Iterable<[key: Uint8Array, value: Uint8Array]>
  /** The records of a ring buffer or a perf_event_array. One consumer at a time; on another map type a Diagnostic. */
  events(): EventSource
  /** Writes a record for programs into a user_ringbuf. ENOSPC if it is full, E2BIG if the record can never fit. */
  submit(record: Uint8Array): void
  /**
   * The value, taken out of the map; undefined if there is none. With an empty key it pops from a queue or a stack
   * (`set` with an empty key pushes, with `exist` in place of the oldest where it is full; `get` peeks).
   */
  lookupAndDelete(key: Uint8Array): Uint8Array | undefined
  /** Bloom filters: whether `value` may have been pushed; if false, it has not. */
  has(value: Uint8Array): boolean
  /** Lets an element refer to a map (map of maps) or a program (prog_array) of the same collection, by name. */
  setRef(key: Uint8Array, name: string, flag?: UpdateFlag): void
  /** The name of what an element refers to, or undefined if there is none. */
  getRef(key: Uint8Array): string | undefined
  /** About `count` elements (BPF_MAP_LOOKUP_BATCH), from the start or from the `next` of the batch before. */
  getBatch(count: number, from?: BatchCursor): Batch
  /** As `getBatch`, and removes them (BPF_MAP_LOOKUP_AND_DELETE_BATCH). */
  takeBatch(count: number, from?: BatchCursor): Batch
  /** One after the other, until the first that is refused. bpf(2) has no update flags here. */
  setBatch(keys: readonly Uint8Array[], values: readonly Uint8Array[]): BatchDone
  deleteBatch(keys: readonly Uint8Array[]): BatchDone
}

/** Where a pass in batches stands: an engine's own affair. */
export interface BatchCursor {
  readonly engine: Engine['name']
}

export interface Batch {
  readonly elements: readonly (readonly [key: Uint8Array, value: Uint8Array])[]
  /** Absent after the last. */
  readonly next?: BatchCursor
}

/** How far a batch came, and the error that ended it: ENOENT, EEXIST, E2BIG … */
export interface BatchDone {
  readonly done: number
  readonly errno?: string
}

/** Records as they arrive. Iteration ends when the source is closed. */
export interface EventSource extends AsyncIterable<Uint8Array>, Disposable {
  /** Records handed out so far. */
  readonly received: number
  /** Records that were lost because the buffer was full, as the program counted them (`MapSpec.lost`); undefined if it does not count. */
  readonly lost: bigint | undefined
  /** What is there now, without waiting. */
  drain(): Uint8Array[]
  close(): void
}
