// Checksums in packets (net/core/filter.c, lib/checksum.c): replacing a part of what an Internet checksum
// (RFC 1071) covers without summing the rest again (RFC 1624). Words are taken in memory order.

import type { HelperName } from '../../../spec/helper.ts'
import { checksumDiff } from '../checksum.ts'
import { type Errno, failure } from '../errno.ts'
import { address, type Helper, type HelperCall, u32 } from './call.ts'

/** BPF_F_HDR_FIELD_MASK, BPF_F_PSEUDO_HDR, BPF_F_MARK_MANGLED_0, BPF_F_MARK_ENFORCE, BPF_F_IPV6. */
const FIELD = 0xfn
const PSEUDO = 0x10n
const MANGLED_0 = 0x20n
const ENFORCE = 0x40n
const IPV6 = 0x80n
/** CSUM_MANGLED_0: what a UDP checksum of 0 is sent as. */
const ZERO_AS = 0xffff
/** BPF_CSUM_LEVEL_QUERY, _INC, _DEC and _RESET, and SKB_MAX_CSUM_LEVEL. */
const LEVEL = { query: 0n, increment: 1n, decrement: 2n, reset: 3n } as const
const MAX_LEVEL = 3

/** 32-bit addition with end-around carry. */
const add = (a: number, b: number): number => {
  const sum = a + b
  return sum >= 2 ** 32 ? sum - 2 ** 32 + 1 : sum
}
const not32 = (a: number): number => ~a >>> 0
/** csum_fold: to 16 bits, inverted. */
const fold = (a: number): number => {
  const once = (a & 0xffff) + (a >>> 16)
  return ~((once & 0xffff) + (once >>> 16)) & 0xffff
}

/** The new checksum when a field of `size` bytes (0: the difference itself is given) changes. */
function replaced(old: number, size: bigint, from: number, to: number): number | Errno {
  const base = not32(old)
  if (size === 0n) return from === 0 ? fold(add(to, base)) : 'EINVAL'
  if (size === 2n) return fold(add(add(base, not32(from & 0xffff)), to & 0xffff))
  return size === 4n ? fold(add(add(base, not32(from)), to)) : 'EINVAL'
}

/** Where a checksum is in the packet; an errno where none can be. */
const place = ({ packet }: HelperCall, offset: number): number | Errno =>
  offset > 0xffff || offset % 2 !== 0 || offset + 2 > packet.length ? 'EFAULT' : packet.data + offset

export const checksumHelpers = {
  csum_diff: ({ memory }, from, fromSize, to, toSize, seed) => {
    // Older kernels take multiples of 4 only; Linux 6.18 takes any size.
    const before = memory.readable(address(from), u32(fromSize))
    const after = memory.readable(address(to), u32(toSize))
    return BigInt(checksumDiff(before, after, u32(seed)))
  },
  l3_csum_replace: (call, _ctx, offset, from, to, flags) => {
    if ((flags & ~FIELD) !== 0n) return failure('EINVAL')
    const at = place(call, u32(offset))
    if (typeof at === 'string') return failure(at)
    const { view } = call.memory
    const sum = replaced(view.getUint16(at, true), flags & FIELD, u32(from), u32(to))
    if (typeof sum === 'string') return failure(sum)
    view.setUint16(at, sum, true)
    return 0n
  },
  l4_csum_replace: (call, _ctx, offset, from, to, flags) => {
    if ((flags & ~(FIELD | PSEUDO | MANGLED_0 | ENFORCE | IPV6)) !== 0n) return failure('EINVAL')
    const at = place(call, u32(offset))
    if (typeof at === 'string') return failure(at)
    const { view } = call.memory
    const old = view.getUint16(at, true)
    const mangled = (flags & MANGLED_0) !== 0n
    // UDP without a checksum stays so.
    if (mangled && (flags & ENFORCE) === 0n && old === 0) return 0n
    const sum = replaced(old, flags & FIELD, u32(from), u32(to))
    if (typeof sum === 'string') return failure(sum)
    view.setUint16(at, mangled && sum === 0 ? ZERO_AS : sum, true)
    return 0n
  },
  // No device has summed these packets: there is nothing to update.
  csum_update: () => failure('ENOTSUPP'),
  csum_level: ({ run }, _ctx, what) => {
    const level = run.checksumLevel
    if (what === LEVEL.query) return level === undefined ? failure('EACCES') : BigInt(level)
    if (what > LEVEL.reset) return failure('EINVAL')
    if (what === LEVEL.increment) run.checksumLevel = level === undefined ? 0 : Math.min(level + 1, MAX_LEVEL)
    else run.checksumLevel = what === LEVEL.decrement && level ? level - 1 : undefined
    return 0n
  },
} as const satisfies { readonly [name in HelperName]?: Helper }
