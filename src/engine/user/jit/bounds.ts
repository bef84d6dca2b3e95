// Loops that surely end, with how often they go round at most: those with a register that each round adds one constant
// to, and compares with another on a way that no round avoids. Compiled code need not count their rounds one by
// one.

import type { Width } from '../../../isa/insn.ts'
import type { BinOp, CondOp, Machine } from '../../../isa/machine.ts'
import type { Code } from '../code.ts'
import type { Maybe, State } from './facts.ts'
import { type Effects, FLOW, type Func } from './scan.ts'

/** A loop that ends. */
export interface Bound {
  /** Rounds at most. */
  readonly rounds: number
  /** Instructions at most, loops in it included. */
  readonly length: number
}

/** A loop with more rounds is counted. */
const MAX_ROUNDS = 65536
/** Functions with more blocks or loops are not looked at: it takes a walk over the blocks for each loop. */
const MAX_BLOCKS = 4096
const MAX_LOOPS = 64

/**
 * By header. `entering`: by header, the registers when the loop is entered. `lengthOf`: the instructions of a block
 * with those of what it calls, Infinity where that is not bounded.
 */
export function boundsOf(
  func: Func,
  code: Code,
  effects: Effects,
  entering: readonly (State | undefined)[],
  lengthOf: (block: number) => number,
): ReadonlyMap<number, Bound> {
  const { graph } = func
  const headers = graph.order.filter((block) => graph.loop[block])
  if (!graph.reducible || graph.order.length > MAX_BLOCKS || headers.length > MAX_LOOPS) return new Map()
  const loops = new Map(headers.map((header) => [header, bodyOf(func, header)]))
  const bounds = new Map<number, Bound>()
  // Inner loops come later in the order.
  for (const header of headers.reverse()) {
    const body = loops.get(header)!
    const rounds = roundsOf(func, code, effects, header, loops, entering[header])
    if (rounds === undefined) continue
    let once = 0
    const inner = headers.filter((other) => other !== header && body.has(other))
    const covered = new Set(inner.flatMap((other) => [...loops.get(other)!]))
    for (const block of body) if (!covered.has(block)) once += lengthOf(block)
    for (const other of inner) once += bounds.get(other)?.length ?? Number.POSITIVE_INFINITY
    if (Number.isFinite(once)) bounds.set(header, { rounds, length: once * rounds })
  }
  return bounds
}

/** The blocks from which an edge goes back to the header without leaving the loop, and the header. */
function bodyOf({ graph }: Func, header: number): ReadonlySet<number> {
  const predecessors = new Map<number, number[]>()
  for (const block of graph.order) {
    for (const to of graph.successors[block]) predecessors.set(to, [...(predecessors.get(to) ?? []), block])
  }
  const body = new Set([header])
  const waiting = (predecessors.get(header) ?? []).filter((from) => graph.place[from] >= graph.place[header])
  for (let block = waiting.pop(); block !== undefined; block = waiting.pop()) {
    if (body.has(block)) continue
    body.add(block)
    waiting.push(...(predecessors.get(block) ?? []))
  }
  return body
}

function roundsOf(
  { blocks, graph }: Func,
  code: Code,
  effects: Effects,
  header: number,
  loops: ReadonlyMap<number, ReadonlySet<number>>,
  entering: State | undefined,
): number | undefined {
  const body = loops.get(header)!
  const latches = [...body].filter((block) => graph.successors[block].includes(header))
  /** Whether every round passes it. */
  const always = (block: number): boolean => latches.every((latch) => dominates(graph.idom, block, latch, header))
  const innermost = (block: number): boolean =>
    [...loops].every(([other, inner]) => other === header || !body.has(other) || !inner.has(block))
  let least: number | undefined
  for (const block of body) {
    const { last, outside } = blocks[block]
    if (outside || effects.flow[last] !== FLOW.branch) continue
    const [taken, other] = graph.successors[block]
    if (body.has(taken) === body.has(other) || !always(block)) continue
    const test = look(code, last).test
    if (test === undefined) continue
    const writes = writesOf(body, blocks, effects, test.reg)
    if (writes.length !== 1) continue
    const [{ slot, block: where }] = writes
    const { step } = look(code, slot)
    if (step === undefined || !always(where) || !innermost(where)) continue
    const op = body.has(taken) ? test.op : OPPOSITE[test.op]
    const rounds = op && count(op, test, step, entering?.[test.reg])
    if (rounds !== undefined && rounds <= MAX_ROUNDS) least = Math.min(least ?? rounds, rounds)
  }
  return least
}

