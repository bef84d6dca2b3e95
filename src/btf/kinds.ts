// The kinds of BTF by number, and how many bytes each takes in the type section. One table for reader and
// writer (Documentation/bpf/btf.rst, section 2; include/uapi/linux/btf.h).

import type { BtfType } from './types.ts'

export type BtfKind = BtfType['kind']

/** Bytes of `struct btf_header`. */
export const HEADER_SIZE = 24
/** `struct btf_header` begins with this number, in the byte order of the whole. */
export const MAGIC = 0xeb9f
export const VERSION = 1
/** Bytes of `struct btf_type`: name_off, info, and size or type. */
export const TYPE_SIZE = 12
/** The most members, values, parameters or variables a type can have: vlen is 16 bits of `info`. */
export const MAX_VLEN = 0xffff

interface KindRow {
  readonly kind: BtfKind
  /** Bytes after the common 12. */
  readonly extra: number
  /** Bytes for each of vlen entries. */
  readonly each: number
}

/** By BTF_KIND_* number; 0 is void, which is never stored. */
export const KINDS: readonly (KindRow | undefined)[] = [
  undefined,
  { kind: 'int', extra: 4, each: 0 },
  { kind: 'ptr', extra: 0, each: 0 },
  { kind: 'array', extra: 12, each: 0 },
  { kind: 'struct', extra: 0, each: 12 },
  { kind: 'union', extra: 0, each: 12 },
  { kind: 'enum', extra: 0, each: 8 },
  { kind: 'fwd', extra: 0, each: 0 },
  { kind: 'typedef', extra: 0, each: 0 },
  { kind: 'volatile', extra: 0, each: 0 },
  { kind: 'const', extra: 0, each: 0 },
  { kind: 'restrict', extra: 0, each: 0 },
  { kind: 'func', extra: 0, each: 0 },
  { kind: 'func_proto', extra: 0, each: 8 },
  { kind: 'var', extra: 4, each: 0 },
  { kind: 'datasec', extra: 0, each: 12 },
  { kind: 'float', extra: 0, each: 0 },
  { kind: 'decl_tag', extra: 4, each: 0 },
  { kind: 'type_tag', extra: 0, each: 0 },
  { kind: 'enum64', extra: 0, each: 12 },
]

/** The BTF_KIND_* number of a kind. */
export const kindNumber = (kind: BtfKind): number => KINDS.findIndex((row) => row?.kind === kind)

/** Linkage of func and var by number (enum btf_func_linkage; vars: static, global, extern). */
export const LINKAGES = ['static', 'global', 'extern'] as const

/** Bits of the word after an int's 12 bytes (BTF_INT_SIGNED and so on). */
export const INT_ENCODINGS = { unsigned: 0, signed: 1, char: 2, bool: 4 } as const
