// Sending packets elsewhere (net/core/filter.c): the verdict is the kernel's, the target is noted for the host, and
// nothing is sent.

import type { HelperName } from '../../../spec/helper.ts'
import { failure } from '../errno.ts'
import { address, type Helper, type HelperCall, u32 } from './call.ts'

/** Verdicts: XDP_ABORTED, XDP_REDIRECT, TC_ACT_SHOT, TC_ACT_REDIRECT. */
const XDP = { aborted: 0n, redirect: 4n } as const
const TC = { shot: 2n, redirect: 7n } as const
/** BPF_F_INGRESS, BPF_F_BROADCAST, BPF_F_EXCLUDE_INGRESS. */
const INGRESS = 1n
const BROADCAST = 8n
const EXCLUDE_INGRESS = 16n
/** The flags of redirect_map that are the verdict where there is no target. */
const VERDICT = 3n
/** struct bpf_redir_neigh. */
const NEIGH_SIZE = 20

const toInterface = (call: HelperCall, ifindex: bigint, flags: bigint, via?: 'peer' | 'neigh'): bigint => {
  call.run.target = { ifindex: u32(ifindex), flags: Number(flags), ...(via && { via }) }
  return TC.redirect
}

export const redirectHelpers = {
  redirect: (call, ifindex, flags) => {
    if (call.type !== 'xdp') return (flags & ~INGRESS) === 0n ? toInterface(call, ifindex, flags) : TC.shot
    if (flags !== 0n) return XDP.aborted
    toInterface(call, ifindex, flags)
    return XDP.redirect
  },
  redirect_peer: (call, ifindex, flags) => (flags === 0n ? toInterface(call, ifindex, flags, 'peer') : TC.shot),
  redirect_neigh: (call, ifindex, _params, size, flags) => {
    if ((size !== 0n && u32(size) < NEIGH_SIZE) || flags !== 0n) return TC.shot
    return toInterface(call, ifindex, flags, 'neigh')
  },
  redirect_map: (call, handle, key, flags) => {
    const { spec, ...map } = targets(call, handle)
    const many = spec.type === 'devmap' || spec.type === 'devmap_hash' ? BROADCAST | EXCLUDE_INGRESS : 0n
    if ((flags & ~(VERDICT | many)) !== 0n) return XDP.aborted
    if (!map.has(u32(key)) && (flags & BROADCAST) === 0n) {
      call.run.target = undefined
      return flags & VERDICT
    }
    call.run.target = { map: spec.name, key: u32(key), flags: Number(flags & ~VERDICT) }
    return XDP.redirect
  },
  clone_redirect: (call, _ctx, ifindex, flags) => {
    const index = u32(ifindex)
    if ((flags & ~INGRESS) !== 0n || index === 0 || call.host.interfaces?.has(index) === false) return failure('EINVAL')
    call.run.clones.push({ ifindex: index, flags: Number(flags), data: call.packet.bytes() })
    return 0n
  },
} as const satisfies { readonly [name in HelperName]?: Helper }

function targets(call: HelperCall, handle: bigint) {
  const map = call.map(handle)
  const has = (key: number): boolean => {
    call.memory.view.setUint32(address(BigInt(call.scratch)), key, true)
    return map.lookup(call.scratch, false) !== 0
  }
  return { spec: map.spec, has }
}
