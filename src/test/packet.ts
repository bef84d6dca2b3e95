// Packets for probe tests, put together from the fields that matter to a test; the rest has usual values, and
// lengths and checksums are right. Field names are those of the kernel's headers, as in probes.

import { Diagnostic } from '../diag/diagnostic.ts'

/** Bytes, or text in UTF-8. */
export type Payload = Uint8Array | string

export interface EthernetFields {
  /** `00:00:5e:00:53:01`. */
  readonly source?: string
  readonly dest?: string
  /** VLAN ids, the outermost first. */
  readonly vlans?: readonly number[]
}

export interface IpFields extends EthernetFieldsBelow {
  /** IPv4 or IPv6, both of the same kind; documentation addresses if absent. */
  readonly saddr?: string
  readonly daddr?: string
  readonly ttl?: number
  readonly payload?: Payload
}

/** Below IP, where `source` and `dest` are ports, Ethernet addresses are `ethernet`'s. */
interface EthernetFieldsBelow {
  readonly ethernet?: Omit<EthernetFields, 'vlans'>
  readonly vlans?: readonly number[]
}

export interface UdpFields extends IpFields {
  readonly source?: number
  readonly dest?: number
}

export interface TcpFields extends UdpFields {
  readonly seq?: number
  readonly ack_seq?: number
  /** Set flags; `['syn']` if absent. */
  readonly flags?: readonly (keyof typeof TCP_FLAGS)[]
}

const TCP_FLAGS = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32 } as const
const ETHERTYPE = { ipv4: 0x0800, vlan: 0x8100, ipv6: 0x86dd, qinq: 0x88a8 } as const
const PROTOCOL = { tcp: 6, udp: 17 } as const
/** Addresses that are set aside for documentation (RFC 5737, RFC 7042). */
const SADDR = '192.0.2.1'
const DADDR = '198.51.100.1'
const SOURCE = '00:00:5e:00:53:01'
const DEST = '00:00:5e:00:53:02'

export const packet = {
  /** An Ethernet frame around a payload, of any ethertype. */
  ethernet: ({ source = SOURCE, dest = DEST, vlans = [] }: EthernetFields, type: number, payload: Payload) => {
    const tags = vlans.flatMap((id, i) => [
      ...be16(i < vlans.length - 1 ? ETHERTYPE.qinq : ETHERTYPE.vlan),
      ...be16(id & 0xfff),
    ])
    return join(mac(dest), mac(source), tags, be16(type), bytesOf(payload))
  },

  /** IPv4 or IPv6, by its addresses, of any protocol. */
  ip: (fields: IpFields & { readonly protocol: number }) => {
    const { saddr = SADDR, daddr = DADDR, protocol, ttl = 64, payload = '', vlans, ethernet } = fields
    const body = bytesOf(payload)
    const [from, to] = ends(saddr, daddr)
    if (from.length === 16) {
      const header = join([0x60, 0, 0, 0], be16(body.length), [protocol, ttl], from, to)
      return packet.ethernet({ ...ethernet, vlans }, ETHERTYPE.ipv6, join(header, body))
    }
    const header = join([0x45, 0], be16(20 + body.length), [0, 0, 0x40, 0, ttl, protocol, 0, 0], from, to)
    header.set(be16(checksum(header)), 10)
    return packet.ethernet({ ...ethernet, vlans }, ETHERTYPE.ipv4, join(header, body))
  },

  udp: (fields: UdpFields = {}) => {
    const { source = 40000, dest = 53, payload = '' } = fields
    const body = bytesOf(payload)
    const segment = join(be16(source), be16(dest), be16(8 + body.length), [0, 0], body)
    return packet.ip({ ...fields, protocol: PROTOCOL.udp, payload: summed(fields, PROTOCOL.udp, segment, 6) })
  },

  tcp: (fields: TcpFields = {}) => {
    const { source = 40000, dest = 80, seq = 0, ack_seq = 0, flags = ['syn'], payload = '' } = fields
    const bits = flags.reduce((sum, name) => sum | TCP_FLAGS[name], 0)
    const head = join(be16(source), be16(dest), be32(seq), be32(ack_seq), [0x50, bits], be16(64240), [0, 0, 0, 0])
    const segment = summed(fields, PROTOCOL.tcp, join(head, bytesOf(payload)), 16)
    return packet.ip({ ...fields, protocol: PROTOCOL.tcp, payload: segment })
  },

  /** The bytes that hexadecimal digits stand for; blanks and colons may stand between them. */
  hex: (text: string): Uint8Array => {
    const digits = text.replaceAll(/[\s:]/g, '')
    if (digits.length % 2 === 0 && /^[0-9a-f]*$/i.test(digits)) return bytesFrom(digits)
    throw bad(`'${text}' is not bytes in hexadecimal digits`, "two digits a byte: packet.hex('00 00 5e 00 53 01')")
  },
} as const

