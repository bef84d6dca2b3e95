// Random programs that every verifier accepts: arithmetic on unknown numbers, memory on the stack, atomic operations and
// forward branches, with the instructions drawn from the table, so that a new row is fuzzed too; in a loop that goes
// round a few times, with a call of a function in the middle.
// A seed gives the same program and inputs every time.

import type { Insn } from '../../src/isa/insn.ts'
import { INSNS, make, makeWide, type NamedRow } from '../../src/isa/table.ts'
import type { MapSpec, ObjectSpec, Relocation } from '../../src/object/spec.ts'

/** Numbers from 0 up to, not including, `below` (at most 2^32): mulberry32. */
export function random(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

type Random = (below: number) => number

/** Registers r0 to r9 hold numbers; r10 is the only pointer. */
const REGS = 10
/** Stack slots that the program reads and writes, from r10 - 64 up. */
const SLOTS = 8
/** What is left at the end: ten registers, eight slots. */
const WORDS = REGS + SLOTS

export const OUTPUT: MapSpec = {
  name: 'output',
  type: 'array',
  keySize: 4,
  valueSize: WORDS * 8,
  maxEntries: 1,
  flags: 0,
}

const named = (pattern: RegExp): readonly NamedRow[] => INSNS.filter(({ name }) => pattern.test(name))

const ARITHMETIC = named(/^(add|sub|mul|s?div|s?mod|or|and|xor|a?rsh|lsh|mov|neg|movsx|le|be|bswap)\d/)
const LOADS = named(/^ldxs?(b|h|w|dw)$/)
const STORES = named(/^stx?(b|h|w|dw)$/)
const ATOMICS = named(/^(atomic_|xchg|cmpxchg)/)
const BRANCHES = named(/^j(eq|ne|s?gt|s?ge|s?lt|s?le|set)\d/)

/** Numbers at which arithmetic goes wrong. */
const EDGES = [
  0, 1, -1, 2, 7, 8, 31, 32, 63, 64, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, -0x8000_0000,
  -0x7fff_ffff,
]

const pick = <T>(next: Random, from: readonly T[]): T => from[next(from.length)]
const immediate = (next: Random): number => (next(3) === 0 ? next(2 ** 32) | 0 : pick(next, EDGES))

/** The size in bytes of an access, from the name's last letters or bits. */
function sizeOf(name: string): number {
  if (/64$|dw$/.test(name)) return 8
  if (/32$|w$/.test(name)) return 4
  return name.endsWith('h') ? 2 : 1
}

/** An aligned place in the eight slots. */
const place = (next: Random, size: number): number => -64 + next(64 / size) * size

function arithmetic(next: Random): Insn {
  const row = pick(next, ARITHMETIC)
  let imm = immediate(next)
  // What the kernel refuses: shifts by the width or more, and divisors that are 0.
  if (/^(a?rsh|lsh)/.test(row.name)) imm = next(row.name.includes('32') ? 32 : 64)
  if (/^s?(div|mod)/.test(row.name) && imm === 0) imm = 3
  return fill(row, { dst: next(REGS), src: next(REGS), imm })
}

interface Operands {
  readonly dst: number
  readonly src: number
  readonly imm: number
  readonly off?: number
}

/** An instance of the row: operands for the fields that hold one. */
function fill(row: NamedRow, operands: Operands): Insn {
  const wanted = Object.entries(operands).filter(([field]) => typeof row[field as keyof Operands] !== 'number')
  return make(row.name, Object.fromEntries(wanted))
}

function memory(next: Random): Insn[] {
  const row = pick(next, pick(next, [LOADS, STORES, ATOMICS]))
  const off = place(next, sizeOf(row.name))
  const load = row.name.startsWith('ldx')
  const insn = fill(row, { dst: load ? next(REGS) : 10, src: load ? 10 : next(REGS), imm: immediate(next), off })
  // Linux 6.18 sometimes leaves the upper half of r0 as it was: where a branch joins another that its verifier has pruned.
  return row.name === 'cmpxchg32' ? [insn, make('mov32_reg', { dst: 0, src: 0 })] : [insn]
}

/** `count` instructions; every branch goes forward and at most to the end. */
function body(next: Random, count: number): Insn[] {
  return Array.from({ length: count }, (_, at) => {
    const kind = next(10)
    if (kind < 6) return [arithmetic(next)]
    if (kind < 9) return memory(next)
    const off = next(Math.min(6, count - at))
    return [fill(pick(next, BRANCHES), { dst: next(REGS), src: next(REGS), imm: immediate(next), off })]
  }).flat()
}

/** Where the loop keeps its counter, and r9 meanwhile. */
const COUNTER = -152
const SAVED = -160

/** `insns` a few times over. */
function loop(next: Random, insns: readonly Insn[]): Insn[] {
  const back = insns.length + 7
  return [
    make('stdw', { dst: 10, off: COUNTER, imm: 1 + next(4) }),
    ...insns,
    make('stxdw', { dst: 10, src: 9, off: SAVED }),
    make('ldxdw', { dst: 9, src: 10, off: COUNTER }),
    make('add64_imm', { dst: 9, imm: -1 }),
    make('stxdw', { dst: 10, src: 9, off: COUNTER }),
    make('jeq64_imm', { dst: 9, imm: 0, off: 2 }),
    make('ldxdw', { dst: 9, src: 10, off: SAVED }),
    make('ja', { off: -back }),
    make('ldxdw', { dst: 9, src: 10, off: SAVED }),
  ]
}

/** A call of the function, which gives a number for r0 and leaves r1 to r5 to be filled from what the program keeps. */
const callOf = (distance: number): Insn[] => [
  make('call_local', { imm: distance }),
  ...[6, 7, 8, 9, 0].map((src, i) => make('mov64_reg', { dst: i + 1, src })),
]

/** A function of r1 to r5. */
const callee = (next: Random): Insn[] => [
  ...[1, 2, 3, 4, 5].map((src) => make('mov64_reg', { dst: src === 5 ? 0 : src + 5, src })),
  ...Array.from({ length: 3 + next(12) }, () => arithmetic(next)),
  make('exit'),
]

/** Slots and registers from the packet, or out if it is too short. */
function prologue(): Insn[] {
  const loads = [
    ...Array.from({ length: SLOTS }, (_, i) => [
      make('ldxdw', { dst: 4, src: 2, off: (REGS + i) * 8 }),
      make('stxdw', { dst: 10, src: 4, off: -64 + i * 8 }),
    ]).flat(),
    ...[0, 1, 3, 4, 5, 6, 7, 8, 9, 2].map((reg) => make('ldxdw', { dst: reg, src: 2, off: reg * 8 })),
  ]
  return [
    make('ldxw', { dst: 2, src: 1, off: 0 }),
    make('ldxw', { dst: 3, src: 1, off: 4 }),
    make('mov64_reg', { dst: 4, src: 2 }),
    make('add64_imm', { dst: 4, imm: WORDS * 8 }),
    make('jle64_reg', { dst: 4, src: 3, off: 2 }),
    make('mov64_imm', { dst: 0, imm: 0xbad }),
    make('exit'),
    ...loads,
  ]
}

/** Everything into the map, r0 = 1. */
function epilogue(): Insn[] {
  const spill = Array.from({ length: REGS }, (_, reg) =>
    make('stxdw', { dst: 10, src: reg, off: -64 - REGS * 8 + reg * 8 }),
  )
  const word = (i: number): number => (i < REGS ? -64 - REGS * 8 + i * 8 : -64 + (i - REGS) * 8)
  const copy = Array.from({ length: WORDS }, (_, i) => [
    make('ldxdw', { dst: 2, src: 10, off: word(i) }),
    make('stxdw', { dst: 1, src: 2, off: i * 8 }),
  ]).flat()
  return [
    ...spill,
    ...makeWide('lddw_map_value', { dst: 1 }),
    ...copy,
    make('mov64_imm', { dst: 0, imm: 1 }),
    make('exit'),
  ]
}

/** The program of a seed. */
export function generate(seed: number): ObjectSpec {
  const next = random(seed)
  const [first, second] = [body(next, 5 + next(30)), body(next, 5 + next(30))]
  const whole = (distance: number): Insn[] => {
    const middle = [...first, ...callOf(distance), ...second]
    return [...prologue(), ...(round ? loop(random(seed), middle) : middle)]
  }
  const round = next(2) === 0
  const after = epilogue()
  const start = whole(0).length + after.length
  const call = prologue().length + (round ? 1 : 0) + first.length
  const before = whole(start - call - 1)
  const insns = [...before, ...after, ...callee(next)]
  const relocations: Relocation[] = [{ insn: before.length + REGS, kind: 'map_value', map: OUTPUT.name, offset: 0 }]
  const functions = [
    { insn: 0, name: 'fuzz' },
    { insn: start, name: 'function' },
  ]
  const program = { name: 'fuzz', type: 'xdp', section: 'xdp', insns, functions, lines: [], relocations } as const
  return { name: 'fuzz', license: 'GPL', programs: [program], maps: [OUTPUT], types: [] }
}

/** Inputs of a seed: packets whose words are edges or anything. */
export function inputs(seed: number, count: number): Uint8Array[] {
  const next = random(seed ^ 0x5eed)
  return Array.from({ length: count }, () => {
    const words = Array.from({ length: WORDS }, () => {
      if (next(2)) return BigInt(pick(next, EDGES))
      return (BigInt(next(2 ** 32)) << 32n) | BigInt(next(2 ** 32))
    })
    return new Uint8Array(new BigUint64Array(words.map((word) => BigInt.asUintN(64, word))).buffer)
  })
}
