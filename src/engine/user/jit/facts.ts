// What can be known of the registers at each place of a function without running it: which hold a pointer into the
// frame, the context, the packet or a value of a map, and which the handle of a map. A fact is never a guess: where it
// names an offset, every run has that very address there. So accesses by it need no check when the program
// runs, and a look-up knows its map. Loose facts (an offset that is not known) only choose which span is looked at
// first.

import type { Size, Width } from '../../../isa/insn.ts'
import type { AtomicOp, BinOp, CallKind, CondOp, LddwKind, Machine } from '../../../isa/machine.ts'
import type { Code, Step } from '../code.ts'
import { FUNCTION_BASE } from '../code.ts'
import type { UserMap } from '../maps/map.ts'
import type { Func } from './scan.ts'

export type Fact =
  | { readonly kind: 'number'; readonly value: number }
  /** `at` is counted from the frame pointer, from the start of the context, of the value. */
  | { readonly kind: 'frame'; readonly at: number | undefined }
  | { readonly kind: 'context'; readonly at: number }
  | { readonly kind: 'packet' }
  | { readonly kind: 'handle'; readonly map: UserMap }
  /** `sure`: not null. */
  | { readonly kind: 'value'; readonly map: UserMap; readonly at: number | undefined; readonly sure: boolean }
  | { readonly kind: 'func'; readonly slot: number }

export type Maybe = Fact | undefined

/** A value as this machine has it: its fact, and the register that it was read from. */
export interface Known {
  readonly fact: Maybe
  readonly reg: number
}

/** What facts are made from besides the code. */
export interface World {
  /** The map behind an address that is its handle, and the one that has a value there, with the offset in it. */
  mapOf(handle: bigint): UserMap | undefined
  valueAt(address: bigint): { readonly map: UserMap; readonly at: number } | undefined
  /** Offsets of the context's words that point into the packet. */
  readonly packetWords: readonly number[]
}

/** By register. */
export type State = Maybe[]

const REGS = 11
const NO_REG = -1
const ZERO: Fact = { kind: 'number', value: 0 }
const PACKET: Fact = { kind: 'packet' }
const NOTHING: Known = { fact: undefined, reg: NO_REG }
const FRAME: Fact = { kind: 'frame', at: 0 }
const MAP_LOOKUP = 'map_lookup_elem'

/** The state in which a function begins. `main`: nobody calls it, and r1 is the context. */
export function entryState(main: boolean): State {
  const state: State = new Array<Maybe>(REGS).fill(undefined)
  state[10] = FRAME
  if (main) state[1] = { kind: 'context', at: 0 }
  return state
}

export class Facts implements Machine<Known> {
  /** The registers now. */
  state: State = []
  /** Sizes of accesses by packet pointers, as `packetUse` counts them. */
  readonly packetUses = new Set<number>()
  /** Maps into whose values pointers go whose offset is not known. */
  readonly valueUses = new Set<UserMap>()
  /** After `solve`, by block that begins a loop: the state in which the loop is entered. */
  readonly entering: (State | undefined)[] = []
  readonly #world: World
  readonly #code: Code
  #step: Step
  /** What is known if the branch that was just met is taken, and if not: of one register. */
  #refined: { readonly reg: number; readonly fact: Maybe; readonly taken: boolean } | undefined

  constructor(code: Code, world: World) {
    this.#code = code
    this.#world = world
    this.#step = code.steps[0]!
  }

  /** By block: the state in which it begins. */
  solve({ blocks, graph }: Func, entry: State): (State | undefined)[] {
    const states: (State | undefined)[] = new Array(blocks.length).fill(undefined)
    states[0] = entry.slice()
    const waiting = new Uint8Array(blocks.length)
    waiting[0] = 1
    for (let again = true; again; ) {
      again = false
      for (const block of graph.order) {
        if (!waiting[block]) continue
        waiting[block] = 0
        if (blocks[block].outside) continue
        this.state = states[block]!.slice()
        this.#refined = undefined
        const { start, last } = blocks[block]
        for (let slot = start; slot <= last; ) slot = this.#run(slot)
        const [taken, other] = graph.successors[block]
        for (const to of graph.successors[block]) {
          const out = taken !== other ? this.#edge(to === taken) : this.state
          if (graph.loop[to] && graph.place[to] > graph.place[block]) join(this.entering, to, out)
          if (!join(states, to, out)) continue
          waiting[to] = 1
          if (graph.place[to] <= graph.place[block]) again = true
        }
      }
    }
    return states
  }

