// Register allocation: linear scan over live intervals (after Poletto and Sarkar, 1999). A value that
// lives across a call needs one of r6 to r9, for a call leaves nothing in r0 to r5 (RFC 9669 section 2.2).
// What finds no register is kept on the stack: its uses are rewritten and the scan starts again.

import { defOf, type LowBlock, type LowProgram, lowSuccessors, type Reg, type Step, usesOf } from './low.ts'

/** The physical register of each virtual one. */
export type Allocation = ReadonlyMap<Reg, number>

const CALLEE_SAVED = [6, 7, 8, 9]
const ANY = [1, 2, 3, 4, 5, 0, 6, 7, 8, 9]

interface Interval {
  readonly reg: Reg
  start: number
  end: number
  /** Uses and definitions, those in loops many times over: what spilling it would cost. */
  weight: number
  crosses: boolean
  /** Registers, physical or of another interval, that would save a move. */
  readonly hints: (number | Reg)[]
}

/** Rewrites `program` with spills until every virtual register has a physical one. */
export function allocate(program: LowProgram): Allocation {
  for (;;) {
    const { allocation, spilled } = scan(intervals(program))
    if (spilled.size === 0) return allocation
    spill(program, spilled)
  }
}

function intervals(program: LowProgram): Interval[] {
  const liveOut = liveness(program.blocks)
  const depth = loopDepths(program.blocks)
  const found = new Map<Reg, Interval>()
  const calls: number[] = []
  const touch = (reg: Reg, at: number, weight: number): Interval => {
    let interval = found.get(reg)
    if (!interval) {
      interval = { reg, start: at, end: at, weight: 0, crosses: false, hints: [] }
      found.set(reg, interval)
    }
    interval.start = Math.min(interval.start, at)
    interval.end = Math.max(interval.end, at)
    interval.weight += weight
    return interval
  }
  // Step i reads at 2i and writes at 2i + 1.
  let at = 0
  program.blocks.forEach((block, b) => {
    const first = at * 2
    const last = (at + block.steps.length) * 2 - 1
    const { live, end } = liveOut[b]
    for (const reg of live) touch(reg, first, 0)
    for (const reg of end) touch(reg, last, 0)
    for (const step of block.steps) {
      const weight = 8 ** Math.min(depth[b], 4)
      for (const reg of usesOf(step)) touch(reg, at * 2, weight)
      const d = defOf(step)
      if (d) touch(d, at * 2 + 1, weight)
      // `d = a - b` is `d = a; d -= b`: b must outlive the first half.
      if (step.op === 'alu' && typeof step.b === 'object' && !commutes(step.bin)) touch(step.b, at * 2 + 1, 0)
      if (step.op === 'call') calls.push(at * 2)
      hint(step, found)
      at++
    }
  })
  for (const interval of found.values()) {
    interval.crosses = calls.some((call) => interval.start < call && interval.end > call)
  }
  return [...found.values()].sort((a, b) => a.start - b.start || a.reg.id - b.reg.id)
}

export const commutes = (bin: string): boolean =>
  bin === 'add' || bin === 'mul' || bin === 'and' || bin === 'or' || bin === 'xor'

function hint(step: Step, found: Map<Reg, Interval>): void {
  const link = (a: Reg, b: Reg | number): void => {
    found.get(a)?.hints.push(b)
    if (typeof b === 'object') found.get(b)?.hints.push(a)
  }
  if (step.op === 'entry') {
    if (step.d) link(step.d, step.from)
  } else if (step.op === 'mov' || step.op === 'extend' || step.op === 'swap' || step.op === 'alu') link(step.d, step.a)
  else if (step.op === 'exit' && typeof step.a === 'object') link(step.a, 0)
  else if (step.op === 'call') {
    if (step.d) link(step.d, 0)
    step.args.forEach((arg, i) => {
      if (arg.kind === 'reg') link(arg.reg, i + 1)
    })
  }
}

/** What lives at the start (`live`) and at the end (`end`) of each block. */
function liveness(blocks: readonly LowBlock[]): { live: Set<Reg>; end: Set<Reg> }[] {
  const result = blocks.map(() => ({ live: new Set<Reg>(), end: new Set<Reg>() }))
  const index = new Map(blocks.map((block, i) => [block, i]))
  for (let changed = true; changed; ) {
    changed = false
    for (let b = blocks.length - 1; b >= 0; b--) {
      const { live, end } = result[b]
      for (const next of lowSuccessors(blocks[b])) {
        for (const reg of result[index.get(next) as number].live) end.add(reg)
      }
      const now = new Set(end)
      for (let i = blocks[b].steps.length - 1; i >= 0; i--) {
        const step = blocks[b].steps[i]
        const d = defOf(step)
        if (d) now.delete(d)
        for (const reg of usesOf(step)) now.add(reg)
      }
      if (now.size === live.size) continue
      changed = true
      for (const reg of now) live.add(reg)
    }
  }
  return result
}

