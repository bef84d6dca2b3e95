// decoder and encoder: bytes of a program's map or event to a Value and back, by BTF. A type is compiled once to
// a tree of codecs, so that a record costs no look-ups. Bytes are little endian, as on every machine that
// Waggle runs programs on. Typedefs with a name of Waggle's own (waggle_ipv4 and so on) say that a number or
// bytes are an address, which is then text on this side.

import { describe, resolve, resolveId } from '../btf/layout.ts'
import { asTypes } from '../btf/list.ts'
import type { BtfId, BtfMember, BtfType, BtfTypes } from '../btf/types.ts'
import { Diagnostic } from '../diag/diagnostic.ts'
import {
  arrayCodec,
  bitFieldCodec,
  type Codec,
  enumCodec,
  FORMATS,
  floatCodec,
  intCodec,
  isChar,
  isRecord,
  type Part,
  pointerCodec,
  recordCodec,
  textCodec,
} from './codec.ts'
import type { Value } from './value.ts'

export { formatValue, type Json, toJSON, type Value } from './value.ts'

/** More values than this in one type are refused: a record of it could not be shown. */
const MAX_VALUES = 1 << 20
/** Structs and arrays nested deeper than this are refused, as the kernel refuses them (MAX_RESOLVE_DEPTH). */
const MAX_DEPTH = 32

/**
 * How to decode type `id`. The result takes bytes and where in them the value starts (0 if absent), and throws a
 * Diagnostic (`event/short`) where they end before it does. Throws a Diagnostic where the type holds no value.
 */
export function decoder(
  types: BtfTypes | readonly BtfType[],
  id: BtfId,
): (bytes: Uint8Array, offset?: number) => Value {
  const codec = new Compiler(asTypes(types)).codec(id)
  return (bytes, offset = 0) => {
    if (offset < 0 || offset + codec.size > bytes.length) {
      throw new Diagnostic({
        code: 'event/short',
        message: `${Math.max(0, bytes.length - offset)} bytes are too few for ${codec.name}, which has ${codec.size}`,
      })
    }
    return codec.read(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset)
  }
}

/**
 * How to encode type `id`: the inverse of `decoder`. Numbers and bigints are taken for each other; members that are
 * left out are zero. Throws a Diagnostic (`event/value`) that says which part of a value does not fit.
 */
export function encoder(types: BtfTypes | readonly BtfType[], id: BtfId): (value: Value) => Uint8Array {
  const codec = new Compiler(asTypes(types)).codec(id)
  return (value) => {
    const bytes = new Uint8Array(codec.size)
    codec.write(new DataView(bytes.buffer), 0, value, '')
    return bytes
  }
}

const refuse = (message: string): Diagnostic => new Diagnostic({ code: 'event/type', message })

class Compiler {
  readonly #types: BtfTypes
  /** By id, so that a type that occurs twice is compiled once; null while under way. */
  readonly #known = new Map<BtfId, Codec | null>()
  #depth = 0

  constructor(types: BtfTypes) {
    this.#types = types
  }

  codec(id: BtfId): Codec {
    const known = this.#known.get(id)
    if (known) return known
    if (known === null) throw refuse(`type ${describe(this.#types, id)} contains itself`)
    if (this.#depth === MAX_DEPTH) throw refuse(`type ${describe(this.#types, id)} nests too deep`)
    this.#known.set(id, null)
    this.#depth++
    const codec = this.#named(id) ?? this.#compile(resolveId(this.#types, id))
    this.#depth--
    if (codec.values > MAX_VALUES) throw refuse(`type ${codec.name} is made of more than ${MAX_VALUES} values`)
    this.#known.set(id, codec)
    return codec
  }

  /** The codec of the first typedef on the way whose name is Waggle's own. */
  #named(id: BtfId): Codec | undefined {
    const target = resolveId(this.#types, id)
    for (let at = id; at !== target; ) {
      const type = this.#types.type(at)
      if (type === undefined || !('type' in type)) return undefined
      const format = type.kind === 'typedef' ? FORMATS.find(({ name }) => name === type.name) : undefined
      if (format) return this.#formatted(format, target)
      at = type.type
    }
    return undefined
  }

  #formatted(format: Codec, target: BtfId): Codec {
    const { size } = this.#compile(target)
    if (size !== format.size) throw refuse(`${format.name} has ${size} bytes, but ${format.size} are wanted`)
    return format
  }

  #compile(id: BtfId): Codec {
    const type = this.#types.type(id)
    switch (type?.kind) {
      case 'int':
        return intCodec(type)
      case 'float':
        return floatCodec(type)
      case 'ptr':
        return pointerCodec(describe(this.#types, id))
      case 'enum':
      case 'enum64':
        return enumCodec(type)
      case 'array':
        return this.#array(type)
      case 'struct':
      case 'union':
        return this.#struct(type)
      case 'datasec':
        return this.#section(type)
      case 'var':
        return this.codec(type.type)
      default:
        throw refuse(`${describe(this.#types, id)} is no type that a value can have`)
    }
  }

  #array({ type, length }: BtfType & { kind: 'array' }): Codec {
    const element = resolve(this.#types, type)
    if (element?.kind === 'int' && isChar(element)) return textCodec(length)
    const codec = this.codec(type)
    if (length * codec.values > MAX_VALUES) throw refuse(`an array of ${length} ${codec.name} is too long`)
    return arrayCodec(codec, length)
  }

  #struct(type: BtfType & { kind: 'struct' | 'union' }): Codec {
    const name = `${type.kind} ${type.name || '(unnamed)'}`
    const parts = type.members.flatMap((member) => this.#member(member))
    const beyond = parts.find(({ at, codec }) => at + codec.size > type.size)
    if (beyond) throw refuse(`${beyond.name} lies beyond the end of ${name}`)
    return recordCodec(name, type.size, parts)
  }

  /** Members of unnamed structs and unions count as the struct's own, as in C. */
  #member(member: BtfMember): Part[] {
    const { name, type } = member
    const bits = this.#bits(member)
    const at = Math.floor((bits?.offset ?? member.bitOffset) / 8)
    const whole = this.codec(type)
    const codec = bits ? bitFieldCodec(whole, bits.offset % 8, bits.size) : whole
    if (name !== '') return [{ name, at, codec }]
    return isRecord(codec) ? codec.parts.map((part) => ({ ...part, at: part.at + at })) : []
  }

  /** Where the bits of a bit field lie; older compilers say it in the int instead of the member. */
  #bits({ type, bitOffset, bitSize }: BtfMember): { offset: number; size: number } | undefined {
    if (bitSize !== 0) return { offset: bitOffset, size: bitSize }
    const int = resolve(this.#types, type)
    if (int?.kind === 'int' && int.bits < int.size * 8) return { offset: bitOffset + int.bitOffset, size: int.bits }
    return bitOffset % 8 === 0 ? undefined : { offset: bitOffset, size: this.codec(type).size * 8 }
  }

  #section({ name, size, vars }: BtfType & { kind: 'datasec' }): Codec {
    const parts = vars.map((entry) => {
      const variable = this.#types.type(entry.type)
      return { name: variable?.kind === 'var' ? variable.name : '', at: entry.offset, codec: this.codec(entry.type) }
    })
    if (parts.some(({ at, codec }) => at + codec.size > size)) throw refuse(`a variable lies beyond the end of ${name}`)
    return recordCodec(name, size, parts)
  }
}
