// State: what is known at one point of one path: the registers and the stack of each frame, byte by byte, and
// the references that must be given back. Values and stack slots never change, so that states share them;
// only a scalar's `precise` mark is set later, on all states that hold it.
//
// Precision works as in the kernel, by other means. A scalar whose exact range nothing depended on may be
// treated as any number when two states are compared. Each scalar remembers the ones it was computed
// from; when a range matters (an offset, a size, a jump decided by it) it and all of those are marked.

import type { MapSpec } from '../object/spec.ts'
import { ANY, isZero, type Scalar, scalarConst, ZERO } from './scalar.ts'

export interface ScalarValue {
  readonly kind: 'scalar'
  readonly n: Scalar
  /** Registers with the same id (not 0) hold the same number, apart from `delta`. */
  readonly id: number
  /** What was added since the id was given; undefined if nothing was. */
  readonly delta: number | undefined
  precise: boolean
  /** What it was computed from; dropped once those are marked. */
  from: readonly ScalarValue[] | undefined
}

export type PointerKind =
  | 'ctx'
  | 'stack'
  | 'map'
  | 'map_value'
  | 'packet'
  | 'packet_meta'
  | 'packet_end'
  /** Memory of `size` bytes that a helper gave (a ring buffer record). */
  | 'mem'

export interface PointerValue {
  readonly kind: PointerKind
  /** Whether it may be null: a look-up that was not checked. */
  readonly nullable: boolean
  /** Ties pointers that came from one look-up or one packet offset. */
  readonly id: number
  /** The reference that it must give back, or 0. */
  readonly ref: number
  /** Fixed offset in bytes, and the variable one. */
  readonly off: number
  readonly n: Scalar
  /** Packet pointers: bytes from the pointer's base that are known to be there; or how it relates to the end. */
  readonly range: number
  readonly map: MapSpec | undefined
  /** Stack pointers: whose frame. */
  readonly frame: number
  readonly size: number
}

export type Value = ScalarValue | PointerValue

/** `range` of a packet pointer that is known to lie at the end or beyond, or beyond it. */
export const AT_END = -1
export const BEYOND_END = -2

export const scalar = (n: Scalar, from?: readonly ScalarValue[], id = 0, delta?: number): ScalarValue => ({
  kind: 'scalar',
  n,
  id,
  delta,
  precise: false,
  from,
})
export const anything = (): ScalarValue => scalar(ANY)
export const constant = (value: bigint | number): ScalarValue => scalar(scalarConst(value))

const POINTER: PointerValue = {
  kind: 'ctx',
  nullable: false,
  id: 0,
  ref: 0,
  off: 0,
  n: ZERO,
  range: 0,
  map: undefined,
  frame: 0,
  size: 0,
}
export const pointer = (kind: PointerKind, rest: Partial<PointerValue> = {}): PointerValue => ({
  ...POINTER,
  ...rest,
  kind,
})

export const isPacket = (value: Value): value is PointerValue & { readonly kind: 'packet' | 'packet_meta' } =>
  value.kind === 'packet' || value.kind === 'packet_meta'
export const isNull = (value: Value): boolean => value.kind === 'scalar' && isZero(value.n)

/** Marks a scalar and everything it was computed from as precise. */
export function markPrecise(value: Value | undefined): void {
  if (value?.kind !== 'scalar') return
  const work = [value]
  for (let one = work.pop(); one; one = work.pop()) {
    one.precise = true
    const { from } = one
    one.from = undefined
    if (from) for (const source of from) if (!source.precise || source.from) work.push(source)
  }
}

/** What a byte of the stack holds. */
export type Byte = 0 | 1 | 2 | 3
export const INVALID = 0
export const SPILL = 1
export const MISC = 2
export const ZEROED = 3

/** Eight bytes of stack: two bits a byte, lowest address first, and the register spilled there, if one was. */
export interface Slot {
  readonly bytes: number
  readonly value: Value | undefined
}

export const EMPTY: Slot = { bytes: 0, value: undefined }
export const byteOf = (slot: Slot, i: number): Byte => ((slot.bytes >> (2 * i)) & 3) as Byte
export const withByte = (bytes: number, i: number, type: Byte): number => (bytes & ~(3 << (2 * i))) | (type << (2 * i))
/** A register spilled there, whole or in part: the lowest byte says so. */
export const spilled = (slot: Slot): Value | undefined => ((slot.bytes & 3) === SPILL ? slot.value : undefined)
/** How many bytes of the slot the spilled register takes, from the lowest. */
export function spillSize(slot: Slot): number {
  let size = 0
  while (size < 8 && byteOf(slot, size) === SPILL) size++
  return size
}

