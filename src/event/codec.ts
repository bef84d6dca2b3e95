// Codecs: how one type's bytes become a Value and back. The leaves (numbers, text, addresses) and the two ways to
// put them together (arrays and structs). Which codec a BTF type gets is decided in decode.ts.

import type { BtfType } from '../btf/types.ts'
import { Diagnostic } from '../diag/diagnostic.ts'
import { formatIpv4, formatIpv6, formatMac, parseIpv4, parseIpv6, parseMac } from './address.ts'
import { isList, type Value } from './value.ts'

/** Reads and writes one type. Offsets are in bytes from the start of the view, which must hold the whole value. */
export interface Codec {
  /** For messages, as C has it. */
  readonly name: string
  /** Bytes. */
  readonly size: number
  /** How many values a value of this type is made of, itself included. */
  readonly values: number
  /** Of a bit field of this type: what a number in it stands for. Absent where there is no such bit field. */
  readonly bits?: BitMeaning
  read(view: DataView, at: number): Value
  /** `path` leads to this part of the whole value: `.key.port`. */
  write(view: DataView, at: number, value: Value, path: string): void
}

interface BitMeaning {
  readonly signed: boolean
  of(number: bigint): Value
  from(value: Value): bigint | undefined
}

/** A member, and where it starts in its struct. */
export interface Part {
  readonly name: string
  readonly at: number
  readonly codec: Codec
}

function misfit(path: string, value: Value | undefined, wanted: string): Diagnostic {
  const what = path === '' ? 'the value' : path.replace(/^\./, '')
  return new Diagnostic({ code: 'event/value', message: `${what} is ${show(value)}, but ${wanted} is wanted` })
}

function show(value: Value | undefined): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value !== 'object') return String(value)
  return isList(value) ? 'a list' : 'a struct'
}

const noValue = (message: string): Diagnostic => new Diagnostic({ code: 'event/type', message })

/** A whole number as a bigint; undefined if it is none. */
function toInteger(value: Value): bigint | undefined {
  if (typeof value === 'bigint') return value
  return typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : undefined
}

const fits = (value: bigint, bits: number, signed: boolean): boolean =>
  signed ? BigInt.asIntN(bits, value) === value : BigInt.asUintN(bits, value) === value

function range(bits: number, signed: boolean): string {
  const [least, most] = signed
    ? [-(1n << BigInt(bits - 1)), (1n << BigInt(bits - 1)) - 1n]
    : [0n, (1n << BigInt(bits)) - 1n]
  return `a whole number from ${least} to ${most}`
}

/** Little-endian integers of 1, 2, 4, 8 or 16 bytes. */
function readInteger(view: DataView, at: number, size: number, signed: boolean): bigint {
  let value = 0n
  for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(view.getUint8(at + i))
  return signed ? BigInt.asIntN(size * 8, value) : value
}

function writeInteger(view: DataView, at: number, size: number, value: bigint): void {
  for (let i = 0; i < size; i++) view.setUint8(at + i, Number((value >> BigInt(8 * i)) & 0xffn))
}

/** The common sizes without a bigint between. */
function readNumber(view: DataView, at: number, size: number, signed: boolean): number | bigint {
  switch (size) {
    case 1:
      return signed ? view.getInt8(at) : view.getUint8(at)
    case 2:
      return signed ? view.getInt16(at, true) : view.getUint16(at, true)
    case 4:
      return signed ? view.getInt32(at, true) : view.getUint32(at, true)
    case 8:
      return signed ? view.getBigInt64(at, true) : view.getBigUint64(at, true)
    default:
      return readInteger(view, at, size, signed)
  }
}

const SIZES: readonly number[] = [1, 2, 4, 8, 16]

/** Up to 4 bytes a number, above a bigint; one that says bool a boolean. */
export function intCodec({ name, size, encoding }: BtfType & { kind: 'int' }): Codec {
  if (!SIZES.includes(size)) throw noValue(`an integer of ${size} bytes (${name}) can't be read`)
  return encoding === 'bool' ? boolCodec(name, size) : numberCodec(name, size, encoding === 'signed')
}

/** An address: a bigint. */
export const pointerCodec = (name: string): Codec => numberCodec(name, 8, false)

