// The shape of a contract case: a program in assembly, what it runs on, and what every engine must give. Cases are
// data; contract.ts runs them on an engine.

import type { BtfType } from '../../src/btf/types.ts'
import type { Redirect } from '../../src/engine/engine.ts'
import { assembleProgram } from '../../src/isa/assemble.ts'
import type { MapSpec, ObjectSpec, ProgramSpec } from '../../src/object/spec.ts'
import { HELPER_IDS } from '../../src/spec/gen/uapi.ts'
import type { ProgTypeName } from '../../src/spec/names.ts'

export interface Case {
  readonly name: string
  /** xdp if absent. */
  readonly type?: ProgTypeName
  /** The kernel's dialect. Helpers by name, maps as `map[NAME] ll`. */
  readonly asm: string
  readonly maps?: readonly MapSpec[]
  /** Further programs of the same type, for tail calls. */
  readonly others?: Readonly<Record<string, string>>
  /** BTF of the maps' values. */
  readonly types?: readonly BtfType[]
  /** The packet, as hex; 64 bytes 00 01 02 … if absent and the type has one. */
  readonly packet?: string
  /** Context bytes, as hex. */
  readonly ctx?: string
  /** How many runs, one after another; 1 if absent. */
  readonly runs?: number
  /** r0 of the last run, as a u32. */
  readonly retval?: number
  /** The packet after the last run, as hex. */
  readonly out?: string
  /** What maps hold afterwards: key to value, both as hex, in any order. */
  readonly contents?: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** Records of ring buffers afterwards, as hex. */
  readonly events?: Readonly<Record<string, readonly string[]>>
  /** Lost events that a ring buffer's source reports. */
  /** Where the last run's verdict sends the packet: the user engine tells. */
  readonly redirect?: Redirect
  readonly lost?: Readonly<Record<string, bigint>>
  /** The engine that cannot run it, with the reason. */
  readonly not?: { readonly [engine in 'user' | 'kernel']?: string }
}

const helpers: ReadonlyMap<string, number> = new Map(Object.entries(HELPER_IDS))

/** A map; sizes in bytes. */
export const map = (
  name: string,
  type: MapSpec['type'],
  keySize: number,
  valueSize: number,
  maxEntries: number,
  more: Partial<MapSpec> = {},
): MapSpec => ({ name, type, keySize, valueSize, maxEntries, flags: 0, ...more })

/** An array for results: element 0, one u64. */
export const result: MapSpec = map('result', 'array', 4, 8, 1)

/** Stores r0 as the u64 in map `result`, and exits with 0. Needs r9 and 12 bytes of stack. */
export const keep = `
  r9 = r0
  *(u32 *)(r10 - 4) = 0
  r1 = map[result] ll
  r2 = r10
  r2 += -4
  call map_lookup_elem
  if r0 == 0 goto +1
  *(u64 *)(r0 + 0) = r9
  r0 = 0
  exit`

export function program(name: string, type: ProgTypeName, asm: string): ProgramSpec {
  const { insns, relocations, labels, lines } = assembleProgram(asm, { helpers, file: `${name}.asm` })
  // Subprograms are the labels that begin with `func`.
  const subprograms = [...labels]
    .filter(([label]) => label.startsWith('func'))
    .map(([label, slot]) => ({ insn: slot, name: label }))
  const functions = [{ insn: 0, name }, ...subprograms].sort((a, b) => a.insn - b.insn)
  return { name, type, section: type, insns, relocations, functions, lines }
}

export function object(
  name: string,
  programs: readonly ProgramSpec[],
  maps: readonly MapSpec[],
  types: readonly BtfType[] = [],
): ObjectSpec {
  return { name, license: 'GPL', programs, maps, types }
}

export const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

export function unhex(text: string): Uint8Array<ArrayBuffer> {
  const digits = text.replaceAll(/\s/g, '')
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16))
}

/** 00 01 02 …, 64 bytes. */
export const COUNTING: Uint8Array<ArrayBuffer> = Uint8Array.from({ length: 64 }, (_, i) => i)

/** A u64 as little-endian hex. */
export const u64 = (value: bigint): string =>
  hex(new Uint8Array(new BigUint64Array([BigInt.asUintN(64, value)]).buffer))
export const u32 = (value: number): string => u64(BigInt(value)).slice(0, 8)
