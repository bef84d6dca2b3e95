// Packets in XDP programs: headers reached by direct packet pointers. Each header is preceded by the
// comparison with data_end that the verifier learns a range from, in the form `pointer + n > data_end`;
// the field tables give offsets within the header (RFC 791, 8200, 9293, 768; IEEE 802.1Q).

import type { Size } from '../isa/insn.ts'
import type { Flow } from './flow.ts'
import type { Block, Node } from './ir.ts'
import { type IntType, int, U8, U16, U32, U64 } from './ktype.ts'
import type { Cell, IntOperand, Operand, ViewOperand } from './operand.ts'
import type { Span } from './syntax.ts'

export type ViewName = 'ethernet' | 'vlan' | 'ipv4' | 'ipv6' | 'tcp' | 'udp'

/** A field: `size` bytes at `offset` in network order, of which `shift` and `mask` cut out the bits. */
interface Field {
  readonly offset: number
  readonly size: Size
  readonly shift?: number
  readonly mask?: number
}

const flag = (bit: number): Field => ({ offset: 13, size: 1, shift: bit, mask: 1 })

/** Fields by the names that the kernel's headers give them. */
export const VIEWS: Readonly<Record<ViewName, Readonly<Record<string, Field>>>> = {
  ethernet: { proto: { offset: 12, size: 2 } },
  vlan: {
    id: { offset: 0, size: 2, mask: 0xfff },
    priority: { offset: 0, size: 1, shift: 5, mask: 7 },
    dei: { offset: 0, size: 1, shift: 4, mask: 1 },
    proto: { offset: 2, size: 2 },
  },
  ipv4: {
    version: { offset: 0, size: 1, shift: 4, mask: 15 },
    ihl: { offset: 0, size: 1, mask: 15 },
    tos: { offset: 1, size: 1 },
    tot_len: { offset: 2, size: 2 },
    id: { offset: 4, size: 2 },
    frag_off: { offset: 6, size: 2 },
    ttl: { offset: 8, size: 1 },
    protocol: { offset: 9, size: 1 },
    check: { offset: 10, size: 2 },
    saddr: { offset: 12, size: 4 },
    daddr: { offset: 16, size: 4 },
  },
  ipv6: {
    version: { offset: 0, size: 1, shift: 4, mask: 15 },
    priority: { offset: 0, size: 2, shift: 4, mask: 255 },
    flow_lbl: { offset: 0, size: 4, mask: 0xfffff },
    payload_len: { offset: 4, size: 2 },
    nexthdr: { offset: 6, size: 1 },
    hop_limit: { offset: 7, size: 1 },
    saddr_hi: { offset: 8, size: 8 },
    saddr_lo: { offset: 16, size: 8 },
    daddr_hi: { offset: 24, size: 8 },
    daddr_lo: { offset: 32, size: 8 },
  },
  tcp: {
    source: { offset: 0, size: 2 },
    dest: { offset: 2, size: 2 },
    seq: { offset: 4, size: 4 },
    ack_seq: { offset: 8, size: 4 },
    doff: { offset: 12, size: 1, shift: 4, mask: 15 },
    fin: flag(0),
    syn: flag(1),
    rst: flag(2),
    psh: flag(3),
    ack: flag(4),
    urg: flag(5),
    ece: flag(6),
    cwr: flag(7),
    window: { offset: 14, size: 2 },
    check: { offset: 16, size: 2 },
    urg_ptr: { offset: 18, size: 2 },
  },
  udp: {
    source: { offset: 0, size: 2 },
    dest: { offset: 2, size: 2 },
    len: { offset: 4, size: 2 },
    check: { offset: 6, size: 2 },
  },
}

const ETHERNET_BYTES = 14
const VLAN_BYTES = 4
const IPV4_BYTES = 20
const IPV6_BYTES = 40
const TCP_BYTES = 20
const UDP_BYTES = 8
const ETH_P_IP = 0x0800
const ETH_P_IPV6 = 0x86dd
const ETH_P_8021Q = 0x8100
const ETH_P_8021AD = 0x88a8
const IPPROTO_TCP = 6
const IPPROTO_UDP = 17

/** Offsets in struct xdp_md (include/uapi/linux/bpf.h). */
const XDP_MD = { data: 0, data_end: 4, ingress_ifindex: 12, rx_queue_index: 16 } as const

