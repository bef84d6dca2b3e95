// Types of kernel values: what a declaration such as struct({ pid: u32 }) means in bytes. Layout is C's:
// each field at its natural alignment, the whole padded to the largest.

export interface IntType {
  readonly kind: 'int'
  readonly bits: 8 | 16 | 32 | 64
  readonly signed: boolean
}
export interface StructType {
  readonly kind: 'struct'
  /** The name of the declaration, once it is known. */
  name: string
  readonly fields: readonly StructField[]
  readonly size: number
  readonly align: number
}
export interface StructField {
  readonly name: string
  readonly type: KType
  readonly offset: number
}
export type KType =
  | IntType
  | { readonly kind: 'bool' }
  /** `size` bytes, its terminating zero included. */
  | { readonly kind: 'str'; readonly size: number }
  | { readonly kind: 'array'; readonly element: KType; readonly length: number }
  | { readonly kind: 'enum'; name: string; readonly base: IntType; readonly members: ReadonlyMap<string, bigint> }
  | StructType

export const int = (bits: 8 | 16 | 32 | 64, signed = false): IntType => ({ kind: 'int', bits, signed })
export const U8 = int(8)
export const U16 = int(16)
export const U32 = int(32)
export const U64 = int(64)
export const I32 = int(32, true)
export const I64 = int(64, true)

/** The integer types by their names in the surface. */
export const INTEGERS: ReadonlyMap<string, IntType> = new Map(
  ([8, 16, 32, 64] as const).flatMap((bits) => [
    [`u${bits}`, int(bits)],
    [`i${bits}`, int(bits, true)],
  ]),
)

/** Bytes. */
export function sizeOf(type: KType): number {
  switch (type.kind) {
    case 'int':
      return type.bits / 8
    case 'bool':
      return 1
    case 'str':
    case 'struct':
      return type.size
    case 'array':
      return sizeOf(type.element) * type.length
    case 'enum':
      return type.base.bits / 8
  }
}

/** Bytes. */
export function alignOf(type: KType): number {
  switch (type.kind) {
    case 'str':
      return 1
    case 'array':
      return alignOf(type.element)
    case 'struct':
      return type.align
    default:
      return sizeOf(type)
  }
}

export function structOf(members: readonly { readonly name: string; readonly type: KType }[]): StructType {
  let size = 0
  let align = 1
  const fields = members.map(({ name, type }): StructField => {
    const step = alignOf(type)
    const offset = Math.ceil(size / step) * step
    size = offset + sizeOf(type)
    align = Math.max(align, step)
    return { name, type, offset }
  })
  return { kind: 'struct', name: '', fields, size: Math.ceil(size / align) * align, align }
}

/** The bytes of a struct that no field covers, as [offset, length]. */
export function gaps(type: StructType): [offset: number, length: number][] {
  const found: [number, number][] = []
  let at = 0
  for (const field of type.fields) {
    if (field.offset > at) found.push([at, field.offset - at])
    at = field.offset + sizeOf(field.type)
  }
  if (at < type.size) found.push([at, type.size - at])
  return found
}

/** The integer behind an integer or an enumeration. */
export function integerOf(type: KType): IntType | undefined {
  if (type.kind === 'int') return type
  return type.kind === 'enum' ? type.base : undefined
}

export const typeName = (type: KType): string => {
  switch (type.kind) {
    case 'int':
      return `${type.signed ? 'i' : 'u'}${type.bits}`
    case 'bool':
      return 'bool'
    case 'str':
      return `str(${type.size})`
    case 'array':
      return `array(${typeName(type.element)}, ${type.length})`
    case 'enum':
    case 'struct':
      return type.name || type.kind
  }
}

/** Whether two types lie in memory the same way, field by field. */
export function sameLayout(a: KType, b: KType): boolean {
  if (a === b) return true
  const x = integerOf(a)
  const y = integerOf(b)
  if (x && y) return x.bits === y.bits
  if (a.kind === 'struct' && b.kind === 'struct') {
    return (
      a.fields.length === b.fields.length &&
      a.fields.every((field, i) => field.name === b.fields[i].name && sameLayout(field.type, b.fields[i].type))
    )
  }
  if (a.kind === 'array' && b.kind === 'array') return a.length === b.length && sameLayout(a.element, b.element)
  return a.kind === b.kind && sizeOf(a) === sizeOf(b)
}
