// TypeBuilder: makes types from code. Equal types get one id, so that a caller may ask for `u32` wherever it
// needs one; structs get the layout that C would give them.

import { alignOf, sizeOf } from './layout.ts'
import { btfList } from './list.ts'
import type { BtfEnumerator, BtfId, BtfMember, BtfParam, BtfType, BtfTypes } from './types.ts'

export interface FieldInit {
  readonly name: string
  readonly type: BtfId
}

export interface VarInit {
  /** A `var` type. */
  readonly type: BtfId
  /** Bytes from the start of the section; behind the one before, aligned, if absent. */
  readonly offset?: number
}

type Linkage = 'static' | 'global' | 'extern'

const roundUp = (offset: number, align: number): number => Math.ceil(offset / align) * align

export class TypeBuilder {
  readonly #types: BtfType[] = []
  readonly #ids = new Map<string, BtfId>()
  /** Look-up over what has been made so far. */
  readonly lookup: BtfTypes = btfList(this.#types)

  /** Everything made so far, in order of id. */
  get types(): readonly BtfType[] {
    return this.#types
  }

  /** The id of a type like this one, which is added if there is none yet. */
  add(type: BtfType): BtfId {
    const key = JSON.stringify(type, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value))
    const known = this.#ids.get(key)
    if (known !== undefined) return known
    const id = this.#types.push(type)
    this.#ids.set(key, id)
    return id
  }

  /** `size` in bytes. */
  int(name: string, size: number, encoding: 'unsigned' | 'signed' | 'char' | 'bool' = 'unsigned'): BtfId {
    return this.add({ kind: 'int', name, size, encoding, bits: size * 8, bitOffset: 0 })
  }

  /** To `type`; 0 is void. */
  ptr(type: BtfId): BtfId {
    return this.add({ kind: 'ptr', type })
  }

  array(type: BtfId, length: number): BtfId {
    // What clang calls the type of an index; any 4-byte integer will do.
    return this.add({ kind: 'array', type, index: this.int('__ARRAY_SIZE_TYPE__', 4), length })
  }

  /** Members one after the other, each aligned as C aligns it. */
  struct(name: string, fields: readonly FieldInit[]): BtfId {
    const members: BtfMember[] = []
    let size = 0
    let align = 1
    for (const { name, type } of fields) {
      const own = alignOf(this.lookup, type)
      const offset = roundUp(size, own)
      members.push({ name, type, bitOffset: offset * 8, bitSize: 0 })
      size = offset + sizeOf(this.lookup, type)
      align = Math.max(align, own)
    }
    return this.add({ kind: 'struct', name, size: roundUp(size, align), members })
  }

  union(name: string, fields: readonly FieldInit[]): BtfId {
    const members = fields.map(({ name, type }) => ({ name, type, bitOffset: 0, bitSize: 0 }))
    const align = Math.max(1, ...fields.map(({ type }) => alignOf(this.lookup, type)))
    const size = Math.max(0, ...fields.map(({ type }) => sizeOf(this.lookup, type)))
    return this.add({ kind: 'union', name, size: roundUp(size, align), members })
  }

  /** `size` in bytes: of 8 it becomes an enum64. Signed if one of its values is negative. */
  enum(name: string, size: 1 | 2 | 4 | 8, values: readonly BtfEnumerator[]): BtfId {
    const signed = values.some(({ value }) => value < 0n)
    return this.add({ kind: size === 8 ? 'enum64' : 'enum', name, size, signed, values })
  }

  fwd(name: string, union = false): BtfId {
    return this.add({ kind: 'fwd', name, union })
  }

  typedef(name: string, type: BtfId): BtfId {
    return this.add({ kind: 'typedef', name, type })
  }

  qualified(kind: 'const' | 'volatile' | 'restrict', type: BtfId): BtfId {
    return this.add({ kind, type })
  }

  /** `ret` 0 is void. */
  funcProto(ret: BtfId, params: readonly BtfParam[]): BtfId {
    return this.add({ kind: 'func_proto', ret, params })
  }

  func(name: string, proto: BtfId, linkage: Linkage = 'global'): BtfId {
    return this.add({ kind: 'func', name, type: proto, linkage })
  }

  var(name: string, type: BtfId, linkage: Linkage = 'global'): BtfId {
    return this.add({ kind: 'var', name, type, linkage })
  }

  /** A section of variables, `.data` or `.maps`. Its size is where the last one ends. */
  datasec(name: string, vars: readonly VarInit[]): BtfId {
    let end = 0
    const placed = vars.map(({ type, offset }) => {
      const size = sizeOf(this.lookup, type)
      const at = offset ?? roundUp(end, alignOf(this.lookup, type))
      end = Math.max(end, at + size)
      return { type, offset: at, size }
    })
    return this.add({ kind: 'datasec', name, size: end, vars: placed })
  }
}
