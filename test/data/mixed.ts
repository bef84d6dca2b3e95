// The bundled capture, examples/data/mixed.pcap: some 500 packets of a small network as they might have passed, with
// everything in them that a packet program has to get right (tags, options, fragments, cut headers). Made
// by this file and nothing else, always the same bytes: `node test/data/mixed.ts` writes it.

import { writeFileSync } from 'node:fs'
import { type Packet, writePcap } from '../../src/capture/index.ts'
import * as f from './frames.ts'

const ROUTER = '192.0.2.1'
const WEB = '198.51.100.10'
const PLAIN = '198.51.100.20'
const DNS = '203.0.113.53'
const DATABASE = '192.0.2.40'
const CACHE = '192.0.2.41'
const WEB6 = '2001:db8:1::10'
const DNS6 = '2001:db8:1::53'
const client = (n: number): string => `192.0.2.${100 + n}`
const client6 = (n: number): string => `2001:db8::${(100 + n).toString(16)}`

/** Numbers from 0 up to, not including, `below`, the same ones every time (a linear congruential generator). */
function numbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

type Frame = Uint8Array<ArrayBuffer>
type Next = (below: number) => number
type Wrap = (ends: f.Ends, protocol: number, payload: Uint8Array, id: number) => Frame

const wrapped =
  (tags: readonly f.Tag[] = []): Wrap =>
  (ends, protocol, payload, id) =>
    ends.from.includes(':')
      ? f.ethernet({ tags }, f.ETHERTYPE.ipv6, f.ipv6({ ...ends, next: protocol }, payload))
      : f.ethernet({ tags }, f.ETHERTYPE.ipv4, f.ipv4({ ...ends, protocol, id }, payload))

const text = (next: Next, length: number): Uint8Array => Uint8Array.from({ length }, () => 32 + next(95))

interface Conversation {
  readonly client: string
  readonly server: string
  readonly source: number
  readonly port: number
  /** Bytes of each message, client and server in turn. */
  readonly messages: readonly number[]
  readonly tags?: readonly f.Tag[]
}

/** A TCP conversation from the first SYN to the last FIN. */
function conversation(next: Next, { client, server, source, port, messages, tags }: Conversation): Frame[] {
  const wrap = wrapped(tags)
  const sequence = { client: next(2 ** 31), server: next(2 ** 31) }
  const send = (who: 'client' | 'server', flags: number, length: number): Frame => {
    const [from, to] = who === 'client' ? [client, server] : [server, client]
    const [mine, theirs] = who === 'client' ? [source, port] : [port, source]
    const acknowledge = flags & f.TCP.ack ? sequence[who === 'client' ? 'server' : 'client'] : 0
    const segment = f.tcp(
      { from, to, source: mine, dest: theirs, sequence: sequence[who], acknowledge, flags },
      text(next, length),
    )
    sequence[who] += length + (flags & (f.TCP.syn | f.TCP.fin) ? 1 : 0)
    return wrap({ from, to }, f.PROTOCOL.tcp, segment, next(65536))
  }
  const { syn, ack, psh, fin } = f.TCP
  const out = [send('client', syn, 0), send('server', syn | ack, 0), send('client', ack, 0)]
  messages.forEach((length, i) => {
    out.push(send(i % 2 ? 'server' : 'client', psh | ack, length))
    if (length > 100) out.push(send(i % 2 ? 'client' : 'server', ack, 0))
  })
  out.push(send('client', fin | ack, 0), send('server', fin | ack, 0), send('client', ack, 0))
  return out
}

/** A datagram and its answer. */
function exchange(
  next: Next,
  ends: f.Ends,
  source: number,
  dest: number,
  payloads: readonly [Uint8Array, Uint8Array],
  tags?: readonly f.Tag[],
): Frame[] {
  const wrap = wrapped(tags)
  const back = { from: ends.to, to: ends.from }
  return [
    wrap(ends, f.PROTOCOL.udp, f.udp({ ...ends, source, dest }, payloads[0]), next(65536)),
    wrap(back, f.PROTOCOL.udp, f.udp({ ...back, source: dest, dest: source }, payloads[1]), next(65536)),
  ]
}

