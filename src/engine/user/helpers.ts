// The helpers of the user engine: what each does to this engine's maps, memory and packets, with the results and
// error numbers that bpf-helpers(7) and the kernel's own implementations give. Ids, signatures and which
// program may call what are in src/spec; a helper that is not here is refused at load, by name and with
// the reason.

import type { HelperName } from '../../spec/helper.ts'
import { type Errno, failure } from './errno.ts'
import { format } from './format.ts'
import { address, type Helper, type HelperCall, s32, status, text, u32 } from './helpers/call.ts'
import { checksumHelpers } from './helpers/checksums.ts'
import { dynptrHelpers } from './helpers/dynptr.ts'
import { objectHelpers } from './helpers/objects.ts'
import { perfHelpers } from './helpers/perf.ts'
import { probeHelpers } from './helpers/probe.ts'
import { redirectHelpers } from './helpers/redirect.ts'
import { skbHelpers } from './helpers/skb.ts'
import { socketHelpers } from './helpers/sockets.ts'
import { textHelpers } from './helpers/text.ts'
import { tunnelHelpers } from './helpers/tunnel.ts'
import { RefArray } from './maps/refs.ts'
import { RingBuffer } from './maps/ringbuf.ts'
import type { Memory } from './memory.ts'

export type { Helper, HelperCall } from './helpers/call.ts'

/** BPF_MAX_LOOPS. */
const MAX_LOOPS = 8n * 1024n * 1024n
const TASK_COMM_LEN = 16
const SOCKMAPS: ReadonlySet<string> = new Set(['sockmap', 'sockhash'])
/** Nanoseconds of a jiffy where HZ is 250. */
const JIFFY = 4_000_000n
/** At most this many arguments, as MAX_BPRINTF_VARARGS, 8 bytes each. */
const MAX_ARGS = 96n

const ring = (call: HelperCall, handle: bigint): RingBuffer | undefined => {
  const map = call.map(handle)
  return map instanceof RingBuffer ? map : undefined
}

const decoder = new TextDecoder('latin1')
const encoder = new TextEncoder()

const words = (memory: Memory, from: bigint, size: bigint): bigint[] =>
  Array.from({ length: u32(size) / 8 }, (_, i) => memory.load(address(from) + i * 8, 8))

const printed = (memory: Memory, fmt: bigint, size: number, args: readonly bigint[]): string | undefined => {
  const bytes = memory.readable(address(fmt), size)
  const end = bytes.indexOf(0)
  if (end < 0) return undefined
  return format(decoder.decode(bytes.subarray(0, end)), args, (at) => {
    const string = text(memory, address(at), 512)
    return string ? decoder.decode(string) : '(efault)'
  })
}

/** The bounds that bpf_xdp_pointer checks. */
const outsideXdp = ({ packet }: HelperCall, offset: number, size: number): Errno | undefined => {
  if (offset > 0xffff || size > 0xffff) return 'EFAULT'
  return offset + size > packet.length ? 'EINVAL' : undefined
}

const moved = (call: HelperCall, errno: Errno | undefined): bigint => {
  if (!errno) call.packetMoved()
  return status(errno)
}

