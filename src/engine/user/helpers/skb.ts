// Packets of sockets and classifiers: reading, writing and reshaping them as the kernel's sk_buff helpers do
// (net/core/filter.c, net/core/skbuff.c). Where the network header begins and which VLAN tag a device would add
// is not in the bytes: Run and the context keep it.

import type { HelperName } from '../../../spec/helper.ts'
import { type Errno, failure } from '../errno.ts'
import { address, type Helper, type HelperCall, s32, status, u32 } from './call.ts'

/** BPF_SKB_MAX_LEN: 4 pages less struct skb_shared_info. */
const MAX_LENGTH = 4 * 4096 - 320
const ETH_HLEN = 14
/** Both addresses of an Ethernet header: the type, or a VLAN tag, comes behind. */
const ETH_ADDRESSES = 12
const VLAN_HLEN = 4
const IPV4_HEADER = 20
const IPV6_HEADER = 40
/** Ethernet types as the bytes of a packet read in little endian. */
const TYPE = { ipv4: 0x0008, ipv6: 0xdd86, vlan: 0x0081, vlanOuter: 0xa888, llc: 0x0400 } as const
/** Offsets in struct __sk_buff. */
const FIELD = { pktType: 4, protocol: 16, vlanPresent: 20, vlanTci: 24, vlanProto: 28, hash: 68 } as const
/** BPF_F_RECOMPUTE_CSUM, BPF_F_INVALIDATE_HASH. */
const STORE_FLAGS = 3n
/** PACKET_OTHERHOST: the last type that may be set. */
const MAX_PKT_TYPE = 3

/** Flags of bpf_skb_adjust_room. */
const ROOM = {
  fixedGso: 1n,
  encapV4: 2n,
  encapV6: 4n,
  gre: 8n,
  udp: 16n,
  noChecksumReset: 32n,
  l2Ethernet: 64n,
  decapV4: 128n,
  decapV6: 256n,
  l2Length: 0xffn << 56n,
} as const
const ENCAP_L3 = ROOM.encapV4 | ROOM.encapV6
const DECAP_L3 = ROOM.decapV4 | ROOM.decapV6
const ENCAP = ENCAP_L3 | ROOM.gre | ROOM.udp | ROOM.l2Ethernet | ROOM.l2Length
const SHRINKING = ROOM.fixedGso | DECAP_L3 | ROOM.noChecksumReset
/** BPF_ADJ_ROOM_NET, BPF_ADJ_ROOM_MAC. */
const MODE = { net: 0, mac: 1 } as const

const field = ({ memory, context }: HelperCall, offset: number): number =>
  memory.view.getUint32(context.address + offset, true)
const protocolOf = (call: HelperCall): number => field(call, FIELD.protocol)

/** Takes bytes out and puts zeros in, among the headers: what lies behind them moves. */
function reshape({ packet, run }: HelperCall, at: number, remove: number, insert: number): void {
  packet.splice(at, remove, insert)
  if (run.transport !== undefined) run.transport += insert - remove
}

const moved = (call: HelperCall, errno: Errno | undefined): bigint => {
  if (!errno) call.packetMoved()
  return status(errno)
}

const isVlan = (type: number): boolean => type === TYPE.vlan || type === TYPE.vlanOuter
const headerOf = (protocol: number): number =>
  protocol === TYPE.ipv4 ? IPV4_HEADER : protocol === TYPE.ipv6 ? IPV6_HEADER : 0

function setVlan({ context }: HelperCall, tag: { proto: number; tci: number } | undefined): void {
  context.put32(FIELD.vlanPresent, tag ? 1 : 0)
  context.put32(FIELD.vlanTci, tag?.tci ?? 0)
  context.put32(FIELD.vlanProto, tag?.proto ?? 0)
}

/** A tag goes between addresses and type; it is in network order. */
function insertTag(call: HelperCall, proto: number, tci: number): void {
  reshape(call, ETH_ADDRESSES, 0, VLAN_HLEN)
  const at = call.packet.data + ETH_ADDRESSES
  call.memory.view.setUint16(at, proto, true)
  call.memory.view.setUint16(at + 2, tci, false)
}

/** Takes the tag out of the packet and gives what it said. */
function removeTag(call: HelperCall): number {
  const { memory, packet, context, run } = call
  const tci = memory.view.getUint16(packet.data + ETH_ADDRESSES + 2, false)
  reshape(call, ETH_ADDRESSES, VLAN_HLEN, 0)
  const type = memory.view.getUint16(packet.data + ETH_ADDRESSES, true)
  // Below 0x600 it is a length, and the protocol 802.2.
  context.put32(FIELD.protocol, memory.bytes[packet.data + ETH_ADDRESSES] >= 6 ? type : TYPE.llc)
  run.network = Math.max(ETH_HLEN, run.network - VLAN_HLEN)
  return tci
}