function numberCodec(name: string, size: number, signed: boolean): Codec {
  return {
    name,
    size,
    values: 1,
    bits: { signed, of: (number) => (size <= 4 ? Number(number) : number), from: toInteger },
    read: (view, at) => readNumber(view, at, size, signed),
    write(view, at, value, path) {
      const number = toInteger(value)
      if (number === undefined || !fits(number, size * 8, signed)) throw misfit(path, value, range(size * 8, signed))
      writeInteger(view, at, size, number)
    },
  }
}

function boolCodec(name: string, size: number): Codec {
  const from = (value: Value): bigint | undefined => (typeof value === 'boolean' ? BigInt(value) : undefined)
  return {
    name,
    size,
    values: 1,
    bits: { signed: false, of: (number) => number !== 0n, from },
    read: (view, at) => readInteger(view, at, size, false) !== 0n,
    write(view, at, value, path) {
      const number = from(value)
      if (number === undefined) throw misfit(path, value, 'true or false')
      writeInteger(view, at, size, number)
    },
  }
}

export function floatCodec({ name, size }: BtfType & { kind: 'float' }): Codec {
  if (size !== 4 && size !== 8) throw noValue(`a floating-point number of ${size} bytes (${name}) can't be read`)
  return {
    name,
    size,
    values: 1,
    read: (view, at) => (size === 4 ? view.getFloat32(at, true) : view.getFloat64(at, true)),
    write(view, at, value, path) {
      if (typeof value !== 'number') throw misfit(path, value, 'a number')
      if (size === 4) view.setFloat32(at, value, true)
      else view.setFloat64(at, value, true)
    },
  }
}

/** The enumerator's name, or the number where none has it. Of several with one value the first counts. */
export function enumCodec({ name, size, signed, values }: BtfType & { kind: 'enum' | 'enum64' }): Codec {
  if (!SIZES.includes(size)) throw noValue(`an enum of ${size} bytes (${name}) can't be read`)
  const names = new Map<bigint, string>()
  const numbers = new Map<string, bigint>()
  for (const { name, value } of values) {
    if (!names.has(value)) names.set(value, name)
    if (!numbers.has(name)) numbers.set(name, value)
  }
  const of = (number: bigint): Value => names.get(number) ?? (size <= 4 ? Number(number) : number)
  const from = (value: Value): bigint | undefined => (typeof value === 'string' ? numbers.get(value) : toInteger(value))
  return {
    name: `enum ${name || '(unnamed)'}`,
    size,
    values: 1,
    bits: { signed, of, from },
    read: (view, at) => of(readInteger(view, at, size, signed)),
    write(view, at, value, path) {
      const number = from(value)
      if (number !== undefined && fits(number, size * 8, signed)) return writeInteger(view, at, size, number)
      const some = values.slice(0, 8).map((value) => value.name)
      throw misfit(
        path,
        value,
        `one of ${some.join(', ')}${values.length > 8 ? ', …' : ''}, or a number of ${size} bytes,`,
      )
    },
  }
}

/** `size` bits from bit `shift` of the first byte on, with the meaning that the whole type has. */
export function bitFieldCodec({ name, bits: meaning }: Codec, shift: number, size: number): Codec {
  if (meaning === undefined || size > 64) throw noValue(`a bit field of type ${name} can't be read`)
  const bytes = Math.ceil((shift + size) / 8)
  const mask = ((1n << BigInt(size)) - 1n) << BigInt(shift)
  return {
    name: `${name} : ${size}`,
    size: bytes,
    values: 1,
    read(view, at) {
      const field = (readInteger(view, at, bytes, false) & mask) >> BigInt(shift)
      return meaning.of(meaning.signed ? BigInt.asIntN(size, field) : field)
    },
    write(view, at, value, path) {
      const number = meaning.from(value)
      if (number === undefined || !fits(number, size, meaning.signed))
        throw misfit(path, value, range(size, meaning.signed))
      const others = readInteger(view, at, bytes, false) & ~mask
      writeInteger(view, at, bytes, others | ((number << BigInt(shift)) & mask))
    },
  }
}