const helpers = {
  map_lookup_elem: (call, handle, key) => {
    const map = call.map(handle)
    call.memory.check(address(key), map.spec.keySize, false)
    const at = map.lookup(address(key), true)
    // What a program sees of a socket map's element is the socket.
    if (at === 0 || !SOCKMAPS.has(map.spec.type)) return BigInt(at)
    return BigInt(call.sockets.byId(call.memory.view.getUint32(at, true)))
  },
  map_lookup_percpu_elem: (call, handle, key, cpu) => {
    const map = call.map(handle)
    call.memory.check(address(key), map.spec.keySize, false)
    return u32(cpu) === 0 ? BigInt(map.lookup(address(key), true)) : 0n
  },
  map_update_elem: (call, handle, key, value, flags) => {
    const map = call.map(handle)
    call.memory.check(address(key), map.spec.keySize, false)
    call.memory.check(address(value), map.spec.valueSize, false)
    return status(map.update(address(key), address(value), map.spec.valueSize, flags))
  },
  map_delete_elem: (call, handle, key) => {
    const map = call.map(handle)
    call.memory.check(address(key), map.spec.keySize, false)
    return status(map.delete(address(key)))
  },
  map_push_elem: (call, handle, value, flags) => {
    const map = call.map(handle)
    call.memory.check(address(value), map.spec.valueSize, false)
    return status(map.push ? map.push(address(value), flags) : 'EINVAL')
  },
  map_pop_elem: (call, handle, to) => {
    const map = call.map(handle)
    call.memory.check(address(to), map.spec.valueSize, true)
    return status(map.pop ? map.pop(address(to)) : 'EINVAL')
  },
  map_peek_elem: (call, handle, to) => {
    const map = call.map(handle)
    call.memory.check(address(to), map.spec.valueSize, map.spec.type !== 'bloom_filter')
    return status(map.peek ? map.peek(address(to)) : 'EINVAL')
  },
  tail_call: (call, context, handle, index) => {
    const map = call.map(handle)
    if (!(map instanceof RefArray)) return failure('EINVAL')
    const to = map.at(u32(index))
    return to && call.tailCall(to, context) ? 0n : failure('ENOENT')
  },
  for_each_map_elem: (call, handle, func, context, flags) => {
    if (flags !== 0n) return failure('EINVAL')
    const map = call.map(handle)
    let visited = 0n
    for (const key of map.keys(call.scratch)) {
      visited++
      if (call.callback(func, handle, BigInt(key), BigInt(map.lookup(key, false)), context) !== 0n) break
    }
    return visited
  },
  loop: (call, count, func, context, flags) => {
    if (flags !== 0n) return failure('EINVAL')
    const end = BigInt(u32(count))
    if (end > MAX_LOOPS) return failure('E2BIG')
    for (let i = 0n; i < end; i++) if (call.callback(func, i, context) !== 0n) return i + 1n
    return end
  },

  ktime_get_ns: ({ host }) => host.now,
  ktime_get_boot_ns: ({ host }) => host.now,
  ktime_get_coarse_ns: ({ host }) => host.now,
  ktime_get_tai_ns: ({ host }) => host.now,
  jiffies64: ({ host }) => host.now / JIFFY,
  get_prandom_u32: ({ host }) => BigInt(host.random >>> 0),
  get_smp_processor_id: () => 0n,
  get_numa_node_id: () => 0n,
  // One CPU: its copy of a variable is the variable.
  per_cpu_ptr: (_call, pointer, cpu) => (u32(cpu) === 0 ? pointer : 0n),
  this_cpu_ptr: (_call, pointer) => pointer,
  get_current_pid_tgid: ({ host }) => host.pidTgid,
  get_current_uid_gid: ({ host }) => host.uidGid,
  get_current_comm: ({ memory, host }, to, size) => {
    const target = memory.writable(address(to), u32(size))
    const name = encoder.encode(host.comm).subarray(0, Math.max(0, Math.min(TASK_COMM_LEN, target.length) - 1))
    target.fill(0)
    target.set(name)
    return 0n
  },

  trace_printk: ({ memory, host }, fmt, size, ...args) => {
    const line = printed(memory, fmt, u32(size), args)
    if (line === undefined) return failure('EINVAL')
    host.print(line)
    return BigInt(line.length)
  },
  trace_vprintk: ({ memory, host }, fmt, size, data, dataSize) => {
    if (dataSize % 8n !== 0n || dataSize > MAX_ARGS) return failure('EINVAL')
    const line = printed(memory, fmt, u32(size), words(memory, data, dataSize))
    if (line === undefined) return failure('EINVAL')
    host.print(line)
    return BigInt(line.length)
  },
  snprintf: ({ memory }, to, size, fmt, data, dataSize) => {
    if (dataSize % 8n !== 0n || dataSize > MAX_ARGS) return failure('EINVAL')
    const args = words(memory, data, dataSize)
    const pattern = text(memory, address(fmt), 4096)
    const line = pattern && printed(memory, fmt, pattern.length + 1, args)
    if (line === undefined) return failure('EINVAL')
    const target = memory.writable(address(to), u32(size))
    const room = Math.max(0, target.length - 1)
    target.set(encoder.encode(line).subarray(0, room))
    if (target.length > 0) target[Math.min(line.length, room)] = 0
    return BigInt(line.length + 1)
  },
  ringbuf_reserve: (call, handle, size, flags) => BigInt(ring(call, handle)?.reserve(size, flags) ?? 0),
  ringbuf_submit: (call, record, flags) => giveBack(call, record, flags, false),
  ringbuf_discard: (call, record, flags) => giveBack(call, record, flags, true),
  ringbuf_output: (call, handle, data, size, flags) => {
    const map = ring(call, handle)
    if (!map) return failure('EINVAL')
    if (size > 0n) call.memory.check(address(data), address(size), false)
    return status(map.output(address(data), size, flags))
  },
  ringbuf_query: (call, handle, what) => ring(call, handle)?.query(what) ?? 0n,

  xdp_adjust_head: (call, _ctx, delta) => moved(call, call.packet.adjustHead(s32(delta))),
  xdp_adjust_tail: (call, _ctx, delta) => moved(call, call.packet.adjustTail(s32(delta))),
  xdp_adjust_meta: (call, _ctx, delta) => moved(call, call.packet.adjustMeta(s32(delta))),
  xdp_get_buff_len: ({ packet }) => BigInt(packet.length),
  xdp_load_bytes: (call, _ctx, offset, to, size) => {
    const target = call.memory.writable(address(to), u32(size))
    const errno = outsideXdp(call, u32(offset), target.length)
    if (errno) return failure(errno)
    const from = call.packet.data + u32(offset)
    target.set(call.memory.bytes.subarray(from, from + target.length))
    return 0n
  },
  xdp_store_bytes: (call, _ctx, offset, from, size) => {
    const source = call.memory.readable(address(from), u32(size))
    const errno = outsideXdp(call, u32(offset), source.length)
    if (errno) return failure(errno)
    call.memory.bytes.set(source, call.packet.data + u32(offset))
    return 0n
  },
  ...checksumHelpers,
  ...dynptrHelpers,
  ...objectHelpers,
  ...perfHelpers,
  ...probeHelpers,
  ...redirectHelpers,
  ...skbHelpers,
  ...socketHelpers,
  ...textHelpers,
  ...tunnelHelpers,
} as const satisfies { readonly [name in HelperName]?: Helper }

