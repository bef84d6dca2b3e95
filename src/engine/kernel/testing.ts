// For the tests of the kernel engine: objects by hand, from assembly, and what this process holds of the kernel.

import { readdirSync } from 'node:fs'
import { describe, it } from 'vitest'
import type { Diagnostic } from '../../diag/diagnostic.ts'
import { assembleProgram } from '../../isa/assemble.ts'
import type { MapSpec, ObjectSpec, ProgramSpec } from '../../object/spec.ts'
import { HELPER_IDS, STRUCTS } from '../../spec/gen/uapi.ts'
import type { ProgTypeName } from '../../spec/names.ts'
import type { Bpf } from './bpf.ts'
import { type KernelSupport, kernelSupport } from './probe.ts'
import { Tracefs } from './tracefs.ts'

const HELPERS: ReadonlyMap<string, number> = new Map(Object.entries(HELPER_IDS))

type Support = Extract<KernelSupport, { ok: true }>

/**
 * Runs `tests` where the kernel can be used for tracing and for packets, with its tracepoints at hand; elsewhere they
 * are skipped and the name says why.
 */
export function describeKernel(name: string, tests: (support: Support) => void): void {
  const support = kernelSupport()
  const missing = whatIsMissing(support)
  describe(name, () => {
    if (support.ok && !missing) tests(support)
    else it.skip(`skipped: ${missing?.message}`, () => {})
  })
}

function whatIsMissing(support: KernelSupport): Diagnostic | undefined {
  if (!support.ok) return support.missing
  const packets = kernelSupport('xdp')
  if (!packets.ok) return packets.missing
  const tracefs = new Tracefs(support.bpf.sys)
  const { missing } = tracefs
  tracefs.close()
  return missing
}

/** A program from assembly text; its line info points into that text as `NAME.asm`. */
export function program(name: string, type: ProgTypeName, text: string, target?: string): ProgramSpec {
  const { insns, relocations, lines } = assembleProgram(text, { helpers: HELPERS, file: `${name}.asm` })
  const section = target ? `${type}/${target}` : type
  return { name, type, section, target, insns, relocations, lines, functions: [{ insn: 0, name }] }
}

export function map(
  name: string,
  type: MapSpec['type'],
  keySize: number,
  valueSize: number,
  maxEntries: number,
): MapSpec {
  return { name, type, keySize, valueSize, maxEntries, flags: 0 }
}

export function object(maps: readonly MapSpec[], programs: readonly ProgramSpec[]): ObjectSpec {
  return { name: 'test', license: 'GPL', programs, maps, types: [] }
}

export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, true)
  return bytes
}

export function u64(value: number | bigint): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true)
  return bytes
}

export const toU32 = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
export const toU64 = (bytes: Uint8Array): bigint => new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true)

/** File descriptors that this process has open. */
export const openFds = (): number => readdirSync('/proc/self/fd').length

const INFO = { prog: STRUCTS.bpf_prog_info, map: STRUCTS.bpf_map_info }

/** Ids of the programs or maps in the kernel that have this name. */
export function idsNamed(bpf: Bpf, kind: 'prog' | 'map', name: string): number[] {
  const ids: number[] = []
  for (let id = bpf.nextId(kind, 0); id > 0; id = bpf.nextId(kind, id)) {
    const fd = bpf.fdById(kind, id)
    if (fd < 0) continue
    const info = new Uint8Array(256)
    bpf.objInfo(fd, info)
    bpf.sys.close(fd)
    const { offset, size } = INFO[kind].name
    const text = new TextDecoder().decode(info.subarray(offset, offset + size)).replace(/\0.*$/s, '')
    if (text === name) ids.push(id)
  }
  return ids
}