function vlanPop(call: HelperCall): Errno | undefined {
  if (field(call, FIELD.vlanPresent) !== 0) setVlan(call, undefined)
  else {
    if (!isVlan(protocolOf(call))) return undefined
    if (call.packet.length < ETH_HLEN + VLAN_HLEN) return 'ENOMEM'
    removeTag(call)
  }
  // The next tag moves to where a device would take it from.
  const proto = protocolOf(call)
  if (!isVlan(proto)) return undefined
  if (call.packet.length < ETH_HLEN + VLAN_HLEN) return 'ENOMEM'
  setVlan(call, { proto, tci: removeTag(call) })
  return undefined
}

/** bpf_skb_adjust_room: as `Errno` where the kernel refuses. */
function adjustRoom(call: HelperCall, difference: number, mode: number, flags: bigint): Errno | undefined {
  const { packet, run } = call
  const length = Math.abs(difference)
  const shrink = difference < 0
  const protocol = protocolOf(call)
  if ((flags & ~(SHRINKING | ENCAP)) !== 0n) return 'EINVAL'
  if (length > 0xfff) return 'EFAULT'
  const header = headerOf(protocol)
  if (header === 0 || (mode !== MODE.net && mode !== MODE.mac)) return 'ENOTSUPP'
  const least = leastHeader(flags, shrink, header)
  if (typeof least === 'string') return least
  const current = packet.length - run.network
  if (shrink ? length >= current || current - length < least : packet.length + length > MAX_LENGTH) return 'ENOTSUPP'
  const at = run.network + (mode === MODE.net ? header : 0)
  if (shrink) {
    if ((flags & ~SHRINKING) !== 0n) return 'EINVAL'
    if (at + length > packet.length) return 'ENOMEM'
    reshape(call, at, length, 0)
    if ((flags & DECAP_L3) !== 0n) setProtocol(call, (flags & ROOM.decapV4) !== 0n ? TYPE.ipv4 : TYPE.ipv6)
    return undefined
  }
  const errno = wrongEncap(call, length, flags)
  if (errno) return errno
  // A packet that is shorter than its headers grows at its end (in the kernel by what was cut off there before).
  reshape(call, Math.min(at, packet.length), 0, length)
  if ((flags & ENCAP_L3) !== 0n) {
    run.encapsulated = true
    const outer = (flags & ROOM.encapV4) !== 0n ? IPV4_HEADER : IPV6_HEADER
    if ((flags & (ROOM.gre | ROOM.udp)) !== 0n) run.transport = run.network + outer
    setProtocol(call, (flags & ROOM.encapV4) !== 0n ? TYPE.ipv4 : TYPE.ipv6)
  }
  return undefined
}

const setProtocol = ({ context }: HelperCall, type: number): void => context.put32(FIELD.protocol, type)

/** How much must be left behind the link header. */
function leastHeader(flags: bigint, shrink: boolean, header: number): number | Errno {
  const decap = flags & DECAP_L3
  if (decap === 0n) return header
  if (!shrink || decap === DECAP_L3) return 'EINVAL'
  return decap === ROOM.decapV4 ? IPV4_HEADER : IPV6_HEADER
}

function wrongEncap({ run }: HelperCall, length: number, flags: bigint): Errno | undefined {
  if ((flags & ENCAP_L3) === 0n) return undefined
  const l2 = Number((flags & ROOM.l2Length) >> 56n)
  if ((flags & ENCAP_L3) === ENCAP_L3) return 'EINVAL'
  if ((flags & ROOM.gre) !== 0n && (flags & ROOM.udp) !== 0n) return 'EINVAL'
  if ((flags & ROOM.l2Ethernet) !== 0n && l2 < ETH_HLEN) return 'EINVAL'
  if (run.encapsulated) return 'EALREADY'
  return l2 > length ? 'EINVAL' : undefined
}

/** Between the two versions of IP: the room for the header grows or shrinks, what it says is the program's to write. */
function changeProtocol(call: HelperCall, to: number, flags: bigint): Errno | undefined {
  if (flags !== 0n) return 'EINVAL'
  const { packet, run } = call
  const from = protocolOf(call)
  const difference = IPV6_HEADER - IPV4_HEADER
  if (from === TYPE.ipv4 && to === TYPE.ipv6) reshape(call, Math.min(run.network, packet.length), 0, difference)
  else if (from === TYPE.ipv6 && to === TYPE.ipv4) {
    if (run.network + difference > packet.length) return 'ENOMEM'
    reshape(call, run.network, difference, 0)
  } else return 'ENOTSUPP'
  setProtocol(call, to)
  return undefined
}

