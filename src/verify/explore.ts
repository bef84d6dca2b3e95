// Exploration: every path from the entry on, one after the other, as the kernel's do_check does it. At points
// where paths meet, a state that knows nothing less than one that was judged before is not followed; one that
// equals a state of its own path is an endless loop. Both sides of an undecided jump are explored.

import type { Env } from './env.ts'
import { Refusal } from './refusal.ts'
import { type Checkpoint, FP, Frame, pointer, REGS, SlotSet, State, type Value } from './state.ts'
import { covers, inherit } from './subsume.ts'
import { Transfer } from './transfer.ts'

/** The kernel's limit on processed instructions (BPF_COMPLEXITY_LIMIT_INSNS). */
export const MAX_INSNS = 1_000_000
/** The kernel's limit on jumps whose other side waits (BPF_COMPLEXITY_LIMIT_JMP_SEQ). */
const MAX_PENDING = 8192

const LOOP_HELP =
  'count with a variable that starts at a constant, is compared with a constant and changes in every round'

/** A path that ended badly: why, and the state before the instruction. */
export interface Failure {
  readonly refusal: Refusal
  readonly state: State
}

class Explorer {
  readonly #env: Env
  readonly #checkpoints: (Checkpoint[] | undefined)[] = []
  readonly #pending: State[] = []
  readonly #visits: Uint32Array
  readonly #transfer: Transfer
  #state: State
  #kept = 0
  /** Counts when the last checkpoint was made. */
  #insnsBefore = 0
  #jumpsBefore = 0

  constructor(env: Env) {
    this.#env = env
    this.#visits = new Uint32Array(env.insns.length)
    const regs: (Value | undefined)[] = new Array(REGS).fill(undefined)
    regs[1] = pointer('ctx')
    regs[FP] = pointer('stack')
    this.#state = new State([new Frame(0, -1, 0, regs)], 0)
    this.#transfer = new Transfer(env, this.#state)
  }

  run(): Failure | undefined {
    try {
      do this.#path()
      while (this.#next())
      return undefined
    } catch (error) {
      if (error instanceof Refusal) return { refusal: error, state: this.#state }
      throw error
    }
  }

  /** Follows the current state to the end of its path. */
  #path(): void {
    const env = this.#env
    const { prune } = env.structure
    const limit = env.options.maxInsns ?? MAX_INSNS
    for (;;) {
      const state = this.#state
      const { pc } = state
      if (++env.insnsProcessed > limit) throw this.#tooLong()
      this.#visits[pc]++
      if (prune[pc] === 1 && this.#visited()) return
      const { next, other } = this.#transfer.step(state)
      if (other) {
        other.trace = { insn: pc, taken: true, before: state.trace }
        state.trace = { insn: pc, taken: false, before: state.trace }
        this.#push(other)
      }
      if (next === undefined) return
      state.pc = next
    }
  }

  #push(other: State): void {
    if (this.#pending.length >= MAX_PENDING) {
      throw new Refusal(
        'too-complex',
        `more than ${MAX_PENDING} branches are open at once`,
        'split the program, or decide fewer things in one',
      )
    }
    if (other.parent) other.parent.branches++
    this.#pending.push(other)
  }

  /** Closes the path and takes up the next. */
  #next(): boolean {
    for (let at = this.#state.parent; at && --at.branches === 0; at = at.parent);
    const next = this.#pending.pop()
    if (next) this.#state = next
    return next !== undefined
  }

  /** Whether this path need not be followed; if it must, the state may be kept for others to be compared with. */
  #visited(): boolean {
    const env = this.#env
    const state = this.#state
    const { live } = env.structure
    const insns = env.insnsProcessed - this.#insnsBefore
    const jumps = env.jumpsProcessed - this.#jumpsBefore
    let keep = jumps >= 2 && insns >= 8
    const kept = this.#checkpoints[state.pc] ?? []
    for (let i = kept.length - 1; i >= 0; i--) {
      const old = kept[i]
      if (old.branches > 0) {
        if (covers(old, state, live, env.uninitStack, 'exact')) throw this.#endless()
        // States of one loop's rounds are many and rarely of use to each other.
        if (jumps < 20 && insns < 100) keep = false
      } else if (covers(old, state, live, env.uninitStack, 'safe')) {
        old.hits++
        inherit(old, state, live)
        return true
      }
      if (keep && ++old.misses > old.hits * 3 + 3) {
        kept.splice(i, 1)
        this.#kept--
      }
    }
    if (keep) this.#keep(kept)
    return false
  }