const bytesOf = (payload: Payload): Uint8Array =>
  typeof payload === 'string' ? new TextEncoder().encode(payload) : payload

const bytesFrom = (digits: string): Uint8Array =>
  Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))

const join = (...parts: (readonly number[] | Uint8Array)[]): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(parts.flatMap((part) => [...part]))

const be16 = (value: number): number[] => [(value >>> 8) & 0xff, value & 0xff]
const be32 = (value: number): number[] => [...be16(value >>> 16), ...be16(value)]

function mac(text: string): Uint8Array {
  if (/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i.test(text)) return bytesFrom(text.replaceAll(':', ''))
  throw bad(`'${text}' is no Ethernet address`, 'write six bytes: 00:00:5e:00:53:01')
}

function ends(saddr: string, daddr: string): [Uint8Array, Uint8Array] {
  const both: [Uint8Array, Uint8Array] = [address(saddr), address(daddr)]
  if (both[0].length === both[1].length) return both
  throw bad(`${saddr} and ${daddr} are of two kinds`, 'give both saddr and daddr, either as IPv4 or as IPv6')
}

function address(text: string): Uint8Array {
  const bytes = text.includes(':') ? ipv6(text) : ipv4(text)
  if (bytes) return Uint8Array.from(bytes)
  throw bad(`'${text}' is no IP address`, 'write it as 192.0.2.1 or 2001:db8::1')
}

function ipv4(text: string): number[] | undefined {
  const parts = text.split('.')
  const fine = parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)
  return fine ? parts.map(Number) : undefined
}

function ipv6(text: string): number[] | undefined {
  const halves = text.split('::')
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')))
  const given = groups.flat()
  const gap = 8 - given.length
  const fits = halves.length === 2 ? gap > 0 : halves.length === 1 && gap === 0
  if (!fits || !given.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined
  const [head, tail = []] = groups
  return [...head, ...new Array<string>(gap).fill('0'), ...tail].flatMap((group) => be16(Number.parseInt(group, 16)))
}

/** `segment` with the checksum over it and its pseudo-header at `offset` (RFC 768, RFC 9293). */
function summed(
  { saddr = SADDR, daddr = DADDR }: IpFields,
  protocol: number,
  segment: Uint8Array<ArrayBuffer>,
  offset: number,
): Uint8Array {
  const [from, to] = ends(saddr, daddr)
  const sum = checksum(join(from, to, be32(protocol), be32(segment.length), segment))
  // No checksum at all is written as 0 in UDP, so that a sum of 0 is its other zero.
  segment.set(be16(sum === 0 && protocol === PROTOCOL.udp ? 0xffff : sum), offset)
  return segment
}

/** The Internet checksum (RFC 1071). */
function checksum(data: Uint8Array): number {
  let sum = 0
  for (let i = 0; i < data.length; i++) sum += i & 1 ? data[i] : data[i] << 8
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

const bad = (message: string, help: string): Diagnostic => new Diagnostic({ code: 'test/packet', message, help })