const NAMES = [
  'www.example.com',
  'api.example.com',
  'mail.example.org',
  'static.example.net',
  'db.example.com',
  'updates.example.org',
]

/** A question for a name's address, and its answer. */
function resolve(next: Next, ends: f.Ends, n: number): Frame[] {
  const [id, name] = [next(65536), NAMES[n % NAMES.length]]
  const [type, address] = n % 3 === 2 ? ([28, WEB6] as const) : ([1, WEB] as const)
  return exchange(next, ends, 32768 + next(28000), 53, [
    f.dnsQuery(id, name, type),
    f.dnsAnswer(id, name, type, address),
  ])
}

function ping(next: Next, ends: f.Ends, sequence: number): Frame[] {
  const wrap = wrapped()
  const data = text(next, 56)
  const back = { from: ends.to, to: ends.from }
  if (ends.from.includes(':')) {
    const body = f.bytes(f.be16(0x1234), f.be16(sequence), data)
    return [
      wrap(ends, f.PROTOCOL.icmp6, f.icmp6(ends, 128, body), 0),
      wrap(back, f.PROTOCOL.icmp6, f.icmp6(back, 129, body), 0),
    ]
  }
  return [
    wrap(ends, f.PROTOCOL.icmp, f.icmpEcho(8, sequence, data), sequence),
    wrap(back, f.PROTOCOL.icmp, f.icmpEcho(0, sequence, data), sequence),
  ]
}

const VLAN20 = [{ type: f.ETHERTYPE.vlan, id: 20 }]
const QINQ = [
  { type: f.ETHERTYPE.qinq, id: 100 },
  { type: f.ETHERTYPE.vlan, id: 30 },
]
/** Two 802.1Q tags, as older equipment stacks them. */
const STACKED = [
  { type: f.ETHERTYPE.vlan, id: 200 },
  { type: f.ETHERTYPE.vlan, id: 40 },
]

/** Conversations, each a list of frames in order. */
function flows(next: Next): Frame[][] {
  const port = (): number => 49152 + next(16000)
  const tcp = (n: number, server: string, to: number, messages: number[], tags?: readonly f.Tag[]): Frame[] =>
    conversation(next, {
      client: server.includes(':') ? client6(n) : client(n),
      server,
      source: port(),
      port: to,
      messages,
      tags,
    })
  const udp = (n: number, server: string, to: number, sizes: [number, number], tags?: readonly f.Tag[]): Frame[] =>
    exchange(
      next,
      { from: server.includes(':') ? client6(n) : client(n), to: server },
      port(),
      to,
      [text(next, sizes[0]), text(next, sizes[1])],
      tags,
    )
  return [
    ...[0, 1, 2, 3, 4, 5, 6, 7, 9].map((n) => tcp(n, WEB, 443, [260, 420, 90, 380, 120, 440, 60, 300])),
    ...[0, 2, 4].map((n) => tcp(n, WEB6, 443, [240, 410, 80, 330])),
    ...[1, 3].map((n) => tcp(n, PLAIN, 80, [110, 360])),
    tcp(6, PLAIN, 22, [41, 41, 48, 64, 36, 52, 36, 36, 44, 60, 36, 36]),
    ...[7, 8].map((n) => tcp(n, DATABASE, 5432, [70, 130, 95, 240, 60, 180, 55, 90], VLAN20)),
    ...[7, 8, 9].map((n) => tcp(n, CACHE, 6379, [30, 5, 34, 48, 31, 5, 28, 90], QINQ)),
    tcp(9, CACHE, 6379, [24, 5, 26, 70], STACKED),
    ...Array.from({ length: 24 }, (_, n) => resolve(next, { from: client(n % 10), to: DNS }, n)),
    ...Array.from({ length: 10 }, (_, n) => resolve(next, { from: client6(n % 5), to: DNS6 }, n)),
    ...[1, 5].map((n) => [...udp(n, WEB, 443, [300, 320]), ...udp(n, WEB, 443, [60, 180])]),
    ...[0, 4, 8].map((n) => udp(n, ROUTER, 123, [48, 48])),
    udp(3, DATABASE, 514, [120, 0], VLAN20),
    ...Array.from({ length: 8 }, (_, n) => ping(next, { from: client(n % 4), to: ROUTER }, n)),
    ...Array.from({ length: 4 }, (_, n) => ping(next, { from: client6(n), to: WEB6 }, n)),
    ...Array.from({ length: 6 }, (_, n) => whoHas(client(n), n)),
    ...Array.from({ length: 4 }, (_, n) => neighbour(n)),
    fragments(next),
    ...odd(next).map((frame) => [frame]),
  ]
}

