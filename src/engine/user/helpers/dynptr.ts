// Dynptrs (kernel/bpf/helpers.c, ringbuf.c): 16 bytes on the stack that stand for memory of a size known only at run
// time: its address, then size with type and a read-only bit, then an offset, as struct bpf_dynptr_kern has them.
// A program that no verifier has seen may forge one: what it says is checked like any other address.

import type { HelperName } from '../../../spec/helper.ts'
import { failure } from '../errno.ts'
import { RingBuffer } from '../maps/ringbuf.ts'
import { UserRingBuffer } from '../maps/user-ringbuf.ts'
import { address, type Helper, type HelperCall, u32 } from './call.ts'

const SIZE = 16
/** BPF_RB_NO_WAKEUP, BPF_RB_FORCE_WAKEUP. */
const WAKEUPS = 3n
/** BPF_MAX_USER_RINGBUF_SAMPLES: how many one call hands out. */
const MAX_SAMPLES = 128 * 1024
/** DYNPTR_MAX_SIZE: the low 24 bits of the size field. */
const MAX_SIZE = 0xff_ffff
const READ_ONLY = 2 ** 31
const TYPE_SHIFT = 28
/** BPF_DYNPTR_TYPE_LOCAL, BPF_DYNPTR_TYPE_RINGBUF. */
const TYPE = { local: 1, ringbuf: 2 } as const

interface Dynptr {
  readonly data: number
  readonly size: number
  readonly readOnly: boolean
}

/** Undefined for one that stands for nothing. */
function get({ memory }: HelperCall, at: bigint): Dynptr | undefined {
  memory.check(address(at), SIZE, false)
  const start = Number(memory.view.getBigUint64(address(at), true))
  if (start === 0) return undefined
  const word = memory.view.getUint32(address(at) + 8, true)
  const offset = memory.view.getUint32(address(at) + 12, true)
  return { data: start + offset, size: word & MAX_SIZE, readOnly: word >= READ_ONLY }
}

function set(call: HelperCall, at: bigint, data: number, size: number, type: keyof typeof TYPE): void {
  call.memory.check(address(at), SIZE, true)
  fill(call, address(at), data, size, type)
}

function fill({ memory }: HelperCall, at: number, data: number, size: number, type: keyof typeof TYPE): void {
  memory.view.setBigUint64(at, BigInt(data), true)
  memory.view.setUint32(at + 8, size + TYPE[type] * 2 ** TYPE_SHIFT, true)
  memory.view.setUint32(at + 12, 0, true)
}

function clear({ memory }: HelperCall, at: bigint): void {
  memory.writable(address(at), SIZE).fill(0)
}

const outside = ({ size }: Dynptr, offset: number, length: number): boolean => length > size || offset > size - length

/** Gives the record behind a dynptr back to its ring buffer. */
const giveBack =
  (discard: boolean): Helper =>
  (call, at, flags) => {
    const dynptr = get(call, at)
    if (!dynptr) return 0n
    call.ringOf(BigInt(dynptr.data)).commit(dynptr.data, flags, discard)
    clear(call, at)
    return 0n
  }

export const dynptrHelpers = {
  dynptr_from_mem: (call, data, size, flags, at) => {
    clear(call, at)
    if (u32(size) > MAX_SIZE) return failure('E2BIG')
    if (flags !== 0n) return failure('EINVAL')
    if (size !== 0n) call.memory.check(address(data), u32(size), true)
    set(call, at, address(data), u32(size), 'local')
    return 0n
  },
  dynptr_read: (call, to, size, at, offset, flags) => {
    const dynptr = get(call, at)
    const target = call.memory.writable(address(to), u32(size))
    if (!dynptr || flags !== 0n) return failure('EINVAL')
    if (outside(dynptr, u32(offset), target.length)) return failure('E2BIG')
    target.set(call.memory.readable(dynptr.data + u32(offset), target.length))
    return 0n
  },
  dynptr_write: (call, at, offset, from, size, flags) => {
    const dynptr = get(call, at)
    const source = call.memory.readable(address(from), u32(size))
    if (!dynptr || dynptr.readOnly || flags !== 0n) return failure('EINVAL')
    if (outside(dynptr, u32(offset), source.length)) return failure('E2BIG')
    call.memory.writable(dynptr.data + u32(offset), source.length).set(source)
    return 0n
  },
  dynptr_data: (call, at, offset, length) => {
    const dynptr = get(call, at)
    if (!dynptr || dynptr.readOnly || outside(dynptr, u32(offset), u32(length))) return 0n
    return BigInt(dynptr.data + u32(offset))
  },
  ringbuf_reserve_dynptr: (call, handle, size, flags, at) => {
    clear(call, at)
    const map = call.map(handle)
    if (flags !== 0n || !(map instanceof RingBuffer)) return failure('EINVAL')
    if (u32(size) > MAX_SIZE) return failure('E2BIG')
    const record = map.reserve(BigInt(u32(size)), 0n)
    if (record === 0) return failure('EINVAL')
    set(call, at, record, u32(size), 'ringbuf')
    return 0n
  },
  user_ringbuf_drain: (call, handle, func, context, flags) => {
    const map = call.map(handle)
    if ((flags & ~WAKEUPS) !== 0n || !(map instanceof UserRingBuffer)) return failure('EINVAL')
    const dynptr = BigInt(call.dynptr)
    const drained = map.drain(MAX_SAMPLES, (at, size) => {
      fill(call, call.dynptr, at, size, 'local')
      return call.callback(func, dynptr, context)
    })
    return typeof drained === 'number' ? BigInt(drained) : failure(drained)
  },
  ringbuf_submit_dynptr: giveBack(false),
  ringbuf_discard_dynptr: giveBack(true),
} as const satisfies { readonly [name in HelperName]?: Helper }
