// Contexts: what r1 points to when a program of each type runs, made from the input of one run. The layouts are
// struct xdp_md and struct __sk_buff of include/uapi/linux/bpf.h; what the fields hold where the input does not
// say is what BPF_PROG_TEST_RUN gives (net/bpf/test_run.c): a packet that came in on the loopback device.

import { Diagnostic } from '../../diag/diagnostic.ts'
import type { ProgTypeName } from '../../spec/names.ts'
import type { RunInput } from '../engine.ts'
import type { Memory, Region } from './memory.ts'
import type { Packet } from './packet.ts'

/** The interface index of the loopback device. */
const LOOPBACK = 1
const ETH_HLEN = 14
/** Ethernet type fields below it are lengths (ETH_P_802_3_MIN); such a frame is of protocol ETH_P_802_2. */
const LEAST_ETHERTYPE = 0x600
const ETH_P_802_2 = 4

/** Offsets in struct xdp_md. */
const XDP_MD = { data: 0, data_end: 4, data_meta: 8, ingress_ifindex: 12, size: 24 } as const
/** Offsets in struct __sk_buff. */
const SK_BUFF = {
  len: 0,
  pkt_type: 4,
  protocol: 16,
  ifindex: 40,
  data: 76,
  data_end: 80,
  data_meta: 140,
  size: 192,
} as const
/** PACKET_HOST, PACKET_MULTICAST, PACKET_OTHERHOST of linux/if_packet.h. */
const PACKET_TYPE = { host: 0, multicast: 2, otherHost: 3 } as const

/** The context region of a collection: one for all runs, as one program runs at a time. */
export class Context {
  readonly #memory: Memory
  #region: Region
  #room = 4096

  constructor(memory: Memory) {
    this.#memory = memory
    this.#region = memory.allocate({ name: 'the context', size: this.#room })
  }

  get address(): number {
    return this.#region.start
  }

  /** `size` zero bytes. */
  open(size: number, writable: boolean): void {
    if (size > this.#room) {
      this.#room = size * 2
      this.#region.end = this.#region.start
      this.#region = this.#memory.allocate({ name: 'the context', size: this.#room })
    }
    this.#region.end = this.#region.start + size
    this.#region.writable = writable
    this.#memory.bytes.fill(0, this.#region.start, this.#region.end)
  }

  put32(offset: number, value: number): void {
    this.#memory.view.setUint32(this.#region.start + offset, value, true)
  }

  put(bytes: Uint8Array): void {
    this.#memory.bytes.set(bytes, this.#region.start)
  }
}

export interface ContextKind {
  /** Fills context and packet. Throws a Diagnostic (EINVAL) if the input has not what the type needs. */
  readonly open: (context: Context, packet: Packet, input: RunInput) => void
  /** Writes the packet's ends into the context: after a helper moved them too. */
  readonly sync: (context: Context, packet: Packet) => void
  /** Bytes of link header before what the program sees; undefined where there is no packet. */
  readonly pulled: number | undefined
  /** What compiled code may rely on: how many bytes programs may read and write, and which words point into the packet. */
  readonly layout: ContextLayout
}

export interface ContextLayout {
  readonly readable: number
  readonly writable: number
  readonly packetWords: readonly number[]
}

const xdp: ContextKind = {
  open: (context, packet, input) => {
    packet.fill(packetOf('xdp', input), true)
    context.open(XDP_MD.size, false)
    context.put32(XDP_MD.ingress_ifindex, LOOPBACK)
    xdp.sync(context, packet)
  },
  sync: (context, packet) => {
    context.put32(XDP_MD.data, packet.data)
    context.put32(XDP_MD.data_end, packet.end)
    context.put32(XDP_MD.data_meta, packet.meta)
  },
  pulled: 0,
  layout: { readable: XDP_MD.size, writable: 0, packetWords: [XDP_MD.data, XDP_MD.data_end, XDP_MD.data_meta] },
}

