// Random programs for comparing verdicts with the kernel: shapes that real programs have (arithmetic, branches,
// spills, look-ups with and without a null check, packet checks of right and wrong sizes, loops, functions),
// put together at random and often slightly wrong. The same seed gives the same program.

import type { ProgTypeName } from '../../src/spec/names.ts'

export interface RandomProgram {
  readonly type: ProgTypeName
  readonly text: string
}

/** A small generator of random numbers (mulberry32): the same seed, the same numbers. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  below(n: number): number {
    return Math.floor(this.next() * n)
  }
  chance(p: number): boolean {
    return this.next() < p
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]
  }
}

const NUMBERS = ['r6', 'r7', 'r8', 'r9'] as const
const CONDITIONS = ['==', '!=', '>', '>=', '<', '<=', 's>', 's>=', 's<', 's<=', '&'] as const
const ARITHMETIC = ['+=', '-=', '*=', '/=', '|=', '&=', '^=', '%='] as const
const SHIFTS = ['<<=', '>>=', 's>>='] as const
const IMMEDIATES = [0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 255, 256, 4095, 65535, 0x7fffffff, -1, -2, -8, -64]

class Generator {
  readonly #random: Random
  readonly #lines: string[] = []
  readonly #type: ProgTypeName
  #labels = 0
  #functions = 0

  constructor(random: Random) {
    this.#random = random
    this.#type = random.pick(['xdp', 'socket_filter', 'sched_cls'] as const)
  }

  program(): RandomProgram {
    const random = this.#random
    this.#emit('*(u64 *)(r10 -512) = r1')
    for (const reg of NUMBERS) this.#number(reg)
    const length = 2 + random.below(12)
    for (let i = 0; i < length; i++) this.#shape(0)
    this.#emit('r0 = 0', 'exit')
    for (let i = 0; i < this.#functions; i++) this.#function(i)
    return { type: this.#type, text: this.#lines.join('\n') }
  }

  #emit(...lines: string[]): void {
    this.#lines.push(...lines)
  }

  #label(): string {
    return `l${this.#labels++}`
  }

  #imm(): number {
    const random = this.#random
    return random.chance(0.7) ? random.pick(IMMEDIATES) : random.below(200) - 100
  }

  /** Gives a register a number of some kind: known, from the context, from a helper, masked. */
  #number(reg: string): void {
    const random = this.#random
    const way = random.below(5)
    if (way === 0) this.#emit(`${reg} = ${this.#imm()}`)
    else if (way === 1) this.#emit('r1 = *(u64 *)(r10 -512)', `${reg} = *(u32 *)(r1 +${this.#type === 'xdp' ? 12 : 0})`)
    else {
      this.#emit('call get_prandom_u32', `${reg} = r0`)
      if (way === 3) this.#emit(`${reg} &= ${random.pick([1, 3, 7, 15, 31, 63, 255, 0xff8])}`)
      if (way === 4) this.#emit(`${reg} <<= 32`, `${reg} s>>= ${random.pick([32, 40, 56])}`)
    }
  }

  #shape(depth: number): void {
    const shapes = [
      this.#alu,
      this.#alu,
      this.#alu,
      this.#branch,
      this.#branch,
      this.#spill,
      this.#lookup,
      this.#lookup,
    ]
    const rarer = [
      this.#packet,
      this.#packet,
      this.#loop,
      this.#stack,
      this.#call,
      this.#atomic,
      this.#ring,
      this.#copy,
    ]
    this.#random.pick([...shapes, ...rarer, this.#global]).call(this, depth)
  }

  #alu(): void {
    const random = this.#random
    const dst = random.pick(NUMBERS)
    const wide = random.chance(0.6)
    const name = (reg: string): string => (wide ? reg : reg.replace('r', 'w'))
    if (random.chance(0.1)) {
      this.#emit(`${name(dst)} = -${name(dst)}`)
      return
    }
    if (random.chance(0.1)) {
      this.#emit(`${name(dst)} = (s${random.pick([8, 16])})${name(random.pick(NUMBERS))}`)
      return
    }
    if (random.chance(0.2)) {
      const by = random.chance(0.9) ? random.below(wide ? 64 : 32) : name(random.pick(NUMBERS))
      this.#emit(`${name(dst)} ${random.pick(SHIFTS)} ${by}`)
      return
    }
    const op = random.pick(ARITHMETIC)
    const imm = this.#imm()
    const by = random.chance(0.5) ? name(random.pick(NUMBERS)) : (op === '/=' || op === '%=') && imm === 0 ? 1 : imm
    this.#emit(`${name(dst)} ${op} ${by}`)
  }

  #copy(): void {
    const random = this.#random
    const [dst, src] = [random.pick(NUMBERS), random.pick(NUMBERS)]
    this.#emit(random.chance(0.7) ? `${dst} = ${src}` : `${dst.replace('r', 'w')} = ${src.replace('r', 'w')}`)
    if (random.chance(0.3)) this.#emit(`${dst} += ${random.below(64) - 16}`)
  }

  #condition(): string {
    const random = this.#random
    const wide = random.chance(0.65)
    const name = (reg: string): string => (wide ? reg : reg.replace('r', 'w'))
    const by = random.chance(0.3) ? name(random.pick(NUMBERS)) : this.#imm()
    return `if ${name(random.pick(NUMBERS))} ${random.pick(CONDITIONS)} ${by}`
  }

  #branch(depth: number): void {
    const end = this.#label()
    this.#emit(`${this.#condition()} goto ${end}`)
    if (depth < 3) for (let i = this.#random.below(3); i >= 0; i--) this.#shape(depth + 1)
    this.#emit(`${end}:`)
  }

  #spill(): void {
    const random = this.#random
    const size = random.pick(['u64', 'u64', 'u64', 'u32', 'u16', 'u8'])
    const bytes = { u64: 8, u32: 4, u16: 2, u8: 1 }[size] ?? 8
    const slot = -8 * (1 + random.below(4)) + (random.chance(0.2) ? bytes * random.below(8 / bytes) : 0)
    if (random.chance(0.2)) this.#emit(`*(${size} *)(r10 ${slot}) = ${this.#imm()}`)
    else this.#emit(`*(${size} *)(r10 ${slot}) = ${random.pick(NUMBERS)}`)
    if (random.chance(0.2)) this.#alu()
    const other = random.pick(['u64', 'u64', 'u32', 'u16', 'u8'])
    const from = random.chance(0.7) ? slot : -8 * (1 + random.below(4))
    const aligned = from - (((from % 8) + 8) % 8) * (other === 'u64' ? 1 : 0)
    this.#emit(
      `${random.pick(NUMBERS)} = *(${random.chance(0.7) ? size : other} *)(r10 ${random.chance(0.9) ? aligned : from})`,
    )
  }

  /** An access through r0 and sometimes a number, bounded well, badly or not at all. */
  #access(pointer: string, length: number): void {
    const random = this.#random
    const size = random.pick([1, 2, 4, 8])
    const type = `u${size * 8}`
    const off = random.chance(0.85) ? random.below(Math.max(1, length - size + 1)) : length - random.below(size + 1)
    if (random.chance(0.45)) {
      const by = random.pick(NUMBERS)
      const room = length - size
      if (random.chance(0.4)) this.#emit(`${by} &= ${random.pick([1, 3, 7, 15, room])}`)
      else if (random.chance(0.7)) {
        const end = this.#label()
        const limit = random.chance(0.7) ? room : room + 1
        const test = random.pick(['>', 's>', '>=', '>'])
        this.#emit(`if ${random.chance(0.8) ? by : by.replace('r', 'w')} ${test} ${limit} goto ${end}`)
        this.#emit(`r2 = ${pointer}`, `r2 ${random.chance(0.9) ? '+=' : '-='} ${by}`)
        this.#emit(`${random.pick(NUMBERS)} = *(${type} *)(r2 +${random.chance(0.8) ? 0 : 1})`, `${end}:`)
        return
      }
      this.#emit(`r2 = ${pointer}`, `r2 += ${by}`)
      const at = random.chance(0.7) ? 0 : off
      this.#emit(
        random.chance(0.5)
          ? `*(${type} *)(r2 +${at}) = ${random.pick(NUMBERS)}`
          : `${random.pick(NUMBERS)} = *(${type} *)(r2 +${at})`,
      )
      return
    }
    this.#emit(
      random.chance(0.5)
        ? `*(${type} *)(${pointer} +${off}) = ${random.pick(NUMBERS)}`
        : `${random.pick(NUMBERS)} = *(${type} *)(${pointer} +${off})`,
    )
  }

  #lookup(): void {
    const random = this.#random
    const [map, length] = random.pick([
      ['counts', 8],
      ['table', 32],
      ['table', 32],
      ['constants', 32],
    ] as const)
    const key = random.chance(0.4) ? String(random.below(6)) : random.pick(NUMBERS)
    this.#emit(`*(u32 *)(r10 -36) = ${key}`, 'r2 = r10', `r2 += ${random.chance(0.95) ? -36 : -2}`)
    this.#emit(`r1 = map[${map}] ll`, 'call map_lookup_elem')
    const end = this.#label()
    if (random.chance(0.9)) this.#emit(`if r0 == 0 goto ${end}`)
    this.#access('r0', length)
    if (random.chance(0.3)) this.#access('r0', length)
    this.#emit(`${end}:`)
  }

  #global(): void {
    const [map, length] = this.#random.pick([
      ['globals', 64],
      ['constants', 32],
    ] as const)
    this.#emit(`r0 = map_value[${map}][${this.#random.pick([0, 4, 8])}] ll`)
    this.#access('r0', length - 8)
  }

  #packet(): void {
    if (this.#type === 'socket_filter') {
      this.#alu()
      return
    }
    const random = this.#random
    const [data, end] = this.#type === 'xdp' ? [0, 4] : [76, 80]
    this.#emit('r1 = *(u64 *)(r10 -512)', `r3 = *(u32 *)(r1 +${data})`, `r4 = *(u32 *)(r1 +${end})`)
    const out = this.#label()
    const variable = random.chance(0.4)
    const by = random.pick(NUMBERS)
    if (variable) {
      if (random.chance(0.8)) this.#emit(`${by} &= ${random.pick([7, 63, 255, 65535])}`)
      this.#emit(`r3 += ${by}`)
    }
    const size = random.pick([1, 2, 4, 8, 14, 34])
    this.#emit('r5 = r3', `r5 += ${size}`)
    this.#emit(
      random.pick([
        `if r5 > r4 goto ${out}`,
        `if r5 >= r4 goto ${out}`,
        `if r4 < r5 goto ${out}`,
        `if r4 <= r5 goto ${out}`,
        `if r5 <= r4 goto ${out}`,
      ]),
    )
    const width = random.pick([1, 2, 4, 8])
    const off = random.chance(0.8)
      ? Math.max(0, random.below(Math.max(1, size - width + 1)))
      : size - width + random.below(3)
    this.#emit(
      random.chance(0.7)
        ? `${random.pick(NUMBERS)} = *(u${width * 8} *)(r3 +${Math.max(0, off)})`
        : `*(u${width * 8} *)(r5 -${width}) = ${random.pick(NUMBERS)}`,
    )
    this.#emit(`${out}:`)
  }

  #loop(depth: number): void {
    const random = this.#random
    const counter = random.pick(NUMBERS)
    const head = this.#label()
    const rounds = random.pick([2, 3, 5, 10])
    this.#emit(`${counter} = 0`, `${head}:`)
    if (depth < 2) for (let i = random.below(2); i >= 0; i--) this.#shape(3)
    this.#emit(`${counter} += 1`, `if ${counter} ${random.pick(['<', '!=', 's<', '<='])} ${rounds} goto ${head}`)
  }

  /** An access to the stack at an offset that a number says. */
  #stack(): void {
    const random = this.#random
    const by = random.pick(NUMBERS)
    if (random.chance(0.8)) this.#emit(`${by} &= ${random.pick([7, 15, 24, 31])}`)
    this.#emit('r2 = r10', `r2 += ${random.pick([-32, -32, -40, -24])}`, `r2 += ${by}`)
    this.#emit(
      random.chance(0.5) ? `*(u8 *)(r2 +0) = ${random.pick(NUMBERS)}` : `${random.pick(NUMBERS)} = *(u8 *)(r2 +0)`,
    )
  }

  #call(): void {
    const random = this.#random
    if (this.#functions < 2 && random.chance(0.5)) this.#functions++
    if (this.#functions === 0) {
      this.#alu()
      return
    }
    const target = random.below(this.#functions)
    this.#emit(
      `r1 = ${random.pick(NUMBERS)}`,
      `r2 = ${random.pick([...NUMBERS, 'r10'])}`,
      `call f${target}`,
      `${random.pick(NUMBERS)} = r0`,
    )
  }

  #atomic(): void {
    const random = this.#random
    const op = random.pick(['+=', '|=', '&=', '^='])
    const type = random.pick(['u64', 'u64', 'u32'])
    this.#emit('*(u64 *)(r10 -48) = 0', `lock *(${type} *)(r10 -48) ${op} ${random.pick(NUMBERS)}`)
    if (random.chance(0.5)) this.#emit(`${random.pick(NUMBERS)} = *(${type} *)(r10 -48)`)
  }

  #ring(): void {
    const random = this.#random
    const size = random.pick([8, 16, 32])
    this.#emit('r1 = map[events] ll', `r2 = ${size}`, 'r3 = 0', 'call ringbuf_reserve')
    const end = this.#label()
    if (random.chance(0.95)) this.#emit(`if r0 == 0 goto ${end}`)
    const off = random.chance(0.9) ? random.below(size - 7) : size - 4
    this.#emit(`*(u64 *)(r0 +${off}) = ${random.pick(NUMBERS)}`)
    if (random.chance(0.95)) this.#emit('r1 = r0', 'r2 = 0', `call ringbuf_${random.pick(['submit', 'discard'])}`)
    this.#emit(`${end}:`)
  }

  #function(index: number): void {
    const random = this.#random
    this.#emit(`f${index}:`, 'r0 = r1')
    if (random.chance(0.5)) this.#emit(`r0 &= ${random.pick([7, 255])}`)
    if (random.chance(0.3)) this.#emit('*(u64 *)(r10 -8) = r1', 'r0 = *(u64 *)(r10 -8)')
    if (random.chance(0.2)) this.#emit('r0 = *(u64 *)(r2 -16)')
    this.#emit('exit')
  }
}

/** The program of that seed. */
export const randomProgram = (seed: number): RandomProgram => new Generator(new Random(seed)).program()
