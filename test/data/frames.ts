// Frames: Ethernet packets put together layer by layer, for tests and for the bundled capture. Checksums are
// right, so that other tools read the packets as ours do. Addresses are those that are set aside for
// documentation: 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24 (RFC 5737), 2001:db8::/32 (RFC 3849) and
// 00:00:5e:00:53:xx (RFC 7042).

export const ETHERTYPE = { ipv4: 0x0800, arp: 0x0806, vlan: 0x8100, ipv6: 0x86dd, qinq: 0x88a8, lldp: 0x88cc } as const
export const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, gre: 47, esp: 50, icmp6: 58, sctp: 132 } as const
export const TCP = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 } as const

export const bytes = (...parts: (number | readonly number[] | Uint8Array)[]): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(parts.flatMap((part) => (typeof part === 'number' ? [part] : [...part])))
export const be16 = (value: number): number[] => [(value >>> 8) & 0xff, value & 0xff]
export const be32 = (value: number): number[] => [...be16(value >>> 16), ...be16(value)]

export const mac = (last: number): number[] => [0x00, 0x00, 0x5e, 0x00, 0x53, last]
export const ip4 = (text: string): number[] => text.split('.').map(Number)
export const ip6 = (text: string): number[] => {
  const [head, tail = ''] = text.split('::')
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16))
  const [front, back] = [groups(head), groups(tail)]
  return [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back].flatMap(be16)
}

/** The Internet checksum (RFC 1071) of bytes in network order. */
export function checksum(data: Uint8Array): number {
  let sum = 0
  for (let i = 0; i < data.length; i++) sum += i & 1 ? data[i] : data[i] << 8
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

export interface Tag {
  readonly type: number
  readonly id: number
}

/** An Ethernet frame; `tags` from the outermost inwards. */
export const ethernet = (
  { to = 2, from = 1, tags = [] }: { to?: number; from?: number; tags?: readonly Tag[] },
  type: number,
  payload: Uint8Array,
): Uint8Array<ArrayBuffer> =>
  bytes(
    mac(to),
    mac(from),
    tags.flatMap((tag) => [...be16(tag.type), ...be16(tag.id)]),
    be16(type),
    payload,
  )

export interface Ipv4Init {
  readonly from: string
  readonly to: string
  readonly protocol: number
  readonly id?: number
  /** Whole 32-bit words. */
  readonly options?: readonly number[]
  /** Of the payload, in bytes: a multiple of 8. */
  readonly fragmentOffset?: number
  readonly moreFragments?: boolean
}

export function ipv4(init: Ipv4Init, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const { from, to, protocol, id = 0, options = [], fragmentOffset = 0, moreFragments = false } = init
  const words = 5 + options.length / 4
  const flags = (moreFragments ? 0x2000 : fragmentOffset > 0 ? 0 : 0x4000) | (fragmentOffset / 8)
  const header = bytes(
    0x40 | words,
    0,
    be16(words * 4 + payload.length),
    be16(id),
    be16(flags),
    64,
    protocol,
    0,
    0,
    ip4(from),
    ip4(to),
    options,
  )
  header.set(be16(checksum(header)), 10)
  return bytes(header, payload)
}

export const ipv6 = (init: { from: string; to: string; next: number }, payload: Uint8Array): Uint8Array<ArrayBuffer> =>
  bytes(0x60, 0, 0, 0, be16(payload.length), init.next, 64, ip6(init.from), ip6(init.to), payload)

/** The addresses of the layer below, for the checksum over the pseudo-header. */
export interface Ends {
  readonly from: string
  readonly to: string
}

function pseudo({ from, to }: Ends, protocol: number, length: number): Uint8Array {
  if (from.includes(':')) return bytes(ip6(from), ip6(to), be32(length), 0, 0, 0, protocol)
  return bytes(ip4(from), ip4(to), 0, protocol, be16(length))
}

/** `segment` with the checksum over it and its pseudo-header at `offset`. */
function summed(
  ends: Ends,
  protocol: number,
  segment: Uint8Array<ArrayBuffer>,
  offset: number,
): Uint8Array<ArrayBuffer> {
  segment.set(be16(checksum(bytes(pseudo(ends, protocol, segment.length), segment))), offset)
  return segment
}

export interface TcpInit extends Ends {
  readonly source: number
  readonly dest: number
  readonly sequence: number
  readonly acknowledge: number
  readonly flags: number
}

export const tcp = (init: TcpInit, payload: Uint8Array): Uint8Array<ArrayBuffer> => {
  const ports = [...be16(init.source), ...be16(init.dest)]
  const header = bytes(ports, be32(init.sequence), be32(init.acknowledge), 0x50, init.flags, be16(0xfaf0), 0, 0, 0, 0)
  return summed(init, PROTOCOL.tcp, bytes(header, payload), 16)
}

export const udp = (init: Ends & { source: number; dest: number }, payload: Uint8Array): Uint8Array<ArrayBuffer> =>
  summed(init, PROTOCOL.udp, bytes(be16(init.source), be16(init.dest), be16(8 + payload.length), 0, 0, payload), 6)

/** An echo request (8) or reply (0). */
export function icmpEcho(type: 0 | 8, sequence: number, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const message = bytes(type, 0, 0, 0, be16(0x1234), be16(sequence), payload)
  message.set(be16(checksum(message)), 2)
  return message
}

export const icmp6 = (ends: Ends, type: number, body: Uint8Array): Uint8Array<ArrayBuffer> =>
  summed(ends, PROTOCOL.icmp6, bytes(type, 0, 0, 0, body), 2)

/** A request (1) or reply (2) for IPv4 over Ethernet. */
export const arp = (operation: 1 | 2, from: string, to: string, sender = 1, target = 0): Uint8Array<ArrayBuffer> =>
  bytes(
    be16(1),
    be16(0x0800),
    6,
    4,
    be16(operation),
    mac(sender),
    ip4(from),
    target ? mac(target) : [0, 0, 0, 0, 0, 0],
    ip4(to),
  )

/** `frame` with zeros up to the 60 bytes that Ethernet asks for. */
export const padded = (frame: Uint8Array): Uint8Array<ArrayBuffer> =>
  bytes(frame, new Uint8Array(Math.max(0, 60 - frame.length)))

const labels = (name: string): number[] => [
  ...name.split('.').flatMap((label) => [label.length, ...Buffer.from(label)]),
  0,
]
/** A (1) and AAAA (28) questions. */
export type RecordType = 1 | 28

/** A DNS question (RFC 1035). */
export const dnsQuery = (id: number, name: string, type: RecordType): Uint8Array<ArrayBuffer> =>
  bytes(be16(id), be16(0x0100), be16(1), 0, 0, 0, 0, 0, 0, labels(name), be16(type), be16(1))

/** Its answer, with one address, and the name as a pointer to the question's. */
export const dnsAnswer = (id: number, name: string, type: RecordType, address: string): Uint8Array<ArrayBuffer> => {
  const data = type === 1 ? ip4(address) : ip6(address)
  const question = [...labels(name), ...be16(type), ...be16(1)]
  const answer = [0xc0, 12, ...be16(type), ...be16(1), ...be32(300), ...be16(data.length), ...data]
  return bytes(be16(id), be16(0x8180), be16(1), be16(1), 0, 0, 0, 0, question, answer)
}
