// Tunnel metadata of a packet (bpf_skb_set_tunnel_key and its kin in net/core/filter.c): what is set is what a tunnel
// device would send with, so that reading it back shows the two ends the other way round.

import type { HelperName } from '../../../spec/helper.ts'
import { type Errno, failure } from '../errno.ts'
import { address, type Helper, u32 } from './call.ts'

/** struct bpf_tunnel_key of include/uapi/linux/bpf.h. */
const KEY = { id: 0, remote: 4, tos: 20, ttl: 21, ext: 22, label: 24, local: 28, size: 44 } as const
/** Sizes that older programs have: up to local_ipv6, tunnel_label, tunnel_ext and remote_ipv6[1]. */
const OLDER: ReadonlySet<number> = new Set([28, 24, 22, 8])
/** The shortest of them has room for an IPv4 address only. */
const V4_ONLY = 8
/** BPF_F_TUNINFO_IPV6, BPF_F_ZERO_CSUM_TX, BPF_F_DONT_FRAGMENT, BPF_F_SEQ_NUMBER, BPF_F_NO_TUNNEL_KEY. */
const IPV6 = 1n
const ZERO_CHECKSUM = 2n
const DONT_FRAGMENT = 4n
const SEQUENCE = 8n
const NO_KEY = 16n
/** BPF_F_TUNINFO_FLAGS, for reading. */
const SHOW_FLAGS = 16n
/** IP_TUNNEL_CSUM_BIT, KEY, SEQ, DONT_FRAGMENT, NOCACHE of include/uapi/linux/if_tunnel.h. */
const FLAG = { checksum: 1, key: 4, sequence: 8, dontFragment: 0x100, noCache: 0x2000 } as const
/** IP_TUNNEL_OPTS_MAX. */
const MAX_OPTIONS = 255

const swapped = (key: Uint8Array, v6: boolean): Uint8Array => {
  const out = key.slice()
  const width = v6 ? 16 : 4
  out.fill(0, KEY.remote, KEY.tos)
  out.fill(0, KEY.local, KEY.size)
  out.set(key.subarray(KEY.local, KEY.local + width), KEY.remote)
  out.set(key.subarray(KEY.remote, KEY.remote + width), KEY.local)
  return out
}

function wrongKey(key: Uint8Array, flags: bigint): Errno | undefined {
  const view = new DataView(key.buffer)
  if (view.getUint16(KEY.ext, true) !== 0) return 'EINVAL'
  return (flags & IPV6) === 0n && view.getUint32(KEY.label, true) !== 0 ? 'EINVAL' : undefined
}

/** tun_flags, in network order as the struct has them. */
function flagWord(flags: bigint): number {
  let word = FLAG.noCache
  if ((flags & ZERO_CHECKSUM) === 0n) word |= FLAG.checksum
  if ((flags & NO_KEY) === 0n) word |= FLAG.key
  if ((flags & SEQUENCE) !== 0n) word |= FLAG.sequence
  if ((flags & DONT_FRAGMENT) !== 0n) word |= FLAG.dontFragment
  return word
}

export const tunnelHelpers = {
  skb_set_tunnel_key: ({ memory, run }, _ctx, from, size, flags) => {
    const given = memory.readable(address(from), u32(size))
    if ((flags & ~(IPV6 | ZERO_CHECKSUM | DONT_FRAGMENT | SEQUENCE | NO_KEY)) !== 0n) return failure('EINVAL')
    if (given.length !== KEY.size && !OLDER.has(given.length)) return failure('EINVAL')
    const key = new Uint8Array(KEY.size)
    key.set(given)
    const errno = wrongKey(key, flags)
    if (errno) return failure(errno)
    run.tunnel = { key, v6: (flags & IPV6) !== 0n, flags: flagWord(flags), options: undefined }
    return 0n
  },
  skb_get_tunnel_key: ({ memory, run }, _ctx, to, size, flags) => {
    const target = memory.writable(address(to), u32(size))
    target.fill(0)
    const { tunnel } = run
    if (!tunnel || (flags & ~(IPV6 | SHOW_FLAGS)) !== 0n) return failure('EINVAL')
    if (tunnel.v6 !== ((flags & IPV6) !== 0n)) return failure('EPROTO')
    if (target.length !== KEY.size && !OLDER.has(target.length)) return failure('EINVAL')
    if (target.length === V4_ONLY && tunnel.v6) return failure('EINVAL')
    const key = swapped(tunnel.key, tunnel.v6)
    if ((flags & SHOW_FLAGS) !== 0n) new DataView(key.buffer).setUint16(KEY.ext, tunnel.flags, false)
    target.set(key.subarray(0, target.length))
    return 0n
  },
  skb_set_tunnel_opt: ({ memory, run }, _ctx, from, size) => {
    const options = memory.readable(address(from), u32(size)).slice()
    if (!run.tunnel || options.length % 4 !== 0) return failure('EINVAL')
    if (options.length > MAX_OPTIONS) return failure('ENOMEM')
    run.tunnel.options = options
    return 0n
  },
  skb_get_tunnel_opt: ({ memory, run }, _ctx, to, size) => {
    const target = memory.writable(address(to), u32(size))
    target.fill(0)
    const options = run.tunnel?.options
    if (!options) return failure('ENOENT')
    if (target.length < options.length) return failure('ENOMEM')
    target.set(options)
    return BigInt(options.length)
  },
} as const satisfies { readonly [name in HelperName]?: Helper }