/** Whether `a` is on the way up from `b` to `header`. */
function dominates(idom: Int32Array, a: number, b: number, header: number): boolean {
  for (let block = b; ; block = idom[block]) {
    if (block === a) return true
    if (block === header || block === idom[block]) return false
  }
}

function writesOf(body: ReadonlySet<number>, blocks: Func['blocks'], { writes }: Effects, reg: number) {
  const found: { slot: number; block: number }[] = []
  for (const block of body) {
    const { start, last, outside } = blocks[block]
    if (outside) continue
    for (let slot = start; slot <= last; slot++) if (writes[slot] & (1 << reg)) found.push({ slot, block })
  }
  return found
}

const OPPOSITE: Readonly<Partial<Record<CondOp, CondOp>>> = {
  eq: 'ne',
  ne: 'eq',
  gt: 'le',
  ge: 'lt',
  lt: 'ge',
  le: 'gt',
  sgt: 'sle',
  sge: 'slt',
  slt: 'sge',
  sle: 'sgt',
}

interface Test {
  readonly reg: number
  readonly op: CondOp
  readonly width: Width
  readonly limit: number
}

interface Addition {
  readonly by: number
  readonly width: Width
}

/** Rounds while `op` holds, if that can be said. One round more than needed does no harm: the test may come late. */
function count(
  op: CondOp,
  { width, limit }: Test,
  { by, width: addWidth }: Addition,
  start: Maybe,
): number | undefined {
  // A 32-bit sum has zeros above it, so that wider tests see the same number.
  if (limit < 0 || by <= 0 || (width === 32 && addWidth === 64)) return undefined
  if (op === 'lt' || op === 'le') return Math.ceil(limit / by) + 2
  if (start?.kind !== 'number' || start.value < 0) return undefined
  const distance = limit - start.value
  // It must come upon the limit, and from below.
  if (op === 'ne') return distance > 0 && distance % by === 0 ? distance / by + 2 : undefined
  const signed = op === 'slt' || op === 'sle'
  return signed && distance >= 0 && limit + by <= 0x7fff_ffff ? Math.ceil(distance / by) + 2 : undefined
}

/** What one instruction does, as far as it is an addition to a register or a test of one. */
function look(code: Code, slot: number): { step: Addition | undefined; test: Test | undefined } {
  const machine = new Look()
  const { mean, insn, second } = code.steps[slot]!
  mean(machine, insn, second)
  return machine
}

interface Operand {
  readonly reg?: number
  readonly number?: number
  readonly sum?: { readonly of: number; readonly step: Addition }
}

const OTHER: Operand = {}

class Look implements Machine<Operand> {
  step: Addition | undefined
  test: Test | undefined

  get(reg: number): Operand {
    return { reg }
  }
  set(reg: number, { sum }: Operand): void {
    if (sum?.of === reg) this.step = sum.step
  }
  imm(value: number): Operand {
    return { number: value }
  }
  bin(op: BinOp, width: Width, a: Operand, b: Operand): Operand {
    if (op !== 'add' || a.reg === undefined || b.number === undefined) return OTHER
    return { sum: { of: a.reg, step: { by: b.number, width } } }
  }
  branch(op: CondOp, width: Width, a: Operand, b: Operand): void {
    if (a.reg !== undefined && b.number !== undefined) this.test = { reg: a.reg, op, width, limit: b.number }
  }
  lddw(): Operand {
    return OTHER
  }
  neg(): Operand {
    return OTHER
  }
  extend(): Operand {
    return OTHER
  }
  swap(): Operand {
    return OTHER
  }
  copy(): Operand {
    return OTHER
  }
  cast(): Operand {
    return OTHER
  }
  load(): Operand {
    return OTHER
  }
  store(): void {}
  atomic(): Operand {
    return OTHER
  }
  loadAcquire(): Operand {
    return OTHER
  }
  storeRelease(): void {}
  loadPacket(): Operand {
    return OTHER
  }
  jump(): void {}
  mayGoto(): void {}
  call(): void {}
  callReg(): void {}
  exit(): void {}
}
