// Sizes and members: what a C compiler knows of a type, read off its BTF. Typedefs and qualifiers are looked
// through. Chains and nesting are bounded, for BTF from outside may point in circles.

import { Diagnostic } from '../diag/diagnostic.ts'
import type { BtfId, BtfMember, BtfType, BtfTypes } from './types.ts'

/** The kernel's own bound on how deep types may nest (MAX_RESOLVE_DEPTH in kernel/bpf/btf.c). */
const MAX_DEPTH = 32

/** Unnamed structs and unions within one type; doubled at each of 32 levels they would be without end. */
const MAX_UNNAMED = 4096

/** Bytes of a pointer: BPF is a 64-bit machine. */
export const POINTER_SIZE = 8

const tooDeep = (id: BtfId): Diagnostic =>
  new Diagnostic({
    code: 'btf/too-deep',
    message: `BTF type ${id} nests deeper than ${MAX_DEPTH} types, or contains itself`,
  })

/** Whether a kind only renames or qualifies another type. */
const looksThrough = (
  type: BtfType | undefined,
): type is BtfType & { kind: 'typedef' | 'const' | 'volatile' | 'restrict' | 'type_tag' } =>
  type !== undefined &&
  (type.kind === 'typedef' ||
    type.kind === 'const' ||
    type.kind === 'volatile' ||
    type.kind === 'restrict' ||
    type.kind === 'type_tag')

/** The id behind typedefs, qualifiers and type tags; 0 if they end at void. Throws a Diagnostic on a circle. */
export function resolveId(types: BtfTypes, id: BtfId): BtfId {
  let at = id
  for (let depth = 0; depth <= MAX_DEPTH; depth++) {
    const type = types.type(at)
    if (!looksThrough(type)) return at
    at = type.type
  }
  throw tooDeep(id)
}

/** The type behind typedefs, qualifiers and type tags; undefined for void. Throws a Diagnostic on a circle. */
export const resolve = (types: BtfTypes, id: BtfId): BtfType | undefined => types.type(resolveId(types, id))

/** Bytes of a type. Throws a Diagnostic where it has none (void, a function, a forward declaration). */
export function sizeOf(types: BtfTypes, id: BtfId): number {
  return measure(types, id, 0)
}

function measure(types: BtfTypes, id: BtfId, depth: number): number {
  if (depth > MAX_DEPTH) throw tooDeep(id)
  const type = resolve(types, id)
  switch (type?.kind) {
    case 'int':
    case 'float':
    case 'struct':
    case 'union':
    case 'enum':
    case 'enum64':
    case 'datasec':
      return type.size
    case 'ptr':
      return POINTER_SIZE
    case 'array': {
      const size = type.length === 0 ? 0 : type.length * measure(types, type.type, depth + 1)
      if (size <= Number.MAX_SAFE_INTEGER) return size
      throw new Diagnostic({ code: 'btf/too-large', message: `BTF type ${id} is an array of more than 2^53 bytes` })
    }
    case 'var':
      return measure(types, type.type, depth + 1)
    default:
      throw new Diagnostic({ code: 'btf/no-size', message: `BTF type ${id} (${describe(types, id)}) has no size` })
  }
}

/** The alignment that C gives a type on a 64-bit machine, in bytes. Packed structs are not seen as such. */
export const alignOf = (types: BtfTypes, id: BtfId): number => align(types, id, 0, new Map())

/** `known` holds what was found already: a struct may occur many times over. */
function align(types: BtfTypes, id: BtfId, depth: number, known: Map<BtfId, number>): number {
  if (depth > MAX_DEPTH) throw tooDeep(id)
  const found = known.get(id)
  if (found !== undefined) return found
  const type = resolve(types, id)
  const inner = (id: BtfId): number => align(types, id, depth + 1, known)
  let own: number
  if (type?.kind === 'array' || type?.kind === 'var') own = inner(type.type)
  else if (isComposite(type)) own = type.members.reduce((most, member) => Math.max(most, inner(member.type)), 1)
  else own = Math.min(16, sizeOf(types, id))
  known.set(id, own)
  return own
}

/** A member as it is reached from outside: through unnamed structs and unions. */
export interface FoundMember {
  readonly name: string
  readonly type: BtfId
  /** From the start of the outermost struct. */
  readonly bitOffset: number
  /** 0 if not a bit field. */
  readonly bitSize: number
}

/** The members of a struct or union by the names that C code may use: those of unnamed members stand in their place. */
export function flatMembers(types: BtfTypes, id: BtfId): FoundMember[] {
  const out: FoundMember[] = []
  let visits = 0
  const visit = (id: BtfId, base: number, depth: number): void => {
    if (depth > MAX_DEPTH || ++visits > MAX_UNNAMED) throw tooDeep(id)
    for (const member of membersOf(types, id)) {
      const bitOffset = base + member.bitOffset
      if (member.name !== '') out.push({ ...member, bitOffset })
      else if (isComposite(resolve(types, member.type))) visit(member.type, bitOffset, depth + 1)
    }
  }
  visit(id, 0, 0)
  return out
}

/** A member by name, unnamed structs and unions included; undefined if there is none such. */
export const findMember = (types: BtfTypes, id: BtfId, name: string): FoundMember | undefined =>
  flatMembers(types, id).find((member) => member.name === name)

function membersOf(types: BtfTypes, id: BtfId): readonly BtfMember[] {
  const type = resolve(types, id)
  if (isComposite(type)) return type.members
  throw new Diagnostic({ code: 'btf/no-members', message: `BTF type ${id} (${describe(types, id)}) has no members` })
}

const isComposite = (type: BtfType | undefined): type is BtfType & { kind: 'struct' | 'union' } =>
  type?.kind === 'struct' || type?.kind === 'union'

/** A type in a few words of C, for messages: `struct task_struct`, `u32`, `char[16]`, `void *`. */
export function describe(types: BtfTypes, id: BtfId, depth = 0): string {
  if (depth > MAX_DEPTH) return '…'
  const type = types.type(id)
  if (type === undefined) return 'void'
  switch (type.kind) {
    case 'ptr':
      return `${describe(types, type.type, depth + 1)} *`
    case 'array':
      return `${describe(types, type.type, depth + 1)}[${type.length}]`
    case 'struct':
    case 'union':
    case 'enum':
      return `${type.kind} ${type.name || '(unnamed)'}`
    case 'enum64':
      return `enum ${type.name || '(unnamed)'}`
    case 'fwd':
      return `${type.union ? 'union' : 'struct'} ${type.name}`
    case 'const':
    case 'volatile':
    case 'restrict':
      return `${type.kind} ${describe(types, type.type, depth + 1)}`
    case 'type_tag':
      return describe(types, type.type, depth + 1)
    case 'func_proto':
      return 'function'
    default:
      return type.name
  }
}