/** A record knows its ring buffer by its address alone: the region that holds it. */
function giveBack(call: HelperCall, record: bigint, flags: bigint, discard: boolean): bigint {
  call.ringOf(record).commit(address(record), flags, discard)
  return 0n
}

/** By name. */
export const HELPERS: { readonly [name in HelperName]?: Helper } = helpers

/** The helpers that the user engine has: for a Platform that describes it. */
export const USER_HELPERS = Object.keys(helpers) as readonly HelperName[]

/** Why a helper is missing: the first that fits. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/storage/, 'it keeps values beside objects of the kernel, and there are none'],
  [
    /^(skb|lwt|get_hash|get_route)/,
    'it works on a struct sk_buff of the kernel, and packets here are plain bytes with a little more',
  ],
  [/fib_lookup|check_mtu/, 'there are no routes and devices to ask about'],
  [/redirect/, 'it redirects to a socket, and no program type that may do so runs here'],
  [/^(sk|skc|sock|msg|tcp|bind|get_?sockopt|setsockopt)_?|socket|_sock$|listener/, 'there are no kernel sockets'],
  [
    /task|cgroup|cgrp|inode|d_path|signal|stack|func_|perf_|branch|kallsyms|ima_|vma|btf|attach_cookie|pid_tgid/,
    'it looks into the kernel, and there is none',
  ],
  [/kptr/, 'map values hold no pointers to objects of the kernel here'],
]

/** Why the user engine does not have helper `name`. */
export const whyNot = (name: HelperName): string =>
  REASONS.find(([pattern]) => pattern.test(name))?.[1] ?? 'it needs the kernel'