export const skbHelpers = {
  skb_load_bytes: ({ memory, packet }, _ctx, offset, to, size) => {
    const target = memory.writable(address(to), u32(size))
    if (u32(offset) + target.length > packet.length) {
      target.fill(0)
      return failure('EFAULT')
    }
    const from = packet.data + u32(offset)
    target.set(memory.bytes.subarray(from, from + target.length))
    return 0n
  },
  skb_load_bytes_relative: ({ memory, packet, run, type }, _ctx, offset, to, size, header) => {
    const target = memory.writable(address(to), u32(size))
    // Socket filters do not see the link header, which lies before the packet.
    const mac = type === 'socket_filter' || type === 'cgroup_skb' ? -ETH_HLEN : 0
    const start = packet.data + mac + (header === 1n ? run.network : 0)
    const from = start + u32(offset)
    if (u32(offset) > 0xffff || header > 1n || from + target.length > packet.end) {
      target.fill(0)
      return failure('EFAULT')
    }
    target.set(memory.bytes.subarray(from, from + target.length))
    return 0n
  },
  skb_store_bytes: ({ memory, packet }, _ctx, offset, from, size, flags) => {
    // This engine keeps neither checksum nor hash beside a packet.
    if ((flags & ~STORE_FLAGS) !== 0n) return failure('EINVAL')
    const source = memory.readable(address(from), u32(size))
    if (u32(offset) + source.length > packet.length) return failure('EFAULT')
    memory.bytes.set(source, packet.data + u32(offset))
    return 0n
  },
  // All of a packet lies in one piece: there is nothing to pull.
  skb_pull_data: (call, _ctx, size) => moved(call, u32(size) > call.packet.length ? 'ENOMEM' : undefined),
  skb_change_tail: (call, _ctx, size, flags) => {
    const { packet, run } = call
    const length = u32(size)
    const least = run.transport !== undefined && run.transport > 0 ? run.transport : run.network
    if (flags !== 0n || length > MAX_LENGTH || length < least) return failure('EINVAL')
    if (run.encapsulated) return failure('ENOTSUPP')
    packet.splice(
      Math.min(length, packet.length),
      Math.max(0, packet.length - length),
      Math.max(0, length - packet.length),
    )
    return moved(call, undefined)
  },
  skb_change_head: (call, _ctx, room, flags) => {
    const length = s32(room)
    if (flags !== 0n || length < 0 || call.packet.length + length > MAX_LENGTH) return failure('EINVAL')
    reshape(call, 0, 0, length)
    call.run.network += length
    return moved(call, undefined)
  },
  skb_adjust_room: (call, _ctx, difference, mode, flags) => {
    const errno = adjustRoom(call, s32(difference), u32(mode), flags)
    if (!errno && (flags & ROOM.noChecksumReset) === 0n) call.run.checksumLevel = undefined
    return moved(call, errno)
  },
  skb_change_proto: (call, _ctx, protocol, flags) => moved(call, changeProtocol(call, u32(protocol) & 0xffff, flags)),
  skb_change_type: (call, _ctx, type) => {
    if (field(call, FIELD.pktType) > MAX_PKT_TYPE || u32(type) > MAX_PKT_TYPE) return failure('EINVAL')
    call.context.put32(FIELD.pktType, u32(type))
    return 0n
  },
  skb_vlan_push: (call, _ctx, protocol, tci) => {
    const given = u32(protocol) & 0xffff
    if (field(call, FIELD.vlanPresent) !== 0) {
      const outer = field(call, FIELD.vlanProto)
      insertTag(call, outer, field(call, FIELD.vlanTci))
      setProtocol(call, outer)
    }
    // As a device would add it: it is not in the packet's bytes until there are two.
    setVlan(call, { proto: isVlan(given) ? given : TYPE.vlan, tci: u32(tci) & 0xffff })
    return moved(call, undefined)
  },
  skb_vlan_pop: (call) => moved(call, vlanPop(call)),
  set_hash: ({ context }, _ctx, hash) => {
    context.put32(FIELD.hash, u32(hash))
    return 0n
  },
  set_hash_invalid: ({ context }) => {
    context.put32(FIELD.hash, 0)
    return 0n
  },
} as const satisfies { readonly [name in HelperName]?: Helper }