export class PacketOps {
  private readonly flow: Flow
  private readonly data: Node
  private readonly dataEnd: Node
  private readonly ctx: Node

  /** Made at the program's entry: packet pointers are loaded once, so that all share the ranges that are proved. */
  constructor(flow: Flow, ctx: Node) {
    this.flow = flow
    this.ctx = ctx
    this.data = flow.load(4, ctx, XDP_MD.data, true)
    this.dataEnd = flow.load(4, ctx, XDP_MD.data_end, true)
  }

  member(name: string): Operand | undefined {
    const { flow } = this
    if (name === 'length')
      return flow.int(
        flow.emit({ op: 'extend', from: 32, signed: false }, flow.bin('sub', this.dataEnd, this.data)),
        U32,
      )
    if (name === 'ifindex') return flow.int(flow.load(4, this.ctx, XDP_MD.ingress_ifindex, true), U32)
    if (name === 'rxQueue') return flow.int(flow.load(4, this.ctx, XDP_MD.rx_queue_index, true), U32)
    return undefined
  }

  field(view: ViewOperand, name: string): Operand | undefined {
    const fields = VIEWS[view.view]
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined
    return field && this.readField(view.base, field)
  }

  private readField(base: Node, { offset, size, shift, mask }: Field): IntOperand {
    const { flow } = this
    let node = this.host(flow.load(size, base, offset, true), size)
    if (shift) node = flow.bin('rsh', node, flow.const(shift))
    if (mask !== undefined) node = flow.bin('and', node, flow.const(mask))
    const bits = mask === undefined ? size * 8 : mask > 0xffff ? 32 : mask > 0xff ? 16 : 8
    return flow.int(node, int(bits as IntType['bits']))
  }

  private host(node: Node, size: Size): Node {
    return size === 1 ? node : this.flow.emit({ op: 'swap', bits: (size * 8) as 16 | 32 | 64 }, node)
  }

  /** Branches on whether `n` bytes are there behind `pointer`. */
  private bounds(pointer: Node, n: number, yes: Block, no: Block): void {
    const { flow } = this
    flow.branch('gt', flow.plus(pointer, n), this.dataEnd, no, yes)
  }

  /** `ctx.has(base + n)`: `base` is the part of the offset that varies, if any. */
  has(base: Node | undefined, n: number, yes: Block, no: Block): void {
    this.bounds(base ? this.flow.bin('add', this.data, base) : this.data, n, yes, no)
  }

  /** `ctx.u16(base + offset)` and its like. */
  raw(bits: 8 | 16 | 32 | 64, base: Node | undefined, offset: number): IntOperand {
    const pointer = base ? this.flow.bin('add', this.data, base) : this.data
    const size = (bits / 8) as Size
    const type = { 8: U8, 16: U16, 32: U32, 64: U64 }[bits]
    return this.flow.int(this.host(this.flow.load(size, pointer, offset, true), size), type)
  }

  call(name: string, args: readonly Operand[], span: Span): Operand | undefined {
    switch (name) {
      case 'ethernet':
        return this.view('ethernet', (found, missing) => {
          this.step(this.data, ETHERNET_BYTES, missing)
          found(this.data)
        })
      case 'vlan':
        return this.view('vlan', (found, missing) => this.vlan(found, missing))
      case 'ipv4':
        return this.view('ipv4', (found, missing) => this.ip(ETH_P_IP, IPV4_BYTES, found, missing))
      case 'ipv6':
        return this.view('ipv6', (found, missing) => this.ip(ETH_P_IPV6, IPV6_BYTES, found, missing))
      case 'tcp':
      case 'udp': {
        const [ip] = args.map((arg) => (arg.kind === 'option' ? this.flow.read(arg.of) : arg))
        if (args.length !== 1 || ip?.kind !== 'view' || (ip.view !== 'ipv4' && ip.view !== 'ipv6')) {
          throw this.flow.report.error(
            span,
            'type',
            `ctx.${name}() takes an IP header`,
            `const ip = ctx.ipv4(); if (ip) { const ${name} = ctx.${name}(ip) }`,
          )
        }
        return this.view(name, (found, missing) => this.transport(name, ip, found, missing))
      }
      default:
        return undefined
    }
  }