/** The slot that the byte at `off` (-512..-1) from the frame pointer is in: 0 for -8..-1. */
export const slotAt = (off: number): number => (-off - 1) >> 3

/** A set of the 64 slots of a frame's stack. */
export class SlotSet {
  low = 0
  high = 0

  has(slot: number): boolean {
    return ((slot < 32 ? this.low : this.high) & (1 << (slot & 31))) !== 0
  }
  add(slot: number): void {
    if (slot < 32) this.low |= 1 << slot
    else this.high |= 1 << (slot & 31)
  }
  copy(): SlotSet {
    const other = new SlotSet()
    other.low = this.low
    other.high = this.high
    return other
  }
}

export const REGS = 11
export const FP = 10

export class Frame {
  readonly regs: (Value | undefined)[]
  stack: Slot[]
  /** Slots that this path wrote in full since the last checkpoint. */
  written: SlotSet
  /** Index of the subprogram. */
  readonly subprog: number
  /** Where it was called, or -1. */
  readonly callsite: number
  /** Different for each call, so that a frame is not taken for an earlier one of the same depth. */
  readonly instance: number

  constructor(subprog: number, callsite: number, instance: number, regs: (Value | undefined)[], stack: Slot[] = []) {
    this.subprog = subprog
    this.callsite = callsite
    this.instance = instance
    this.regs = regs
    this.stack = stack
    this.written = new SlotSet()
  }

  copy(): Frame {
    const other = new Frame(this.subprog, this.callsite, this.instance, this.regs.slice(), this.stack.slice())
    other.written = this.written.copy()
    return other
  }

  slot(index: number): Slot {
    return this.stack[index] ?? EMPTY
  }

  setSlot(index: number, slot: Slot): void {
    while (this.stack.length < index) this.stack.push(EMPTY)
    this.stack[index] = slot
  }
}

/** Something acquired that must be given back, and where it was. */
export interface Reference {
  readonly id: number
  readonly insn: number
}

/** One conditional jump on the way here: a list from the last one back. */
export interface Step {
  readonly insn: number
  readonly taken: boolean
  readonly before: Step | undefined
}

/** A state that was kept for comparison with later ones at the same instruction. */
export interface Checkpoint {
  readonly pc: number
  readonly frames: readonly Frame[]
  readonly refs: readonly Reference[]
  readonly parent: Checkpoint | undefined
  /** Slots of each frame that some path from here read before it wrote them. */
  readonly read: readonly SlotSet[]
  /** Paths from here that are not explored to their end. */
  branches: number
  hits: number
  misses: number
}

export class State {
  frames: Frame[]
  refs: readonly Reference[]
  parent: Checkpoint | undefined
  pc: number
  trace: Step | undefined

  constructor(frames: Frame[], pc: number) {
    this.frames = frames
    this.refs = []
    this.parent = undefined
    this.pc = pc
    this.trace = undefined
  }

  get frame(): Frame {
    return this.frames[this.frames.length - 1]
  }

  fork(pc: number): State {
    const other = new State(
      this.frames.map((frame) => frame.copy()),
      pc,
    )
    other.refs = this.refs
    other.parent = this.parent
    other.trace = this.trace
    return other
  }

  /** Replaces values wherever they are: in registers and in spilled ones of every frame. */
  rewrite(change: (value: Value) => Value): void {
    for (const frame of this.frames) {
      const { regs, stack } = frame
      for (let r = 0; r < regs.length; r++) {
        const value = regs[r]
        if (value) regs[r] = change(value)
      }
      for (let i = 0; i < stack.length; i++) {
        const value = spilled(stack[i])
        if (!value) continue
        const now = change(value)
        if (now !== value) stack[i] = { bytes: stack[i].bytes, value: now }
      }
    }
  }

  /** Notes that the slot's content mattered, to this path and to every checkpoint on it that had the content already. */
  markRead(frame: number, slot: number): void {
    const { instance, written } = this.frames[frame]
    let before = written
    for (let at = this.parent; at; at = at.parent) {
      if (before.has(slot)) return
      const kept = at.frames[frame]
      if (kept?.instance !== instance || at.read[frame].has(slot)) return
      at.read[frame].add(slot)
      before = kept.written
    }
  }
}
