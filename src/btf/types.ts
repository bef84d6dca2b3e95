// The BTF type model: every kind of the BPF Type Format as plain data (Documentation/bpf/btf.rst).
// Ids count from 1 in the order of the list; id 0 is void. What is read from a kernel and what the
// compiler writes are the same shape.

/** An id into a list of types: 0 is void, n is `types[n - 1]`. */
export type BtfId = number

export interface BtfMember {
  readonly name: string
  readonly type: BtfId /** From the start of the struct. */
  readonly bitOffset: number /** 0 if not a bit field. */
  readonly bitSize: number
}
export interface BtfParam {
  readonly name: string
  readonly type: BtfId
}
export interface BtfEnumerator {
  readonly name: string
  readonly value: bigint
}
export interface BtfSecVar {
  readonly type: BtfId /** Bytes. */
  readonly offset: number
  readonly size: number
}

export type BtfType =
  | {
      readonly kind: 'int'
      readonly name: string /** Bytes. */
      readonly size: number
      readonly encoding: 'unsigned' | 'signed' | 'char' | 'bool'
      readonly bits: number
      readonly bitOffset: number
    }
  | { readonly kind: 'ptr'; readonly type: BtfId }
  | { readonly kind: 'array'; readonly type: BtfId; readonly index: BtfId; readonly length: number }
  | {
      readonly kind: 'struct' | 'union'
      readonly name: string
      readonly size: number
      readonly members: readonly BtfMember[]
    }
  | {
      readonly kind: 'enum' | 'enum64'
      readonly name: string
      readonly size: number
      readonly signed: boolean
      readonly values: readonly BtfEnumerator[]
    }
  | { readonly kind: 'fwd'; readonly name: string; readonly union: boolean }
  | { readonly kind: 'typedef'; readonly name: string; readonly type: BtfId }
  | { readonly kind: 'volatile' | 'const' | 'restrict'; readonly type: BtfId }
  | {
      readonly kind: 'func'
      readonly name: string
      readonly type: BtfId
      readonly linkage: 'static' | 'global' | 'extern'
    }
  | { readonly kind: 'func_proto'; readonly ret: BtfId; readonly params: readonly BtfParam[] }
  | {
      readonly kind: 'var'
      readonly name: string
      readonly type: BtfId
      readonly linkage: 'static' | 'global' | 'extern'
    }
  | { readonly kind: 'datasec'; readonly name: string; readonly size: number; readonly vars: readonly BtfSecVar[] }
  | { readonly kind: 'float'; readonly name: string; readonly size: number }
  | {
      readonly kind: 'decl_tag'
      readonly name: string
      readonly type: BtfId /** -1 for the whole type. */
      readonly component: number
      readonly attribute?: boolean
    }
  | { readonly kind: 'type_tag'; readonly name: string; readonly type: BtfId; readonly attribute?: boolean }

/** Look-up over types, whether they are a plain list or a kernel's 6 MB that is decoded on demand. */
export interface BtfTypes {
  /** Throws a Diagnostic if there is no such id. Id 0 (void) gives undefined. */
  type(id: BtfId): BtfType | undefined
  /** The first id with this name and one of these kinds, or undefined. */
  find(name: string, ...kinds: BtfType['kind'][]): BtfId | undefined
  /** One more than the highest id. */
  readonly count: number
}
