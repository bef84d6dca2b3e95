// Writing BTF: a list of types to the bytes that BPF_BTF_LOAD and the .BTF section of an object take. Strings are
// kept once each, in the order in which they are first used, so that the same types always give the same
// bytes. Layout: Documentation/bpf/btf.rst, sections 2 and 3. Little endian.

import { Diagnostic } from '../diag/diagnostic.ts'
import {
  HEADER_SIZE,
  INT_ENCODINGS,
  KINDS,
  kindNumber,
  LINKAGES,
  MAGIC,
  MAX_VLEN,
  TYPE_SIZE,
  VERSION,
} from './kinds.ts'
import type { BtfMember, BtfType } from './types.ts'

const refuse = (message: string): Diagnostic =>
  new Diagnostic({ code: 'btf/write', message: `can't be written as BTF: ${message}` })

/** Strings by offset: NUL-terminated, each once, the empty one at 0. */
export class StringTable {
  readonly #offsets = new Map<string, number>([['', 0]])
  readonly #parts: Uint8Array[] = [Uint8Array.of(0)]
  #size = 1

  /** The offset of `text`, which is added if it is new. Throws a Diagnostic if it contains a NUL. */
  add(text: string): number {
    const known = this.#offsets.get(text)
    if (known !== undefined) return known
    if (text.includes('\0')) throw refuse(`the string ${JSON.stringify(text)} contains a NUL`)
    const offset = this.#size
    const bytes = new TextEncoder().encode(`${text}\0`)
    this.#parts.push(bytes)
    this.#size += bytes.length
    this.#offsets.set(text, offset)
    return offset
  }

  bytes(): Uint8Array {
    const out = new Uint8Array(this.#size)
    let at = 0
    for (const part of this.#parts) {
      out.set(part, at)
      at += part.length
    }
    return out
  }
}

/** BTF under construction: the types are given, strings for line info may be added until it is finished. */
export class BtfWriter {
  readonly #types: readonly BtfType[]
  readonly #strings = new StringTable()

  constructor(types: readonly BtfType[]) {
    this.#types = types
  }

  /** The offset of a string in the BTF's strings, as line info refers to it. */
  string(text: string): number {
    return this.#strings.add(text)
  }

  /** The whole: header, types, strings. Throws a Diagnostic (`btf/write`) where a type does not fit the format. */
  finish(): Uint8Array {
    const types = encodeTypes(this.#types, this.#strings)
    const strings = this.#strings.bytes()
    const out = new Uint8Array(HEADER_SIZE + types.length + strings.length)
    const view = new DataView(out.buffer)
    view.setUint16(0, MAGIC, true)
    view.setUint8(2, VERSION)
    const words = [HEADER_SIZE, 0, types.length, types.length, strings.length]
    for (const [i, word] of words.entries()) view.setUint32(4 + 4 * i, word, true)
    out.set(types, HEADER_SIZE)
    out.set(strings, HEADER_SIZE + types.length)
    return out
  }
}

/** The bytes of a list of types without further strings. */
export const writeBtf = (types: readonly BtfType[]): Uint8Array => new BtfWriter(types).finish()

function encodeTypes(types: readonly BtfType[], strings: StringTable): Uint8Array {
  const size = types.reduce((sum, type) => sum + sizeOfRecord(type), 0)
  const words = new DataView(new ArrayBuffer(size))
  let at = 0
  for (const type of types) {
    for (const word of encodeType(type, strings)) {
      words.setUint32(at, word, true)
      at += 4
    }
  }
  return new Uint8Array(words.buffer)
}

/** Bytes of a type in the type section. */
function sizeOfRecord(type: BtfType): number {
  const row = KINDS[kindNumber(type.kind)]!
  return TYPE_SIZE + row.extra + row.each * entriesOf(type).length
}

/** Whatever a type has vlen of. */
function entriesOf(type: BtfType): readonly unknown[] {
  switch (type.kind) {
    case 'struct':
    case 'union':
      return type.members
    case 'enum':
    case 'enum64':
      return type.values
    case 'func_proto':
      return type.params
    case 'datasec':
      return type.vars
    default:
      return []
  }
}

/** A type as 32-bit words: name, info, size or type, then what its kind adds. */
function encodeType(type: BtfType, strings: StringTable): number[] {
  const name = 'name' in type ? strings.add(type.name) : 0
  const head = (sizeOrType: number, flag = false, vlen = entriesOf(type).length): number[] => {
    if (vlen > MAX_VLEN)
      throw refuse(`${type.kind} ${'name' in type ? type.name : ''} has more than ${MAX_VLEN} entries`)
    return [name, (flag ? 1 << 31 : 0) | (kindNumber(type.kind) << 24) | vlen, sizeOrType]
  }
  switch (type.kind) {
    case 'int': {
      const encoding = INT_ENCODINGS[type.encoding]
      return [...head(type.size), (encoding << 24) | (type.bitOffset << 16) | type.bits]
    }
    case 'array':
      return [...head(0), type.type, type.index, type.length]
    case 'struct':
    case 'union': {
      const flag = type.members.some(({ bitSize }) => bitSize !== 0)
      const member = (member: BtfMember): number[] => [strings.add(member.name), member.type, place(member, flag)]
      return [...head(type.size, flag), ...type.members.flatMap(member)]
    }
    case 'enum':
      return [
        ...head(type.size, type.signed),
        ...type.values.flatMap(({ name, value }) => [strings.add(name), low(value)]),
      ]
    case 'enum64': {
      const words = type.values.flatMap(({ name, value }) => [strings.add(name), low(value), low(value >> 32n)])
      return [...head(type.size, type.signed), ...words]
    }
    case 'fwd':
      return head(0, type.union)
    case 'func':
      return head(type.type, false, LINKAGES.indexOf(type.linkage))
    case 'func_proto':
      return [...head(type.ret), ...type.params.flatMap(({ name, type }) => [strings.add(name), type])]
    case 'var':
      return [...head(type.type), LINKAGES.indexOf(type.linkage)]
    case 'datasec':
      return [...head(type.size), ...type.vars.flatMap(({ type, offset, size }) => [type, offset, size])]
    case 'float':
      return head(type.size)
    case 'decl_tag':
      return [...head(type.type, type.attribute), type.component]
    case 'type_tag':
      return head(type.type, type.attribute)
    default:
      return head(type.type)
  }
}

const low = (value: bigint): number => Number(BigInt.asUintN(32, value))

/** Where a member lies. In a struct with bit fields all members say so in 24 bits, with their own bits above. */
function place({ name, bitOffset, bitSize }: BtfMember, flag: boolean): number {
  if (!flag) return bitOffset
  if (bitOffset > 0xffffff || bitSize > 0xff)
    throw refuse(`member ${name} lies too far from the start of a struct with bit fields`)
  return (bitSize << 24) | bitOffset
}