/** How many loops each block is in, judged by the backward jumps around it. */
function loopDepths(blocks: readonly LowBlock[]): number[] {
  const depth = blocks.map(() => 0)
  const index = new Map(blocks.map((block, i) => [block, i]))
  blocks.forEach((block, b) => {
    for (const next of lowSuccessors(block)) {
      const target = index.get(next) as number
      for (let i = target; target <= b && i <= b; i++) depth[i]++
    }
  })
  return depth
}

function scan(sorted: readonly Interval[]): { allocation: Allocation; spilled: Set<Reg> } {
  const allocation = new Map<Reg, number>()
  const spilled = new Set<Reg>()
  let active: Interval[] = []
  for (const interval of sorted) {
    active = active.filter((other) => other.end >= interval.start)
    const taken = new Set(active.map((other) => allocation.get(other.reg)))
    const allowed = interval.crosses ? CALLEE_SAVED : ANY
    const free = allowed.filter((reg) => !taken.has(reg))
    const chosen = preferred(interval, free, allocation) ?? evict(interval, allowed, active, allocation, spilled)
    if (chosen === undefined) {
      spilled.add(interval.reg)
      continue
    }
    allocation.set(interval.reg, chosen)
    active = active.filter((other) => !spilled.has(other.reg))
    active.push(interval)
  }
  return { allocation, spilled }
}

function preferred(interval: Interval, free: readonly number[], allocation: Allocation): number | undefined {
  for (const hinted of interval.hints) {
    const reg = typeof hinted === 'number' ? hinted : allocation.get(hinted)
    if (reg !== undefined && free.includes(reg)) return reg
  }
  return free[0]
}

const cost = (interval: Interval): number =>
  interval.reg.short ? Number.POSITIVE_INFINITY : interval.weight / (interval.end - interval.start + 1)

/** Takes the register of the cheapest interval that is in the way, if that is cheaper than `interval` itself. */
function evict(
  interval: Interval,
  allowed: readonly number[],
  active: readonly Interval[],
  allocation: Map<Reg, number>,
  spilled: Set<Reg>,
): number | undefined {
  let victim: Interval | undefined
  for (const other of active) {
    if (!allowed.includes(allocation.get(other.reg) as number)) continue
    if (!victim || cost(other) < cost(victim)) victim = other
  }
  if (!victim || cost(victim) >= cost(interval)) return undefined
  spilled.add(victim.reg)
  const reg = allocation.get(victim.reg)
  allocation.delete(victim.reg)
  return reg
}

/** Each spilled register gets a place on the stack; a use reads it into a short-lived register of its own. */
function spill(program: LowProgram, spilled: ReadonlySet<Reg>): void {
  const places = new Map([...spilled].map((reg) => [reg, { index: program.spills++ }]))
  for (const block of program.blocks) {
    const steps: Step[] = []
    for (const step of block.steps) {
      const after: Step[] = []
      const read = new Map<Reg, Reg>()
      if (step.op === 'call') {
        step.args = step.args.map((arg) => {
          const place = arg.kind === 'reg' ? places.get(arg.reg) : undefined
          return place ? { kind: 'spill', spill: place } : arg
        })
      }
      for (const reg of usesOf(step)) {
        const place = places.get(reg)
        if (!place || read.has(reg)) continue
        const short: Reg = { id: program.regs++, short: true }
        read.set(reg, short)
        steps.push({ op: 'fill', d: short, spill: place, at: step.at })
      }
      if (read.size > 0) replaceUses(step, read)
      const d = defOf(step)
      const place = d && places.get(d)
      if (place && step.op === 'entry') {
        step.d = undefined
        step.spill = place
      } else if (place && 'd' in step) {
        step.d = { id: program.regs++, short: true }
        after.push({ op: 'keep', a: step.d, spill: place, at: step.at })
      }
      steps.push(step, ...after)
    }
    block.steps = steps
  }
}

function replaceUses(step: Step, by: ReadonlyMap<Reg, Reg>): void {
  const swap = <T>(operand: T): T => (by.get(operand as unknown as Reg) as unknown as T | undefined) ?? operand
  if ('a' in step) step.a = swap(step.a)
  if ('b' in step) step.b = swap(step.b)
  if ('base' in step) step.base = swap(step.base)
}
