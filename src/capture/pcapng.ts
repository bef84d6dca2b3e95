// The pcapng format (draft-ietf-opsawg-pcapng, "PCAP Now Generic"): blocks of a type, a length, a body and the
// length again. A section header sets the byte order and forgets the interfaces before it; packets are in
// enhanced, simple or obsolete packet blocks; what is unknown is skipped.

import { ETHERNET, type Packet } from './packet.ts'
import { MAX_PACKET } from './pcap.ts'
import type { Reader } from './reader.ts'

const BLOCK = {
  section: 0x0a0d0d0a,
  interface: 1,
  /** Obsolete since 2011, still in old files. */
  packet: 2,
  simple: 3,
  enhanced: 6,
} as const
/** The section header block's type reads the same in both byte orders. */
export const PCAPNG_MAGIC: number = BLOCK.section
const BYTE_ORDER = 0x1a2b3c4d
/** Type, total length, and the total length again at the end. */
const FRAME = 12
const OPTION = { end: 0, tsresol: 9, tsoffset: 14 } as const
const SECOND = 1_000_000_000n

interface Interface {
  readonly linkType: number
  /** Bytes of a packet that were kept; 0 is all. */
  readonly snapLength: number
  /** Units of time in a second. */
  readonly perSecond: bigint
  /** Seconds to add. */
  readonly offset: bigint
}

interface Block {
  readonly type: number
  /** Of the body. */
  readonly start: number
  readonly end: number
  /** Of the next block. */
  readonly next: number
}

/** The link type of the first interface. Undefined if there is none before the first damage. */
export function pcapngLinkType(reader: Reader): number | undefined {
  for (let at = 0; at + FRAME + 4 <= reader.length; ) {
    const type = reader.u32(at)
    if (type === BLOCK.section && !setByteOrder(reader, at)) return undefined
    if (reader.u32(at) === BLOCK.interface && at + 10 <= reader.length) return reader.u16(at + 8)
    const length = reader.u32(at + 4)
    if (length < FRAME) return undefined
    at += Math.ceil(length / 4) * 4
  }
  return undefined
}

/** Throws a Diagnostic where the file is cut or damaged. */
export function* pcapngPackets(reader: Reader): Generator<Packet> {
  let interfaces: Interface[] = []
  for (let at = 0; at < reader.length; ) {
    const block = readBlock(reader, at)
    if (block.type === BLOCK.section) interfaces = []
    else if (block.type === BLOCK.interface) interfaces.push(readInterface(reader, block))
    else {
      const packet = readPacket(reader, block, interfaces)
      if (packet) {
        reader.packets++
        yield packet
      }
    }
    at = block.next
  }
}

/** Of the section that begins at `at`; false if it is none. */
function setByteOrder(reader: Reader, at: number): boolean {
  for (const littleEndian of [true, false]) {
    reader.littleEndian = littleEndian
    if (reader.u32(at + 8) === BYTE_ORDER) return true
  }
  return false
}

function readBlock(reader: Reader, at: number): Block {
  reader.need(at, FRAME, 'a block')
  if (reader.u32(at) === BLOCK.section && !setByteOrder(reader, at)) {
    throw reader.damaged(at + 8, 'a section header without its byte-order magic')
  }
  const length = reader.u32(at + 4)
  if (length < FRAME || length % 4 !== 0) throw reader.damaged(at + 4, `a block of ${length} bytes`)
  reader.need(at, length, 'a block')
  const again = reader.u32(at + length - 4)
  if (again !== length)
    throw reader.damaged(at + length - 4, `a block that says ${length} bytes first and ${again} last`)
  return { type: reader.u32(at), start: at + 8, end: at + length - 4, next: at + length }
}

function readInterface(reader: Reader, { start, end }: Block): Interface {
  if (end - start < 8) throw reader.damaged(start, 'an interface description that is too short')
  let perSecond = 1_000_000n
  let offset = 0n
  for (const { code, at, size } of options(reader, start + 8, end)) {
    if (code === OPTION.tsresol && size >= 1) perSecond = resolution(reader.bytes[at])
    if (code === OPTION.tsoffset && size >= 8) offset = reader.s64(at)
  }
  return { linkType: reader.u16(start), snapLength: reader.u32(start + 4), perSecond, offset }
}

/** if_tsresol: a negative power of 10, or with the top bit set of 2. */
const resolution = (byte: number): bigint => (byte & 0x80 ? 2n : 10n) ** BigInt(byte & 0x7f)

function* options(reader: Reader, from: number, end: number): Generator<{ code: number; at: number; size: number }> {
  for (let at = from; at + 4 <= end; ) {
    const code = reader.u16(at)
    const size = reader.u16(at + 2)
    if (code === OPTION.end) return
    if (at + 4 + size > end) throw reader.damaged(at, `an option of ${size} bytes that leaves its block`)
    yield { code, at: at + 4, size }
    at += 4 + Math.ceil(size / 4) * 4
  }
}