  #run(slot: number): number {
    const step = this.#code.steps[slot]!
    this.at(step)
    step.mean(this, step.insn, step.second)
    return step.next
  }

  /** The instruction whose operations come next. */
  at(step: Step): void {
    this.#step = step
  }

  #edge(taken: boolean): State {
    const refined = this.#refined
    if (refined === undefined || refined.taken !== taken) return this.state
    const state = this.state.slice()
    state[refined.reg] = refined.fact
    return state
  }

  get(reg: number): Known {
    return { fact: this.state[reg], reg }
  }

  set(reg: number, value: Known): void {
    this.state[reg] = value.fact
  }

  imm(value: number): Known {
    return { fact: { kind: 'number', value }, reg: NO_REG }
  }

  lddw(kind: LddwKind): Known {
    const { constant } = this.#step
    if (kind === 'func') return { fact: { kind: 'func', slot: Number(constant - FUNCTION_BASE) }, reg: NO_REG }
    const map = this.#world.mapOf(constant)
    if (map) return { fact: { kind: 'handle', map }, reg: NO_REG }
    const value = this.#world.valueAt(constant)
    return value ? { fact: { kind: 'value', ...value, sure: true }, reg: NO_REG } : NOTHING
  }

  bin(op: BinOp, width: Width, a: Known, b: Known): Known {
    if (width !== 64 || (op !== 'add' && op !== 'sub')) return NOTHING
    const moved = this.#moved(a.fact, b.fact, op === 'add' ? 1 : -1)
    if (moved || op === 'sub') return { fact: moved, reg: NO_REG }
    return { fact: this.#moved(b.fact, a.fact, 1), reg: NO_REG }
  }

  /** `pointer` plus or minus something; undefined if it is no pointer. */
  #moved(pointer: Maybe, by: Maybe, sign: 1 | -1): Maybe {
    if (pointer === undefined || by?.kind === 'packet' || by?.kind === 'frame') return undefined
    const shift = by?.kind === 'number' ? sign * by.value : undefined
    const sum = (at: number | undefined): number | undefined => {
      if (at === undefined || shift === undefined || Math.abs(at + shift) > 2 ** 30) return undefined
      return at + shift
    }
    switch (pointer.kind) {
      case 'packet':
        return pointer
      case 'frame':
        return { kind: 'frame', at: sum(pointer.at) }
      case 'value':
        return { ...pointer, at: sum(pointer.at) }
      case 'context': {
        const at = sum(pointer.at)
        return at === undefined ? undefined : { kind: 'context', at }
      }
      default:
        return undefined
    }
  }

  neg(): Known {
    return NOTHING
  }
  extend(): Known {
    return NOTHING
  }
  swap(): Known {
    return NOTHING
  }
  cast(): Known {
    return NOTHING
  }

  copy(width: Width, a: Known): Known {
    if (width === 64) return a
    return a.fact?.kind === 'number' && a.fact.value >= 0 ? a : NOTHING
  }

  load(size: Size, signed: boolean, base: Known, off: number): Known {
    this.#uses(size, base, false)
    const { fact } = base
    if (fact?.kind !== 'context' || size !== 4 || signed) return NOTHING
    return this.#world.packetWords.includes(fact.at + off) ? { fact: PACKET, reg: NO_REG } : NOTHING
  }

  store(size: Size, base: Known): void {
    this.#uses(size, base, true)
  }

  atomic(_op: AtomicOp, size: 4 | 8, base: Known): Known {
    this.#uses(size, base, true)
    this.#uses(size, base, false)
    return NOTHING
  }

  loadAcquire(size: Size, base: Known): Known {
    this.#uses(size, base, false)
    return NOTHING
  }

  storeRelease(size: Size, base: Known): void {
    this.#uses(size, base, true)
  }

  loadPacket(): Known {
    return NOTHING
  }

  branch(op: CondOp, width: Width, a: Known, b: Known): void {
    this.#refined = undefined
    if ((op !== 'eq' && op !== 'ne') || width !== 64 || a.reg < 0) return
    if (a.fact?.kind !== 'value' || b.fact?.kind !== 'number' || b.fact.value !== 0 || a.fact.at !== 0) return
    this.#refined = { reg: a.reg, fact: { ...a.fact, sure: true }, taken: op === 'ne' }
  }

  jump(): void {}
  mayGoto(): void {
    this.#refined = undefined
  }

  call(kind: CallKind): void {
    const result = kind === 'helper' ? this.#result() : undefined
    this.state[0] = result
    for (let reg = 1; reg <= 5; reg++) this.state[reg] = ZERO
  }

  #result(): Maybe {
    const handle = this.state[1]
    if (this.#step.helperName !== MAP_LOOKUP || handle?.kind !== 'handle') return undefined
    return handle.map.layout ? { kind: 'value', map: handle.map, at: 0, sure: false } : undefined
  }

  callReg(): void {}
  exit(): void {}

  #uses(size: Size, base: Known, write: boolean): void {
    if (base.fact?.kind === 'packet') this.packetUses.add(packetUse(size, write))
    if (base.fact?.kind === 'value' && base.fact.at === undefined) this.valueUses.add(base.fact.map)
  }
}

/** A number for each kind of access. */
export const packetUse = (size: number, write: boolean): number => size * 2 + (write ? 1 : 0)

/** Makes the state at block `to` weaker so that it holds for `state` too; whether it changed. */
function join(states: (State | undefined)[], to: number, state: State): boolean {
  const old = states[to]
  if (old === undefined) {
    states[to] = state.slice()
    return true
  }
  let changed = false
  for (let reg = 0; reg < REGS; reg++) {
    const both = common(old[reg], state[reg])
    if (both === old[reg]) continue
    old[reg] = both
    changed = true
  }
  return changed
}

/** What holds of both; `a` itself if that is as much as `a` says. */
function common(a: Maybe, b: Maybe): Maybe {
  if (a === b) return a
  if (a === undefined || b === undefined || a.kind !== b.kind) return undefined
  switch (a.kind) {
    case 'number':
      return b.kind === 'number' && a.value === b.value ? a : undefined
    case 'frame':
      if (a.at === undefined || (b.kind === 'frame' && a.at === b.at)) return a
      return { kind: 'frame', at: undefined }
    case 'context':
      return b.kind === 'context' && a.at === b.at ? a : undefined
    case 'packet':
      return a
    case 'handle':
      return b.kind === 'handle' && a.map === b.map ? a : undefined
    case 'func':
      return b.kind === 'func' && a.slot === b.slot ? a : undefined
    case 'value': {
      if (b.kind !== 'value' || a.map !== b.map) return undefined
      const at = a.at === b.at ? a.at : undefined
      const sure = a.sure && b.sure
      return at === a.at && sure === a.sure ? a : { kind: 'value', map: a.map, at, sure }
    }
  }
}