  /** A header that may be missing: `find` ends each of its ways with `found` or by going to `missing`. */
  private view(view: ViewName, find: (found: (base: Node) => void, missing: Block) => void): Operand {
    const { flow } = this
    const [missing, done] = [flow.newBlock(), flow.newBlock()]
    const here: Span = { at: flow.at, end: flow.at + 1 }
    const of: Cell = { kind: 'view', view, variable: flow.builder.variable(view) }
    const cell = { kind: 'option', present: flow.builder.variable(`${view} present`), of } as const
    find((base) => {
      flow.write(cell, { kind: 'view', view, base }, here)
      flow.jump(done)
    }, missing)
    flow.enter(missing)
    flow.write(cell, { kind: 'undefined' }, here)
    flow.jump(done)
    flow.enter(done)
    return cell
  }

  /** Goes on only if `n` bytes are there. */
  private step(pointer: Node, n: number, missing: Block): void {
    const next = this.flow.newBlock()
    this.bounds(pointer, n, next, missing)
    this.flow.enter(next)
  }

  private ifTag(proto: Node, yes: Block, no: Block): void {
    const { flow } = this
    const other = flow.newBlock()
    flow.branch('eq', proto, flow.const(ETH_P_8021Q), yes, other)
    flow.enter(other)
    flow.branch('eq', proto, flow.const(ETH_P_8021AD), yes, no)
  }

  private vlan(found: (base: Node) => void, missing: Block): void {
    const { flow } = this
    this.step(this.data, ETHERNET_BYTES, missing)
    const tagged = flow.newBlock()
    this.ifTag(this.host(flow.load(2, this.data, 12, true), 2), tagged, missing)
    flow.enter(tagged)
    this.step(this.data, ETHERNET_BYTES + VLAN_BYTES, missing)
    found(flow.plus(this.data, ETHERNET_BYTES))
  }

  /** The IP header of EtherType `wanted`, behind none, one or two tags. */
  private ip(wanted: number, bytes: number, found: (base: Node) => void, missing: Block): void {
    const { flow } = this
    const pointer = flow.builder.variable('l3')
    const ready = flow.newBlock()
    this.step(this.data, ETHERNET_BYTES, missing)
    for (let tags = 0; tags <= 2; tags++) {
      const at = ETHERNET_BYTES + tags * VLAN_BYTES
      const proto = this.host(flow.load(2, this.data, at - 2, true), 2)
      const [here, other, tagged] = [flow.newBlock(), flow.newBlock(), flow.newBlock()]
      flow.branch('eq', proto, flow.const(wanted), here, tags < 2 ? other : missing)
      flow.enter(here)
      flow.set(pointer, flow.plus(this.data, at))
      flow.jump(ready)
      if (tags === 2) break
      flow.enter(other)
      this.ifTag(proto, tagged, missing)
      flow.enter(tagged)
      this.step(this.data, at + VLAN_BYTES, missing)
    }
    flow.enter(ready)
    const base = flow.get(pointer)
    this.step(base, bytes, missing)
    found(base)
  }

  private transport(name: 'tcp' | 'udp', ip: ViewOperand, found: (base: Node) => void, missing: Block): void {
    const { flow } = this
    const wanted = flow.const(name === 'tcp' ? IPPROTO_TCP : IPPROTO_UDP)
    const bytes = name === 'tcp' ? TCP_BYTES : UDP_BYTES
    const next = flow.newBlock()
    flow.branch('eq', flow.load(1, ip.base, ip.view === 'ipv4' ? 9 : 6, true), wanted, next, missing)
    flow.enter(next)
    let pointer: Node
    if (ip.view === 'ipv6') pointer = flow.plus(ip.base, IPV6_BYTES)
    else {
      // A later fragment has no header; fewer than five words of IP header are no header at all.
      const [first, whole] = [flow.newBlock(), flow.newBlock()]
      const fragment = flow.bin('and', this.host(flow.load(2, ip.base, 6, true), 2), flow.const(0x1fff))
      flow.branch('eq', fragment, flow.const(0), first, missing)
      flow.enter(first)
      const words = flow.bin('and', flow.load(1, ip.base, 0, true), flow.const(15))
      const length = flow.bin('lsh', words, flow.const(2))
      flow.branch('ge', length, flow.const(IPV4_BYTES), whole, missing)
      flow.enter(whole)
      pointer = flow.bin('add', ip.base, length)
    }
    this.step(pointer, bytes, missing)
    found(pointer)
  }
}
