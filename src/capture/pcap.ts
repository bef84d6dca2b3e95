// The pcap format (draft-ietf-opsawg-pcap, "PCAP Capture File Format"): a 24-byte header whose magic number says
// the byte order and whether times are in micro- or nanoseconds, then records of a 16-byte header and data.

import { ETHERNET, type Packet } from './packet.ts'
import type { Reader } from './reader.ts'

/** Magic numbers as the writer's own byte order shows them, and how many nanoseconds a unit of time has. */
export const PCAP_MAGIC: ReadonlyMap<number, bigint> = new Map([
  [0xa1b2c3d4, 1000n],
  [0xa1b23c4d, 1n],
])
const HEADER = 24
const RECORD = 16
/** The upper bits of the link type field say the length of a frame check sequence and are no part of it. */
const LINKTYPE_MASK = 0x0fff_ffff
/** No packet is longer: the largest snapshot length that libpcap knows (MAXIMUM_SNAPLEN for most link types is less). */
export const MAX_PACKET = 128 * 1024 * 1024

/** The link type of a pcap file. Throws a Diagnostic on a cut header. */
export function pcapLinkType(reader: Reader): number {
  reader.need(0, HEADER, 'the file header')
  return reader.u32(20) & LINKTYPE_MASK
}

/** `unit`: nanoseconds of a unit of time. Throws a Diagnostic where the file is cut or damaged. */
export function* pcapPackets(reader: Reader, unit: bigint): Generator<Packet> {
  const linkType = pcapLinkType(reader)
  for (let at = HEADER; at < reader.length; ) {
    reader.need(at, RECORD, 'a packet header')
    const size = reader.u32(at + 8)
    if (size > MAX_PACKET) throw reader.damaged(at, `a packet of ${size} bytes`)
    reader.need(at + RECORD, size, 'a packet')
    reader.packets++
    yield {
      data: reader.take(at + RECORD, size),
      originalLength: reader.u32(at + 12),
      timestamp: BigInt(reader.u32(at)) * 1_000_000_000n + BigInt(reader.u32(at + 4)) * unit,
      linkType,
    }
    at += RECORD + size
  }
}

export interface WritePcapOptions {
  /** Times in nanoseconds; without it in microseconds, cut off. */
  readonly nanoseconds?: boolean
  readonly bigEndian?: boolean
  /** LINKTYPE_*; Ethernet if absent. */
  readonly linkType?: number
}

/** A pcap file with these packets; their own link types do not count. */
export function writePcap(
  packets: Iterable<Omit<Packet, 'linkType'>>,
  { nanoseconds = false, bigEndian = false, linkType = ETHERNET }: WritePcapOptions = {},
): Uint8Array<ArrayBuffer> {
  const all = [...packets]
  const bytes = new Uint8Array(all.reduce((size, { data }) => size + RECORD + data.length, HEADER))
  const view = new DataView(bytes.buffer)
  const put = (at: number, value: number): void => view.setUint32(at, value, !bigEndian)
  const [unit, magic] = nanoseconds ? [1n, 0xa1b23c4d] : [1000n, 0xa1b2c3d4]
  put(0, magic)
  view.setUint16(4, 2, !bigEndian)
  view.setUint16(6, 4, !bigEndian)
  put(16, 0x40000)
  put(20, linkType)
  let at = HEADER
  for (const { data, originalLength, timestamp } of all) {
    put(at, Number(timestamp / 1_000_000_000n))
    put(at + 4, Number((timestamp % 1_000_000_000n) / unit))
    put(at + 8, data.length)
    put(at + 12, originalLength)
    bytes.set(data, at + RECORD)
    at += RECORD + data.length
  }
  return bytes
}
