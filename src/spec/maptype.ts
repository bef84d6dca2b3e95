// What a row of the map type table says: key and value rules, operations, flags.
// From the kernel's map_alloc_check functions and Documentation/bpf/map_*.rst.

import type { MapTypeName } from './names.ts'

export interface MapTypeRow {
  readonly name: MapTypeName
  readonly id: number
  readonly since: string
  /** `u32`: an index below maxEntries; `any`: bytes of keySize; `none`: no keys. */
  readonly key: 'u32' | 'any' | 'none'
  /** Whether a look-up from a program gives a pointer to the value, and the value may be stored by user space. */
  readonly values: 'memory' | 'percpu' | 'fd' | 'records' | 'none'
  /** BPF_F_* bits that may be given at creation. */
  readonly flags: number
  /** Whether elements can be deleted. */
  readonly deletes: boolean
  /** Whether it supports direct value addresses (lddw map_value). */
  readonly direct?: boolean
  /** maxEntries must be a power of two of at least a page: ring buffers. */
  readonly ring?: boolean
}
