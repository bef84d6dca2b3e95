// Perf events and stacks (kernel/trace/bpf_trace.c, net/core/filter.c, kernel/bpf/stackmap.c). Instruction pointers
// are what the host says they are.

import type { HelperName } from '../../../spec/helper.ts'
import { failure } from '../errno.ts'
import { PerfEventArray } from '../maps/perf.ts'
import { StackTraceMap } from '../maps/stack-trace.ts'
import { address, type Helper, status, u32 } from './call.ts'

/** BPF_F_INDEX_MASK, BPF_F_CURRENT_CPU, BPF_F_CTXLEN_MASK. */
const INDEX = 0xffff_ffffn
const CURRENT_CPU = 0xffff_ffff
const CONTEXT_LENGTH = 0xfffff_00000000n
/** BPF_F_SKIP_FIELD_MASK, BPF_F_USER_STACK, BPF_F_FAST_STACK_CMP, BPF_F_REUSE_STACKID, BPF_F_USER_BUILD_ID. */
const SKIP = 0xffn
const USER_STACK = 0x100n
const FAST_COMPARE = 0x200n
const REUSE = 0x400n
/** PERF_MAX_STACK_DEPTH. */
const MAX_DEPTH = 127

/** Program types whose packet can be put behind an event. */
const PACKETS: ReadonlySet<string> = new Set(['xdp', 'socket_filter', 'sched_cls', 'sched_act', 'cgroup_skb'])

export const perfHelpers = {
  perf_event_output: (call, _ctx, handle, flags, data, size) => {
    const map = call.map(handle)
    const packet = PACKETS.has(call.type)
    if ((flags & ~(packet ? INDEX | CONTEXT_LENGTH : INDEX)) !== 0n) return failure('EINVAL')
    const appended = Number((flags & CONTEXT_LENGTH) >> 32n)
    if (appended > call.packet.length) return failure('EFAULT')
    if (!(map instanceof PerfEventArray)) return failure('EINVAL')
    const own = call.memory.readable(address(data), u32(size))
    const index = Number(flags & INDEX)
    const tail = call.packet.bytes().subarray(0, appended)
    return status(map.output(index === CURRENT_CPU ? 0 : index, [own, tail]))
  },
  get_stackid: (call, _ctx, handle, flags) => {
    const map = call.map(handle)
    if (!(map instanceof StackTraceMap)) return failure('EINVAL')
    if ((flags & ~(SKIP | USER_STACK | FAST_COMPARE | REUSE)) !== 0n) return failure('EINVAL')
    const stack = call.host.stack?.((flags & USER_STACK) !== 0n)?.slice(0, MAX_DEPTH)
    const skip = Number(flags & SKIP)
    if (!stack || stack.length <= skip) return failure('EFAULT')
    const id = map.add(stack.slice(skip), (flags & FAST_COMPARE) !== 0n, (flags & REUSE) !== 0n)
    return typeof id === 'number' ? BigInt(id) : failure(id)
  },
  get_stack: (call, _ctx, to, size, flags) => {
    const target = call.memory.writable(address(to), u32(size))
    target.fill(0)
    if ((flags & ~(SKIP | USER_STACK)) !== 0n || target.length % 8 !== 0) return failure('EINVAL')
    const stack = call.host.stack?.((flags & USER_STACK) !== 0n)?.slice(0, MAX_DEPTH)
    const skip = Number(flags & SKIP)
    if (!stack || stack.length < skip) return failure('EFAULT')
    const shown = stack.slice(skip, skip + target.length / 8)
    shown.forEach((ip, i) => void call.memory.view.setBigUint64(address(to) + 8 * i, ip, true))
    return BigInt(shown.length * 8)
  },
} as const satisfies { readonly [name in HelperName]?: Helper }
