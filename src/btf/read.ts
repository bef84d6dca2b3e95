// Reading BTF: the header, one pass that notes where each type starts, and everything else on demand. A
// kernel's BTF is 6 MB and 140,000 types, of which a program needs a dozen, so nothing is decoded before it
// is asked for. Layout: Documentation/bpf/btf.rst, sections 2 and 3. Both byte orders are read. The bytes
// are not trusted: every offset, count and id is checked before use, and a lie is a Diagnostic.

import { Diagnostic } from '../diag/diagnostic.ts'
import { type BtfKind, HEADER_SIZE, INT_ENCODINGS, KINDS, LINKAGES, MAGIC, TYPE_SIZE, VERSION } from './kinds.ts'
import type { BtfEnumerator, BtfId, BtfMember, BtfParam, BtfSecVar, BtfType, BtfTypes } from './types.ts'

/** Longer names are refused: none is meant to be (the kernel's KSYM_NAME_LEN is 512), and reading them all would take forever. */
const LONGEST_NAME = 1024

/** BTF over the bytes it was read from. The bytes must not change while it is used. */
export interface Btf extends BtfTypes {
  readonly littleEndian: boolean
  /** The kind of a type, without decoding it; undefined for void. Throws a Diagnostic if there is no such id. */
  kind(id: BtfId): BtfKind | undefined
  /** The string at an offset of the string section, as .BTF.ext and relocations refer to it. */
  string(offset: number): string
  /** Every type, decoded: id n is at n - 1. For an object's own BTF; a kernel's is large. */
  all(): BtfType[]
}

const refuse = (what: string, message: string): never => {
  throw new Diagnostic({
    code: `btf/${what}`,
    message: `not valid BTF: ${message}`,
    help: 'BTF comes from /sys/kernel/btf/vmlinux, or from the .BTF section of an object file.',
  })
}

/**
 * Reads a header and notes where the types lie. Time is in proportion to the number of types, memory 4 bytes for
 * each; the first `find` adds a hash index of about 8 more. Throws a Diagnostic (`btf/…`) where the bytes are not BTF.
 */
export function readBtf(bytes: Uint8Array): Btf {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const header = readHeader(view)
  const starts = noteStarts(view, header)
  return new LazyBtf(bytes, view, header, starts)
}

interface Header {
  readonly littleEndian: boolean
  /** Bounds of the two sections, in bytes from the start of the BTF. */
  readonly types: number
  readonly typesEnd: number
  readonly strings: number
  readonly stringsEnd: number
}

function readHeader(view: DataView): Header {
  if (view.byteLength < HEADER_SIZE) refuse('truncated', `${view.byteLength} bytes are fewer than its header has`)
  const littleEndian = view.getUint16(0, true) === MAGIC
  if (!littleEndian && view.getUint16(0, false) !== MAGIC) refuse('magic', 'it does not begin with 0xeb9f')
  const version = view.getUint8(2)
  if (version !== VERSION) refuse('version', `version ${version} is unknown`)
  const word = (offset: number): number => view.getUint32(offset, littleEndian)
  const headerLength = word(4)
  const types = headerLength + word(8)
  const strings = headerLength + word(16)
  const header = { littleEndian, types, typesEnd: types + word(12), strings, stringsEnd: strings + word(20) }
  const { byteLength } = view
  if (headerLength < HEADER_SIZE || headerLength > byteLength) refuse('header', `a header of ${headerLength} bytes`)
  if (types % 4 !== 0) refuse('header', 'its types are not aligned')
  if (header.typesEnd > byteLength) refuse('truncated', 'its types reach beyond the end')
  if (header.stringsEnd > byteLength) refuse('truncated', 'its strings reach beyond the end')
  if (header.stringsEnd === strings) refuse('strings', 'it has no strings')
  if (view.getUint8(strings) !== 0) refuse('strings', 'its strings do not begin with the empty one')
  if (view.getUint8(header.stringsEnd - 1) !== 0) refuse('strings', 'its last string has no end')
  return header
}

/** Where each type starts, in bytes from the start of the BTF; index 0 is unused, so that ids are indices. */
function noteStarts(view: DataView, header: Header): Uint32Array {
  const { littleEndian, typesEnd } = header
  let starts = new Uint32Array(Math.max(16, (header.typesEnd - header.types) >>> 5))
  let count = 1
  let at = header.types
  while (at < typesEnd) {
    if (at + TYPE_SIZE > typesEnd) refuse('truncated', `type ${count} reaches beyond the types`)
    const info = view.getUint32(at + 4, littleEndian)
    const row = KINDS[(info >>> 24) & 0x1f]
    if (row === undefined) {
      throw new Diagnostic({
        code: 'btf/kind',
        message: `not valid BTF: type ${count} is of unknown kind ${(info >>> 24) & 0x1f}`,
      })
    }
    if (count === starts.length) {
      const more = new Uint32Array(starts.length * 2)
      more.set(starts)
      starts = more
    }
    starts[count++] = at
    at += TYPE_SIZE + row.extra + (info & 0xffff) * row.each
    if (at > typesEnd) refuse('truncated', `type ${count - 1} reaches beyond the types`)
  }
  return starts.slice(0, count)
}

