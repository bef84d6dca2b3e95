// What each instruction of a program reads, writes and leads to, and from that its functions: where they begin,
// their blocks, which registers they take. A machine that runs nothing finds it out from the instruction
// table, once for each instruction that can be reached.

import type { CallKind, Machine } from '../../../isa/machine.ts'
import type { Code } from '../code.ts'
import { type Graph, graphOf } from './graph.ts'

/** How control leaves an instruction. */
export const FLOW = { on: 0, jump: 1, branch: 2, exit: 3 } as const

/** By slot, where the program can reach it. */
export interface Effects {
  /** Bit n is set if register n is read or written. */
  readonly reads: Uint16Array
  readonly writes: Uint16Array
  /** One of FLOW. */
  readonly flow: Uint8Array
  /** Slot that a jump or branch goes to, or a local call calls. */
  readonly target: Int32Array
  /** Bits of SEES. */
  readonly sees: Uint8Array
}

export const SEES = { memory: 1, helper: 2, local: 4, mayGoto: 8, packet: 16 } as const

/** A block: the instructions of `start` to `last`, or a place outside the program that one of them leads to. */
export interface Block {
  readonly start: number
  /** Its last instruction; of a place outside, the instruction that leads there. */
  readonly last: number
  readonly outside: boolean
}

export interface Func {
  readonly entry: number
  readonly blocks: readonly Block[]
  readonly graph: Graph
  /** Instructions. */
  readonly size: number
  /** Functions that it calls, by entry. */
  readonly calls: ReadonlySet<number>
  /** SEES of all its instructions together. */
  readonly sees: number
  /** Registers that are read before they are written, as bits: its arguments are those of r1 to r5. */
  takes: number
  /** All registers that are read, as bits. */
  readonly reads: number
}

export interface Scanned {
  readonly effects: Effects
  /** By entry, slot 0 first. */
  readonly functions: ReadonlyMap<number, Func>
}

const ARGS = 0b111110
const R0 = 1

/** `limit`: how many instructions all functions may have together; undefined if they have more. */
export function scan(code: Code, limit: number): Scanned | undefined {
  const scanner = new Scanner(code)
  const functions = new Map<number, Func>()
  const known = new Set([0, ...code.callbacks])
  const entries = [...known]
  const add = (entry: number): void => {
    if (known.has(entry) || code.steps[entry] === undefined) return
    known.add(entry)
    entries.push(entry)
  }
  let size = 0
  for (let entry = entries.shift(); entry !== undefined; entry = entries.shift()) {
    const func = scanner.func(entry)
    functions.set(entry, func)
    size += func.size
    if (size > limit) return undefined
    for (const callee of func.calls) add(callee)
  }
  const scanned = { effects: scanner.effects, functions }
  liveness(scanned)
  return scanned
}

class Scanner implements Machine<undefined> {
  readonly effects: Effects
  readonly #code: Code
  /** By slot: the function that last came by, and whether a block begins there. */
  readonly #visitor: Int32Array
  readonly #leads: Int32Array
  #visits = 0
  #reads = 0
  #writes = 0
  #flow = 0
  #offset = 0
  #sees = 0

  constructor(code: Code) {
    const count = code.steps.length
    this.#code = code
    this.effects = {
      reads: new Uint16Array(count),
      writes: new Uint16Array(count),
      flow: new Uint8Array(count).fill(255),
      target: new Int32Array(count),
      sees: new Uint8Array(count),
    }
    this.#visitor = new Int32Array(count)
    this.#leads = new Int32Array(count)
  }