function skb(type: ProgTypeName, pulled: number): ContextKind {
  const kind: ContextKind = {
    open: (context, packet, input) => {
      const bytes = packetOf(type, input)
      if (bytes.length < ETH_HLEN) throw tooShort(type, bytes.length)
      packet.fill(bytes, pulled === 0, pulled)
      context.open(SK_BUFF.size, true)
      context.put32(SK_BUFF.pkt_type, packetType(bytes))
      context.put32(SK_BUFF.protocol, protocol(bytes))
      context.put32(SK_BUFF.ifindex, LOOPBACK)
      kind.sync(context, packet)
    },
    sync: (context, packet) => {
      context.put32(SK_BUFF.len, packet.length)
      context.put32(SK_BUFF.data, packet.data)
      context.put32(SK_BUFF.data_end, packet.end)
      context.put32(SK_BUFF.data_meta, packet.meta)
    },
    pulled,
    layout: {
      readable: SK_BUFF.size,
      writable: SK_BUFF.size,
      packetWords: [SK_BUFF.data, SK_BUFF.data_end, SK_BUFF.data_meta],
    },
  }
  return kind
}

/** The caller's context is as long as it is. */
export const UNKNOWN_CONTEXT: ContextLayout = { readable: 0, writable: 0, packetWords: [] }

/** A context of the caller's own bytes: a tracepoint's record, the words of a raw tracepoint, registers. */
const raw = (writable: boolean): ContextKind => ({
  open: (context, packet, { ctx = new Uint8Array(0) }) => {
    packet.fill(new Uint8Array(0), false)
    context.open(ctx.length, writable)
    context.put(ctx)
  },
  sync: () => undefined,
  pulled: undefined,
  layout: UNKNOWN_CONTEXT,
})

/** The program types that the user engine runs. */
export const CONTEXTS: { readonly [type in ProgTypeName]?: ContextKind } = {
  xdp,
  // As in BPF_PROG_TEST_RUN, socket filters begin at the network header, classifiers at the link header.
  socket_filter: skb('socket_filter', ETH_HLEN),
  cgroup_skb: skb('cgroup_skb', ETH_HLEN),
  sched_cls: skb('sched_cls', 0),
  sched_act: skb('sched_act', 0),
  tracepoint: raw(false),
  raw_tracepoint: raw(false),
  kprobe: raw(false),
  perf_event: raw(false),
  syscall: raw(true),
}

/**
 * eth_type_trans: whose the packet is. The loopback device's own address and its broadcast address are both
 * 00:00:00:00:00:00, so that ff:ff:ff:ff:ff:ff counts as multicast.
 */
function packetType(bytes: Uint8Array): number {
  const address = bytes.subarray(0, 6)
  if (address[0] & 1) return PACKET_TYPE.multicast
  return address.every((byte) => byte === 0) ? PACKET_TYPE.host : PACKET_TYPE.otherHost
}

/** The ethertype in network order, as a u32 read of the field gives it. */
function protocol(bytes: Uint8Array): number {
  const type = bytes[12] * 256 + bytes[13]
  return type >= LEAST_ETHERTYPE ? bytes[12] + bytes[13] * 256 : ETH_P_802_2 * 256
}

function packetOf(type: ProgTypeName, { data }: RunInput): Uint8Array {
  if (data) return data
  throw new Diagnostic({
    code: 'user/run-input',
    message: `a program of type ${type} runs on a packet, and none is given`,
    help: 'pass the packet as `data`',
    errno: 'EINVAL',
  })
}

const tooShort = (type: ProgTypeName, length: number): Diagnostic =>
  new Diagnostic({
    code: 'user/run-input',
    message: `a packet of ${length} bytes has no Ethernet header, and a program of type ${type} needs it`,
    help: `give at least ${ETH_HLEN} bytes`,
    errno: 'EINVAL',
  })
