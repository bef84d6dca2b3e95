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
  /** The records of a ring buffer. One consumer at a time; on another map type a Diagnostic. */
  events(): EventSource
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