/** Whether an array of these is text: C's plain char, whatever its sign. */
export const isChar = ({ name, size, encoding, bits }: BtfType & { kind: 'int' }): boolean =>
  size === 1 && bits === 8 && (encoding === 'char' || name === 'char')

/** `length` bytes of UTF-8, ended by a NUL if shorter. Bytes that are not UTF-8 become U+FFFD. */
export function textCodec(length: number): Codec {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  return {
    name: `char[${length}]`,
    size: length,
    values: 1,
    read(view, at) {
      const bytes = new Uint8Array(view.buffer, view.byteOffset + at, length)
      const end = bytes.indexOf(0)
      return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end))
    },
    write(view, at, value, path) {
      if (typeof value !== 'string') throw misfit(path, value, 'text')
      const bytes = new TextEncoder().encode(value)
      if (bytes.includes(0)) throw misfit(path, value, 'text without a NUL character')
      if (bytes.length > length) throw misfit(path, value, `text of at most ${length} bytes`)
      new Uint8Array(view.buffer, view.byteOffset + at, length).set(bytes)
    },
  }
}

export function arrayCodec(element: Codec, length: number): Codec {
  const { size } = element
  return {
    name: `${element.name}[${length}]`,
    size: size * length,
    values: 1 + element.values * length,
    read: (view, at) => Array.from({ length }, (_, i) => element.read(view, at + i * size)),
    write(view, at, value, path) {
      if (typeof value !== 'object' || !isList(value) || value.length !== length) {
        throw misfit(path, value, `a list of ${length}`)
      }
      for (const [i, part] of value.entries()) element.write(view, at + i * size, part, `${path}[${i}]`)
    },
  }
}

/** A struct, a union or a section of variables. */
export interface RecordCodec extends Codec {
  readonly parts: readonly Part[]
}

export const isRecord = (codec: Codec): codec is RecordCodec => 'parts' in codec

/** A plain object. Members that are left out are not written, so that a union can be given by one of them. */
export function recordCodec(name: string, size: number, parts: readonly Part[]): RecordCodec {
  const names = new Set(parts.map((part) => part.name))
  return {
    name,
    size,
    parts,
    values: parts.reduce((sum, { codec }) => sum + codec.values, 1),
    read: (view, at) => Object.fromEntries(parts.map((part) => [part.name, part.codec.read(view, at + part.at)])),
    write(view, at, value, path) {
      if (typeof value !== 'object' || isList(value)) throw misfit(path, value, name)
      const unknown = Object.keys(value).find((key) => !names.has(key))
      if (unknown !== undefined) throw misfit(`${path}.${unknown}`, value[unknown], `a member of ${name}`)
      for (const { name, at: offset, codec } of parts) {
        if (Object.hasOwn(value, name)) codec.write(view, at + offset, value[name], `${path}.${name}`)
      }
    },
  }
}

/** What a value of a typedef of Waggle's own is as text: `waggle_ipv4` is a u32 in host order, the others bytes. */
export const FORMATS: readonly Codec[] = [
  {
    name: 'waggle_ipv4',
    size: 4,
    values: 1,
    read: (view, at) => formatIpv4(view.getUint32(at, true)),
    write(view, at, value, path) {
      const address = typeof value === 'string' ? parseIpv4(value) : undefined
      if (address === undefined) throw misfit(path, value, 'an IPv4 address, as 192.0.2.1,')
      view.setUint32(at, address, true)
    },
  },
  bytesFormat('waggle_ipv6', 16, formatIpv6, parseIpv6, 'an IPv6 address, as 2001:db8::1,'),
  bytesFormat('waggle_mac', 6, formatMac, parseMac, 'a MAC address, as 02:00:5e:10:00:01,'),
]

function bytesFormat(
  name: string,
  size: number,
  format: (bytes: Uint8Array) => string,
  parse: (text: string) => Uint8Array | undefined,
  wanted: string,
): Codec {
  return {
    name,
    size,
    values: 1,
    read: (view, at) => format(new Uint8Array(view.buffer, view.byteOffset + at, size)),
    write(view, at, value, path) {
      const bytes = typeof value === 'string' ? parse(value) : undefined
      if (bytes === undefined) throw misfit(path, value, wanted)
      new Uint8Array(view.buffer, view.byteOffset + at, size).set(bytes)
    },
  }
}