function readPacket(reader: Reader, block: Block, interfaces: readonly Interface[]): Packet | undefined {
  const { type, start, end } = block
  if (type === BLOCK.simple) return readSimple(reader, block, interfaces)
  if (type !== BLOCK.enhanced && type !== BLOCK.packet) return undefined
  if (end - start < 20) throw reader.damaged(start, 'a packet block that is too short')
  const source = interfaceOf(reader, start, type === BLOCK.enhanced ? reader.u32(start) : reader.u16(start), interfaces)
  const units = (BigInt(reader.u32(start + 4)) << 32n) | BigInt(reader.u32(start + 8))
  return {
    data: packetData(reader, start + 20, reader.u32(start + 12), end),
    originalLength: reader.u32(start + 16),
    timestamp: (units * SECOND) / source.perSecond + source.offset * SECOND,
    linkType: source.linkType,
  }
}

/** A simple packet block: of the first interface, no time, and no captured length but the interface's limit. */
function readSimple(reader: Reader, { start, end }: Block, interfaces: readonly Interface[]): Packet {
  if (end - start < 4) throw reader.damaged(start, 'a packet block that is too short')
  const source = interfaceOf(reader, start, 0, interfaces)
  const originalLength = reader.u32(start)
  const size = source.snapLength === 0 ? originalLength : Math.min(originalLength, source.snapLength)
  return { data: packetData(reader, start + 4, size, end), originalLength, timestamp: 0n, linkType: source.linkType }
}

function interfaceOf(reader: Reader, at: number, index: number, interfaces: readonly Interface[]): Interface {
  const found = interfaces[index]
  if (!found) throw reader.damaged(at, `a packet of interface ${index}, which the file does not describe`)
  return found
}

function packetData(reader: Reader, at: number, size: number, end: number): Uint8Array {
  if (size > MAX_PACKET || at + size > end) throw reader.damaged(at, `a packet of ${size} bytes that leaves its block`)
  return reader.take(at, size)
}

export interface WritePcapngOptions {
  readonly bigEndian?: boolean
  /** Digits after the second in times, 0 to 9; 9 if absent. */
  readonly digits?: number
  /** Packet blocks to write: enhanced ones if absent. */
  readonly blocks?: 'enhanced' | 'simple' | 'packet'
}

/** A pcapng file of one section, with an interface for each link type that the packets have. */
export function writePcapng(
  packets: Iterable<Packet>,
  { bigEndian = false, digits = 9, blocks = 'enhanced' }: WritePcapngOptions = {},
): Uint8Array<ArrayBuffer> {
  const all = [...packets]
  const linkTypes = [...new Set(all.map(({ linkType }) => linkType))]
  if (linkTypes.length === 0) linkTypes.push(ETHERNET)
  const writer = new BlockWriter(!bigEndian)
  writer.block(BLOCK.section, [u32(BYTE_ORDER), u16(1), u16(0), u32(0xffff_ffff), u32(0xffff_ffff)])
  for (const linkType of linkTypes) {
    const time = [u16(OPTION.tsresol), u16(1), new Uint8Array([digits, 0, 0, 0]), u16(OPTION.end), u16(0)]
    writer.block(BLOCK.interface, [u16(linkType), u16(0), u32(0), ...time])
  }
  for (const { data, originalLength, timestamp, linkType } of all) {
    const units = timestamp / 10n ** BigInt(9 - digits)
    const source = linkTypes.indexOf(linkType)
    const time = [u32(Number(units >> 32n)), u32(Number(units & 0xffff_ffffn)), u32(data.length), u32(originalLength)]
    if (blocks === 'simple') writer.block(BLOCK.simple, [u32(originalLength), data])
    else if (blocks === 'packet') writer.block(BLOCK.packet, [u16(source), u16(0), ...time, data])
    else writer.block(BLOCK.enhanced, [u32(source), ...time, data])
  }
  return writer.bytes()
}

/** A field of a block: a number of 2 or 4 bytes, or bytes that are padded to 4. */
type Field = Uint8Array | { readonly size: 2 | 4; readonly value: number }

const u16 = (value: number): Field => ({ size: 2, value })
const u32 = (value: number): Field => ({ size: 4, value })

class BlockWriter {
  readonly #littleEndian: boolean
  readonly #blocks: Uint8Array[] = []

  constructor(littleEndian: boolean) {
    this.#littleEndian = littleEndian
  }

  block(type: number, fields: readonly Field[]): void {
    const room = (field: Field): number => (field instanceof Uint8Array ? Math.ceil(field.length / 4) * 4 : field.size)
    const length = fields.reduce((size, field) => size + room(field), FRAME)
    const bytes = new Uint8Array(length)
    const view = new DataView(bytes.buffer)
    let at = 0
    for (const field of [u32(type), u32(length), ...fields, u32(length)]) {
      if (field instanceof Uint8Array) bytes.set(field, at)
      else if (field.size === 2) view.setUint16(at, field.value, this.#littleEndian)
      else view.setUint32(at, field.value, this.#littleEndian)
      at += room(field)
    }
    this.#blocks.push(bytes)
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(this.#blocks.reduce((size, block) => size + block.length, 0))
    let at = 0
    for (const block of this.#blocks) {
      out.set(block, at)
      at += block.length
    }
    return out
  }
}