const whoHas = (from: string, n: number): Frame[] => [
  f.padded(
    f.bytes(
      [0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
      f.mac(16 + n),
      f.be16(f.ETHERTYPE.arp),
      f.arp(1, from, ROUTER, 16 + n),
    ),
  ),
  f.padded(f.ethernet({ to: 16 + n, from: 1 }, f.ETHERTYPE.arp, f.arp(2, ROUTER, from, 1, 16 + n))),
]

/** A neighbour solicitation and its answer. */
function neighbour(n: number): Frame[] {
  const ends = { from: client6(n), to: WEB6 }
  const back = { from: WEB6, to: client6(n) }
  const wrap = wrapped()
  const ask = f.icmp6(ends, 135, f.bytes(0, 0, 0, 0, f.ip6(WEB6), 1, 1, f.mac(1)))
  const answer = f.icmp6(back, 136, f.bytes(0x60, 0, 0, 0, f.ip6(WEB6), 2, 1, f.mac(2)))
  return [wrap(ends, f.PROTOCOL.icmp6, ask, 0), wrap(back, f.PROTOCOL.icmp6, answer, 0)]
}

/** A datagram in three fragments: only the first has ports. */
function fragments(next: Next): Frame[] {
  const ends = { from: client(2), to: DNS }
  const datagram = f.udp({ ...ends, source: 53001, dest: 53 }, text(next, 600))
  const parts = [0, 240, 480].map((offset) => ({ offset, data: datagram.subarray(offset, offset + 240) }))
  return parts.map(({ offset, data }, i) =>
    f.ethernet(
      {},
      f.ETHERTYPE.ipv4,
      f.ipv4({ ...ends, protocol: f.PROTOCOL.udp, id: 777, fragmentOffset: offset, moreFragments: i < 2 }, data),
    ),
  )
}

/** What is rare or broken. */
function odd(next: Next): Frame[] {
  const ends = { from: client(1), to: ROUTER }
  const wrap = wrapped()
  const whole = wrap(
    ends,
    f.PROTOCOL.tcp,
    f.tcp({ ...ends, source: 50000, dest: 443, sequence: 1, acknowledge: 0, flags: f.TCP.syn }, text(next, 0)),
    1,
  )
  const inner = f.ipv4({ from: client(3), to: WEB, protocol: f.PROTOCOL.icmp }, f.icmpEcho(8, 1, text(next, 24)))
  const routed = (sequence: number): Frame =>
    f.ethernet(
      {},
      f.ETHERTYPE.ipv4,
      f.ipv4(
        { ...ends, protocol: f.PROTOCOL.icmp, options: [7, 7, 4, 0, 0, 0, 0, 0] },
        f.icmpEcho(8, sequence, text(next, 32)),
      ),
    )
  const optioned = f.ipv4(
    { ...ends, protocol: f.PROTOCOL.udp, options: [1, 1, 1, 0] },
    f.udp({ ...ends, source: 53002, dest: 123 }, text(next, 48)),
  )
  const hopByHop = f.bytes(
    f.PROTOCOL.udp,
    0,
    1,
    4,
    0,
    0,
    0,
    0,
    f.udp({ from: client6(1), to: WEB6, source: 53003, dest: 443 }, text(next, 20)),
  )
  const badLength = f.bytes(whole)
  badLength[14] = 0x42
  return [
    ...[1, 2, 3].map((n) =>
      wrap({ from: ROUTER, to: PLAIN }, f.PROTOCOL.gre, f.bytes(f.be16(0), f.be16(0x0800), inner), n),
    ),
    ...[1, 2].map((n) =>
      wrap({ from: ROUTER, to: PLAIN }, f.PROTOCOL.esp, f.bytes(f.be32(0x1001), f.be32(n), text(next, 64)), n),
    ),
    wrap(
      { from: client(4), to: PLAIN },
      f.PROTOCOL.sctp,
      f.bytes(f.be16(36412), f.be16(36412), f.be32(0), f.be32(0), text(next, 20)),
      9,
    ),
    routed(1),
    routed(2),
    f.ethernet({}, f.ETHERTYPE.ipv4, optioned),
    f.ethernet({}, f.ETHERTYPE.ipv6, f.ipv6({ from: client6(1), to: WEB6, next: 0 }, hopByHop)),
    f.ethernet({ tags: VLAN20 }, f.ETHERTYPE.arp, f.arp(1, DATABASE, ROUTER)),
    f.ethernet({}, f.ETHERTYPE.lldp, f.bytes(0x02, 0x07, 0x04, f.mac(1), 0, 0)),
    // An 802.3 frame: the type field is a length.
    f.ethernet({}, 38, f.bytes(0x42, 0x42, 0x03, new Uint8Array(35))),
    // Cut: nothing behind the Ethernet header, half a VLAN tag, half an IPv4 header, no TCP header, half of one,
    // half an IPv6 header, a header length below five words, and one that is longer than the packet.
    whole.slice(0, 14),
    f.ethernet({ tags: VLAN20 }, f.ETHERTYPE.ipv4, new Uint8Array(0)).slice(0, 16),
    whole.slice(0, 24),
    whole.slice(0, 34),
    whole.slice(0, 44),
    f
      .ethernet({}, f.ETHERTYPE.ipv6, f.ipv6({ from: client6(0), to: WEB6, next: f.PROTOCOL.tcp }, new Uint8Array(0)))
      .slice(0, 40),
    badLength,
    f.ethernet({}, f.ETHERTYPE.ipv4, f.bytes(0x4f, whole.subarray(15))),
  ]
}

/** Frames of all flows, each flow in its own order, shuffled into one another. */
function interleaved(flows: readonly Frame[][], next: Next): Frame[] {
  const queues = flows.map((frames) => [...frames])
  const out: Frame[] = []
  while (queues.length > 0) {
    // Of the first dozen that are under way, so that conversations begin and end over the whole capture.
    const at = next(Math.min(12, queues.length))
    out.push(queues[at].shift()!)
    if (queues[at].length === 0) queues.splice(at, 1)
  }
  return out
}

function shuffled<T>(items: readonly T[], next: Next): T[] {
  const out = [...items]
  for (let i = out.length - 1; i > 0; i--) {
    const j = next(i + 1)
    ;[out[i], out[j]] = [out[j], out[i]]
  }
  return out
}

/** The packets of the bundled capture. */
export function mixedPackets(): Packet[] {
  const next = numbers(20260101)
  const frames = interleaved(shuffled(flows(next), next), next)
  let timestamp = 1_767_225_600_000_000_000n
  return frames.map((data) => {
    timestamp += BigInt(1 + next(40_000)) * 1000n
    return { data, originalLength: data.length, timestamp, linkType: 1 }
  })
}

/** The bundled capture, as it lies in examples/data. */
export const MIXED: URL = new URL('../../examples/data/mixed.pcap', import.meta.url)

if (process.argv[1] && import.meta.url.endsWith(process.argv[1].replaceAll('\\', '/'))) {
  writeFileSync(MIXED, writePcap(mixedPackets()))
}