  #keep(kept: Checkpoint[]): void {
    const env = this.#env
    const state = this.#state
    // What mattered before this point need not matter after it.
    state.rewrite((value) =>
      value.kind === 'scalar' && value.precise ? { ...value, precise: false, from: undefined } : value,
    )
    const checkpoint: Checkpoint = {
      pc: state.pc,
      frames: state.frames.map((frame) => frame.copy()),
      refs: state.refs,
      parent: state.parent,
      read: state.frames.map(() => new SlotSet()),
      branches: 1,
      hits: 0,
      misses: 0,
    }
    for (const frame of state.frames) frame.written = new SlotSet()
    state.parent = checkpoint
    kept.push(checkpoint)
    this.#checkpoints[state.pc] = kept
    this.#insnsBefore = env.insnsProcessed
    this.#jumpsBefore = env.jumpsProcessed
    this.#kept++
    if (this.#kept > env.statesPeak) env.statesPeak = this.#kept
  }

  #endless(): Refusal {
    return new Refusal(
      'unbounded-loop',
      'this loop has no bound that can be proved: a round changes nothing that ends it',
      LOOP_HELP,
    )
  }

  /** The limit is reached: most often by a loop, whose most visited backward jump is named then. */
  #tooLong(): Refusal {
    const { rows } = this.#env.structure
    const limit = this.#env.options.maxInsns ?? MAX_INSNS
    const { insns } = this.#env
    let loop = -1
    for (let at = 0; at < insns.length; at++) {
      const { flow, name } = rows[at] ?? {}
      const off = name === 'ja32' ? insns[at].imm : insns[at].off
      if ((flow !== 'branch' && flow !== 'jump') || off >= 0) continue
      if (loop < 0 || this.#visits[at] > this.#visits[loop]) loop = at
    }
    if (loop < 0 || this.#visits[loop] < 1000) {
      return new Refusal(
        'too-complex',
        `more than ${limit} instructions had to be looked at`,
        'split the program, or decide fewer things in one',
      )
    }
    return new Refusal(
      'unbounded-loop',
      'this loop has no bound that can be proved, or too many rounds',
      LOOP_HELP,
      loop,
    )
  }
}

/** Explores the program; gives the first failure. */
export const explore = (env: Env): Failure | undefined => new Explorer(env).run()

/** Bytes of the kernel's stack that a function takes at least, and to what its depth is rounded. */
const STACK_UNIT = 16
/** Bytes of stack of a chain of calls (MAX_BPF_STACK). */
const MAX_CHAIN = 512

/** The deepest chain of calls, in bytes of stack. Throws a Refusal if it is deeper than the kernel allows. */
export function stackOfChain(env: Env): number {
  const { subprogs } = env.structure
  const depths = env.stackDepth.map((depth) => Math.ceil(depth / STACK_UNIT) * STACK_UNIT)
  const visit = (index: number, above: number, insn: number): number => {
    const depth = above + depths[index]
    if (depth > MAX_CHAIN) {
      const message = `functions that call one another use ${depth} bytes of stack here, ${MAX_CHAIN} are allowed`
      throw new Refusal('stack-limit', message, 'keep larger data in a map', insn)
    }
    return Math.max(depth, ...subprogs[index].calls.map((call) => visit(call.to, depth, call.insn)))
  }
  return visit(0, 0, 0)
}
