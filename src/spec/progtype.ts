// What a row of the program type table says: section names, context layout, return range.
// From the kernel's bpf_verifier_ops of each type and libbpf's section definitions.

import type { ProgTypeName } from './names.ts'

/** What a context field yields when it is read. */
export type CtxKind = 'scalar' | 'packet' | 'packet_end' | 'packet_meta' | 'socket_or_null'

export interface CtxField {
  readonly name: string
  /** Bytes from the start of the context. */
  readonly offset: number
  readonly size: number
  readonly kind: CtxKind
  readonly writable: boolean
  /** Smallest access that is allowed; a narrower aligned read of a wider field is allowed where this is less than size. */
  readonly narrow?: number
  /** Smallest write that is allowed, where the field is writable; `size` if absent. */
  readonly narrowWrite?: number
  /** Part of an area of bytes: an aligned access of up to 8 bytes may span several fields that lie side by side and say so (cb). */
  readonly area?: boolean
}

/** A context that is plain bytes, read at any offset that is a multiple of the access's size. */
export interface RawContext {
  /** How many bytes. */
  readonly raw: number
  /** The first byte that may be accessed; 0 if absent. */
  readonly from?: number
  readonly writable?: boolean
}

export interface ProgTypeRow {
  readonly name: ProgTypeName
  readonly id: number
  readonly since: string
  /** Section prefixes of libbpf, the canonical one first: `tracepoint/`, `tp/`. One that ends in `/` wants a target. */
  readonly sections: readonly string[]
  /** The context struct's name in the kernel: `xdp_md`. */
  readonly ctx: string
  /** The fields, or how many bytes may be read freely at any alignment of their size (tracepoint records), the first `from` of them excepted. */
  readonly fields: readonly CtxField[] | RawContext
  /** Whether packet data may be read and written directly. */
  readonly packet?: 'read' | 'write'
  /** Inclusive range that r0 must lie in at exit; absent: any. */
  readonly returns?: readonly [min: number, max: number]
  /** Whether it runs BPF_PROG_TEST_RUN in the kernel, and on what. */
  readonly testRun?: 'packet' | 'ctx'
  /** Tracing programs see other processes: they need CAP_PERFMON and may use the probe_read family. */
  readonly tracing?: boolean
}