  func(entry: number): Func {
    const { steps } = this.#code
    const { flow, target, sees, reads } = this.effects
    const visit = ++this.#visits
    const starts = [entry]
    const lead = (slot: number): void => {
      if (steps[slot] === undefined || this.#leads[slot] === visit) return
      this.#leads[slot] = visit
      starts.push(slot)
    }
    this.#leads[entry] = visit
    const calls = new Set<number>()
    let size = 0
    let seen = 0
    let read = 0
    for (let i = 0; i < starts.length; i++) {
      for (let slot = starts[i]; steps[slot] !== undefined && this.#visitor[slot] !== visit; ) {
        this.#visitor[slot] = visit
        this.#look(slot)
        size++
        seen |= sees[slot]
        read |= reads[slot]
        if (sees[slot] & SEES.local) calls.add(target[slot])
        const { next } = steps[slot]!
        if (flow[slot] === FLOW.jump || flow[slot] === FLOW.branch) lead(target[slot])
        if (flow[slot] === FLOW.branch) lead(next)
        if (flow[slot] !== FLOW.on) break
        slot = next
      }
    }
    const blocks: Block[] = []
    const blockAt = new Map<number, number>()
    // The entry is block 0; the others follow in the order of their slots.
    starts.sort((a, b) => (a === entry ? -1 : b === entry ? 1 : a - b))
    starts.forEach((start, i) => {
      blockAt.set(start, i)
      blocks.push({ start, last: this.#lastOf(start, visit), outside: false })
    })
    const successors: number[][] = []
    const reach = (slot: number, from: number): number => {
      const known = blockAt.get(slot)
      if (known !== undefined) return known
      blocks.push({ start: slot, last: from, outside: true })
      return blocks.length - 1
    }
    for (let i = 0; i < starts.length; i++) {
      const { last } = blocks[i]
      const { next } = steps[last]!
      const out: number[] = []
      if (flow[last] === FLOW.jump || flow[last] === FLOW.branch) out.push(reach(target[last], last))
      if (flow[last] === FLOW.branch || flow[last] === FLOW.on) out.push(reach(next, last))
      successors.push(out)
    }
    while (successors.length < blocks.length) successors.push([])
    return { entry, blocks, graph: graphOf(successors), size, calls, sees: seen, reads: read, takes: 0 }
  }

  #lastOf(start: number, visit: number): number {
    const { steps } = this.#code
    const { flow } = this.effects
    let slot = start
    while (flow[slot] === FLOW.on) {
      const { next } = steps[slot]!
      if (steps[next] === undefined || this.#leads[next] === visit) break
      slot = next
    }
    return slot
  }

  #look(slot: number): void {
    const { effects } = this
    if (effects.flow[slot] !== 255) return
    const step = this.#code.steps[slot]!
    this.#reads = this.#writes = this.#flow = this.#offset = this.#sees = 0
    step.mean(this, step.insn, step.second)
    effects.reads[slot] = this.#reads
    effects.writes[slot] = this.#writes
    effects.flow[slot] = this.#flow
    effects.target[slot] = step.next + this.#offset
    effects.sees[slot] = this.#sees
  }

  get(reg: number): undefined {
    this.#reads |= 1 << reg
  }
  set(reg: number): void {
    this.#writes |= 1 << reg
  }
  imm(): undefined {}
  lddw(): undefined {}
  bin(): undefined {}
  neg(): undefined {}
  extend(): undefined {}
  swap(): undefined {}
  copy(): undefined {}
  cast(): undefined {}
  load(): undefined {
    this.#sees |= SEES.memory
  }
  store(): void {
    this.#sees |= SEES.memory
  }
  atomic(): undefined {
    this.#sees |= SEES.memory
  }
  loadAcquire(): undefined {
    this.#sees |= SEES.memory
  }
  storeRelease(): void {
    this.#sees |= SEES.memory
  }
  loadPacket(): undefined {
    this.#sees |= SEES.packet
  }
  branch(_op: unknown, _width: unknown, _a: undefined, _b: undefined, off: number): void {
    this.#flow = FLOW.branch
    this.#offset = off
  }
  jump(off: number): void {
    this.#flow = FLOW.jump
    this.#offset = off
  }
  mayGoto(off: number): void {
    this.#sees |= SEES.mayGoto
    this.#flow = FLOW.branch
    this.#offset = off
  }
  call(kind: CallKind, id: number): void {
    this.#writes |= ARGS | R0
    if (kind === 'local') {
      // What it reads are the arguments that the function takes.
      this.#sees |= SEES.local
      this.#offset = id
    } else {
      this.#reads |= ARGS
      this.#sees |= SEES.helper
    }
  }
  callReg(): void {}
  exit(): void {
    this.#reads |= R0
    this.#flow = FLOW.exit
  }
}

/** Fills `takes`: a fixed point over the functions, for what a call reads is what the called one takes. */
function liveness({ effects, functions }: Scanned): void {
  for (let changed = true; changed; ) {
    changed = false
    for (const func of functions.values()) {
      const takes = takenBy(func, effects, functions)
      if (takes !== func.takes) changed = true
      func.takes = takes
    }
  }
}

function takenBy(func: Func, { reads, writes, sees, target }: Effects, functions: ReadonlyMap<number, Func>): number {
  const { graph, blocks } = func
  const uses = new Uint16Array(blocks.length)
  const kills = new Uint16Array(blocks.length)
  for (const block of graph.order) {
    const { start, last, outside } = blocks[block]
    if (outside) continue
    // Forward: what is read and not yet written.
    let written = 0
    for (let slot = start; slot <= last; slot++) {
      const called = sees[slot] & SEES.local ? (functions.get(target[slot])?.takes ?? 0) & ARGS : 0
      uses[block] |= (reads[slot] | called) & ~written
      written |= writes[slot]
    }
    kills[block] = written
  }
  const live = new Uint16Array(blocks.length)
  for (let changed = true; changed; ) {
    changed = false
    for (let i = graph.order.length - 1; i >= 0; i--) {
      const block = graph.order[i]
      let out = 0
      for (const to of graph.successors[block]) out |= live[to]
      const now = uses[block] | (out & ~kills[block])
      if (now !== live[block]) changed = true
      live[block] = now
    }
  }
  return live[0]
}

/** Instructions of a block and of the functions that it calls, by `calleeLength` of their entries. */
export function blockLength(
  { blocks, calls }: Func,
  block: number,
  { sees, target }: Effects,
  calleeLength: (entry: number) => number,
): number {
  const { start, last, outside } = blocks[block]
  if (outside) return 0
  let length = last - start + 1
  if (calls.size === 0) return length
  for (let slot = start; slot <= last; slot++) if (sees[slot] & SEES.local) length += calleeLength(target[slot])
  return length
}
