// ObjectSpec: what a probe file, an ELF object or a line of assembly becomes. Plain, deterministic data
// that can be printed, compared, cached and sent; whatever depends on the machine (BTF ids of the
// kernel, file descriptors, addresses) is resolved by an engine at load.

import type { BtfId, BtfType } from '../btf/types.ts'
import type { Insn } from '../isa/insn.ts'
import type { MapTypeName, ProgTypeName } from '../spec/names.ts'

/** A 64-bit immediate or call target that is known only at load. The instruction at `insn` is patched. */
export type Relocation =
  /** lddw becomes the address or fd of a map. */
  | { readonly insn: number; readonly kind: 'map'; readonly map: string }
  /** lddw becomes the address `offset` bytes into the only value of an array map (global data). */
  | { readonly insn: number; readonly kind: 'map_value'; readonly map: string; readonly offset: number }

/** Where a line of source begins in the instructions; it holds until the next entry. */
export interface LineInfo {
  readonly insn: number
  readonly file: string
  /** From 1. */
  readonly line: number
  readonly column: number
  /** The source line, so that a log can quote it. */
  readonly text: string
}

/** A function of a program: the entry at slot 0 first, then the subprograms in order of their slots. */
export interface FuncInfo {
  readonly insn: number
  readonly name: string
  /** A `func` type in the object's BTF, where it has one. */
  readonly type?: BtfId
}

export interface ProgramSpec {
  readonly name: string
  readonly type: ProgTypeName
  /** libbpf's section name, `tracepoint/sched/sched_process_exec`, `xdp`: type and attach target in one. */
  readonly section: string
  /** What it attaches to, without the prefix: `sched/sched_process_exec`. Absent where the user must say. */
  readonly target?: string
  readonly insns: readonly Insn[]
  readonly functions: readonly FuncInfo[]
  readonly lines: readonly LineInfo[]
  readonly relocations: readonly Relocation[]
}

export interface MapSpec {
  readonly name: string
  readonly type: MapTypeName
  /** Bytes. */
  readonly keySize: number
  readonly valueSize: number
  readonly maxEntries: number
  /** BPF_F_* bits of map_flags. */
  readonly flags: number
  readonly keyType?: BtfId
  readonly valueType?: BtfId
  /** What it holds before the first program runs. */
  readonly contents?: readonly (readonly [key: Uint8Array, value: Uint8Array])[]
  /** What it refers to at the start, by name: maps for a map of maps, programs for a prog_array, both of this object. */
  readonly refs?: readonly (readonly [key: Uint8Array, name: string])[]
  /** What every map in a map of maps looks like; its name and contents mean nothing. */
  readonly inner?: MapSpec
  /** map_extra: how many hash functions a bloom filter has, in the low 4 bits; 5 if 0 or absent. */
  readonly extra?: number
  /** Read-only from user space too, once filled (BPF_MAP_FREEZE): its contents are constants to the verifier. */
  readonly frozen?: boolean
  /** Where the program counts (u64) what it could not store here because the map or buffer was full. */
  readonly lost?: { readonly map: string; readonly offset: number }
  /** Made by the compiler for its own needs (globals, counters of loss): not shown as a result. */
  readonly internal?: boolean
}

export interface ObjectSpec {
  readonly name: string
  /** `GPL` unlocks the helpers that ask for it. */
  readonly license: string
  readonly programs: readonly ProgramSpec[]
  readonly maps: readonly MapSpec[]
  /** The object's own BTF; ids in maps and functions point here. */
  readonly types: readonly BtfType[]
}
