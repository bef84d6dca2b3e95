// What a helper is given and gives: five words and the engine around the program that called it. The conversions that
// every family of helpers needs stand here too.

import type { ProgTypeName } from '../../../spec/names.ts'
import type { Context } from '../context.ts'
import { type Errno, failure } from '../errno.ts'
import type { Host } from '../host.ts'
import type { UserMap } from '../maps/map.ts'
import type { Referent } from '../maps/refs.ts'
import type { RingBuffer } from '../maps/ringbuf.ts'
import type { Memory } from '../memory.ts'
import type { Packet } from '../packet.ts'
import type { Run } from '../run.ts'
import type { Sockets } from '../sockets.ts'
import type { Timers } from '../timers.ts'

/** What a helper works on: the engine around the program that called it. */
export interface HelperCall {
  readonly memory: Memory
  readonly host: Host
  /** Of the program that was started; one that was called into by a tail call has the same. */
  readonly type: ProgTypeName
  readonly context: Context
  /** The packet of this run; empty where there is none. */
  readonly packet: Packet
  /** What this run leaves behind besides its result. */
  readonly run: Run
  readonly timers: Timers
  readonly sockets: Sockets
  /** Four bytes that programs may read: the key that for_each_map_elem shows. */
  readonly scratch: number
  /** 16 bytes that programs may read: the dynptr that user_ringbuf_drain shows. */
  readonly dynptr: number
  /** The map behind a handle. Throws a Diagnostic (`user/fault`) if it is none. */
  map(handle: bigint): UserMap
  /** The ring buffer that has this record reserved. Throws a Diagnostic (`user/fault`) if none has. */
  ringOf(record: bigint): RingBuffer
  /** Runs a function of the program and gives its r0. */
  callback(func: bigint, ...args: bigint[]): bigint
  /** A function of the program, to be run when the program is over. */
  later(func: bigint): (...args: bigint[]) => bigint
  /** Goes on with another program instead of this one, unless there have been too many: then false. */
  tailCall(to: Referent, context: bigint): boolean
  /** Writes the packet's ends back into the context. */
  packetMoved(): void
}

/** What the interpreter itself adds. */
export type Surrounding = Omit<HelperCall, 'callback' | 'later' | 'tailCall'>

export type Helper = (call: HelperCall, r1: bigint, r2: bigint, r3: bigint, r4: bigint, r5: bigint) => bigint

export const address = Number
export const u32 = (value: bigint): number => Number(value & 0xffff_ffffn)
export const s32 = (value: bigint): number => Number(BigInt.asIntN(32, value))
export const status = (errno: Errno | undefined): bigint => (errno ? failure(errno) : 0n)

/** The bytes up to the null, at most `limit`; undefined where the program may not read. */
export function text(memory: Memory, from: number, limit: number): Uint8Array | undefined {
  let size = 0
  while (size < limit) {
    if (!memory.allows(from + size, 1, false)) return undefined
    if (memory.bytes[from + size] === 0) break
    size++
  }
  return memory.bytes.subarray(from, from + size)
}