class LazyBtf implements Btf {
  readonly count: number
  readonly littleEndian: boolean
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #header: Header
  readonly #starts: Uint32Array
  readonly #decoded = new Map<BtfId, BtfType>()
  #names: NameIndex | undefined

  constructor(bytes: Uint8Array, view: DataView, header: Header, starts: Uint32Array) {
    this.#bytes = bytes
    this.#view = view
    this.#header = header
    this.#starts = starts
    this.count = starts.length
    this.littleEndian = header.littleEndian
  }

  type(id: BtfId): BtfType | undefined {
    if (id === 0) return undefined
    const known = this.#decoded.get(id)
    if (known !== undefined) return known
    const type = this.#decode(this.#start(id))
    this.#decoded.set(id, type)
    return type
  }

  kind(id: BtfId): BtfKind | undefined {
    if (id === 0) return undefined
    return this.#kindAt(this.#start(id))
  }

  string(offset: number): string {
    const from = this.#header.strings + offset
    if (!(offset >= 0) || from >= this.#header.stringsEnd) refuse('string', `no string at ${offset}`)
    // The section ends in a NUL, so there is one.
    return text(this.#bytes, from, this.#bytes.indexOf(0, from))
  }

  find(name: string, ...kinds: BtfKind[]): BtfId | undefined {
    if (name === '') return undefined
    this.#names ??= new NameIndex(this.#bytes, this.#starts, this.#header.stringsEnd, (start) => this.#nameAt(start))
    for (const id of this.#names.ids(name)) {
      if (kinds.length === 0 || kinds.includes(this.#kindAt(this.#starts[id]))) return id
    }
    return undefined
  }

  all(): BtfType[] {
    return Array.from({ length: this.count - 1 }, (_, i) => this.type(i + 1) as BtfType)
  }

  #start(id: BtfId): number {
    if (!(id > 0 && id < this.count && Number.isInteger(id))) {
      throw new Diagnostic({
        code: 'btf/no-type',
        message: `BTF has no type ${id}: its ids go from 1 to ${this.count - 1}`,
      })
    }
    return this.#starts[id]
  }

  #word(at: number): number {
    return this.#view.getUint32(at, this.#header.littleEndian)
  }

  #kindAt(start: number): BtfKind {
    return KINDS[(this.#word(start + 4) >>> 24) & 0x1f]!.kind
  }

  /** Where the name of the type at `start` lies, in bytes from the start of the BTF. */
  #nameAt(start: number): number {
    const offset = this.#word(start)
    const at = this.#header.strings + offset
    if (at >= this.#header.stringsEnd) refuse('string', `a name at ${offset} lies beyond the strings`)
    return at
  }

  /** The name whose offset stands at `at`. */
  #name(at: number): string {
    const from = this.#nameAt(at)
    const end = this.#bytes.indexOf(0, from)
    if (end - from > LONGEST_NAME) refuse('string', `a name of ${end - from} bytes`)
    return text(this.#bytes, from, end)
  }

  /** A type id as it stands at `at`, checked. */
  #ref(at: number): BtfId {
    const id = this.#word(at)
    if (id >= this.count) refuse('reference', `a reference to type ${id}, but its ids end at ${this.count - 1}`)
    return id
  }

  #linkage(value: number): 'static' | 'global' | 'extern' {
    return LINKAGES[value] ?? refuse('linkage', `linkage ${value} is unknown`)
  }

  #decode(at: number): BtfType {
    const info = this.#word(at + 4)
    const kind = this.#kindAt(at)
    const flag = info >>> 31 === 1
    const body = at + TYPE_SIZE
    const name = this.#name(at)
    const size = this.#word(at + 8)
    const list = <T>(each: number, read: (at: number) => T): T[] =>
      Array.from({ length: info & 0xffff }, (_, i) => read(body + i * each))
    switch (kind) {
      case 'int': {
        const word = this.#word(body)
        return { kind, name, size, encoding: encoding(word >>> 24), bits: word & 0xff, bitOffset: (word >>> 16) & 0xff }
      }
      case 'array':
        return { kind, type: this.#ref(body), index: this.#ref(body + 4), length: this.#word(body + 8) }
      case 'struct':
      case 'union':
        return { kind, name, size, members: list(12, (at) => this.#member(at, flag)) }
      case 'enum':
      case 'enum64':
        return { kind, name, size, signed: flag, values: this.#values(kind, flag, list) }
      case 'fwd':
        return { kind, name, union: flag }
      case 'func':
        return { kind, name, type: this.#ref(at + 8), linkage: this.#linkage(info & 0xffff) }
      case 'func_proto':
        return { kind, ret: this.#ref(at + 8), params: list(8, (at) => this.#param(at)) }
      case 'var':
        return { kind, name, type: this.#ref(at + 8), linkage: this.#linkage(this.#word(body)) }
      case 'datasec':
        return { kind, name, size, vars: list(12, (at) => this.#secVar(at)) }
      case 'float':
        return { kind, name, size }
      case 'decl_tag': {
        const component = this.#word(body) | 0
        return { kind, name, type: this.#ref(at + 8), component, ...(flag && { attribute: true }) }
      }
      case 'type_tag':
        return { kind, name, type: this.#ref(at + 8), ...(flag && { attribute: true }) }
      case 'typedef':
        return { kind, name, type: this.#ref(at + 8) }
      default:
        return { kind, type: this.#ref(at + 8) }
    }
  }

  /** With the struct's kind_flag set, an offset holds a bit field's size in its upper 8 bits. */
  #member(at: number, flag: boolean): BtfMember {
    const word = this.#word(at + 8)
    return {
      name: this.#name(at),
      type: this.#ref(at + 4),
      bitOffset: flag ? word & 0xffffff : word,
      bitSize: flag ? word >>> 24 : 0,
    }
  }

  #values(
    kind: 'enum' | 'enum64',
    signed: boolean,
    list: <T>(each: number, read: (at: number) => T) => T[],
  ): BtfEnumerator[] {
    if (kind === 'enum') {
      return list(8, (at) => {
        const word = this.#word(at + 4)
        return { name: this.#name(at), value: BigInt(signed ? word | 0 : word) }
      })
    }
    return list(12, (at) => {
      const value = (BigInt(this.#word(at + 8)) << 32n) | BigInt(this.#word(at + 4))
      return { name: this.#name(at), value: signed ? BigInt.asIntN(64, value) : value }
    })
  }

  #param(at: number): BtfParam {
    return { name: this.#name(at), type: this.#ref(at + 4) }
  }

  #secVar(at: number): BtfSecVar {
    return { type: this.#ref(at), offset: this.#word(at + 4), size: this.#word(at + 8) }
  }
}

function encoding(bits: number): 'unsigned' | 'signed' | 'char' | 'bool' {
  // A signed char is both in theory; compilers set one bit at most, and bool says the most.
  if (bits & INT_ENCODINGS.bool) return 'bool'
  if (bits & INT_ENCODINGS.char) return 'char'
  return bits & INT_ENCODINGS.signed ? 'signed' : 'unsigned'
}

function text(bytes: Uint8Array, from: number, to: number): string {
  let out = ''
  for (let i = from; i < to; i++) {
    if (bytes[i] > 0x7f) return new TextDecoder().decode(bytes.subarray(from, to))
    out += String.fromCharCode(bytes[i])
  }
  return out
}

/** Types by name: a hash table in two typed arrays, chains in order of id. */
class NameIndex {
  readonly #bytes: Uint8Array
  readonly #end: number
  readonly #heads: Uint32Array
  readonly #next: Uint32Array
  readonly #starts: Uint32Array
  readonly #nameAt: (start: number) => number

  constructor(bytes: Uint8Array, starts: Uint32Array, end: number, nameAt: (start: number) => number) {
    this.#bytes = bytes
    this.#end = end
    this.#starts = starts
    this.#nameAt = nameAt
    this.#heads = new Uint32Array(1 << Math.max(4, 32 - Math.clz32(starts.length)))
    this.#next = new Uint32Array(starts.length)
    // From the last to the first, so that each chain begins with the lowest id.
    for (let id = starts.length - 1; id > 0; id--) {
      const hash = this.#hash(nameAt(starts[id]))
      if (hash === undefined) continue
      this.#next[id] = this.#heads[hash]
      this.#heads[hash] = id
    }
  }

  /** Ids with this name, ascending. */
  *ids(name: string): Generator<BtfId> {
    const wanted = new TextEncoder().encode(`${name}\0`)
    if (wanted.length > LONGEST_NAME) return
    let hash = FNV_OFFSET
    for (let i = 0; i < wanted.length - 1; i++) hash = Math.imul(hash ^ wanted[i], FNV_PRIME)
    for (let id = this.#heads[hash & (this.#heads.length - 1)]; id !== 0; id = this.#next[id]) {
      if (this.#matches(this.#nameAt(this.#starts[id]), wanted)) yield id
    }
  }

  #matches(at: number, wanted: Uint8Array): boolean {
    for (let i = 0; i < wanted.length; i++) if (this.#bytes[at + i] !== wanted[i]) return false
    return true
  }

  /** The slot of the string at `at`; undefined for the empty one and for those too long to be a name. */
  #hash(at: number): number | undefined {
    const bytes = this.#bytes
    if (bytes[at] === 0) return undefined
    const end = Math.min(this.#end, at + LONGEST_NAME)
    let hash = FNV_OFFSET
    for (; at < end && bytes[at] !== 0; at++) hash = Math.imul(hash ^ bytes[at], FNV_PRIME)
    return at < end ? hash & (this.#heads.length - 1) : undefined
  }
}

// The 32-bit FNV-1a hash's constants.
const FNV_OFFSET = 0x811c9dc5
const FNV_PRIME = 0x01000193
