// Programs for the verifier's tests: assembly that may use a fixed set of maps by name, made into an ObjectSpec.

import { assembleProgram } from '../../src/isa/assemble.ts'
import type { Insn } from '../../src/isa/insn.ts'
import type { FuncInfo, MapSpec, ObjectSpec, Relocation } from '../../src/object/spec.ts'
import { HELPERS } from '../../src/spec/helpers.ts'
import { linux } from '../../src/spec/linux.ts'
import type { ProgTypeName } from '../../src/spec/names.ts'
import type { Platform } from '../../src/spec/platform.ts'

const BPF_F_RDONLY_PROG = 1 << 7
const BPF_F_WRONLY_PROG = 1 << 8

const key = new Uint8Array(4)
/** Bytes 0, 1, 2, … 31. */
const numbers = Uint8Array.from({ length: 32 }, (_, i) => i)

/** The maps that a test program may name. */
export const MAPS: readonly MapSpec[] = [
  { name: 'counts', type: 'hash', keySize: 4, valueSize: 8, maxEntries: 16, flags: 0 },
  { name: 'names', type: 'hash', keySize: 16, valueSize: 48, maxEntries: 16, flags: 0 },
  { name: 'table', type: 'array', keySize: 4, valueSize: 32, maxEntries: 4, flags: 0 },
  { name: 'globals', type: 'array', keySize: 4, valueSize: 64, maxEntries: 1, flags: 0 },
  {
    name: 'constants',
    type: 'array',
    keySize: 4,
    valueSize: 32,
    maxEntries: 1,
    flags: BPF_F_RDONLY_PROG,
    contents: [[key, numbers]],
    frozen: true,
  },
  { name: 'readonly', type: 'hash', keySize: 4, valueSize: 8, maxEntries: 4, flags: BPF_F_RDONLY_PROG },
  { name: 'writeonly', type: 'hash', keySize: 4, valueSize: 8, maxEntries: 4, flags: BPF_F_WRONLY_PROG },
  { name: 'events', type: 'ringbuf', keySize: 0, valueSize: 0, maxEntries: 4096, flags: 0 },
  { name: 'progs', type: 'prog_array', keySize: 4, valueSize: 4, maxEntries: 2, flags: 0 },
  { name: 'queue', type: 'queue', keySize: 0, valueSize: 8, maxEntries: 4, flags: 0 },
]

/** The kernel that verdicts are compared with where none is at hand. */
export const PLATFORM: Platform = linux({ version: [6, 18] })

const helpers = new Map<string, number>(HELPERS.map(({ name, id }) => [name, id]))

/** The entry and every function that is called (opcode 0x85 with src 1, RFC 9669 section 4.3). */
function functionsOf(insns: readonly Insn[]): FuncInfo[] {
  const starts = new Set([0])
  for (const [at, { opcode, src, imm }] of insns.entries()) {
    const target = at + 1 + imm
    if (opcode === 0x85 && src === 1 && target > 0 && target < insns.length) starts.add(target)
  }
  return [...starts].sort((a, b) => a - b).map((insn) => ({ insn, name: insn === 0 ? 'prog' : `f${insn}` }))
}

/** An object of one program and the maps that it names. */
export function objectOf(
  insns: readonly Insn[],
  relocations: readonly Relocation[],
  type: ProgTypeName,
  license = 'GPL',
): ObjectSpec {
  const used = new Set(relocations.map(({ map }) => map))
  return {
    name: 'case',
    license,
    maps: MAPS.filter(({ name }) => used.has(name)),
    types: [],
    programs: [
      {
        name: 'prog',
        type,
        section: type,
        insns,
        functions: functionsOf(insns),
        lines: [],
        relocations,
      },
    ],
  }
}

/** The object of an assembly text. */
export function assembled(text: string, type: ProgTypeName, license?: string): ObjectSpec {
  const { insns, relocations } = assembleProgram(text, { helpers })
  return objectOf(insns, relocations, type, license)
}
