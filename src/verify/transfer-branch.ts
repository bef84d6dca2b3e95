// Conditional jumps: which edges can be taken, and what each teaches: ranges of numbers (and of those linked to
// them), whether a pointer is null, how much packet there is. The rules are those of the kernel's
// check_cond_jmp_op.

import type { Width } from '../isa/insn.ts'
import type { CondOp } from '../isa/machine.ts'
import { isConstAt, type Scalar, scalarBin, scalarConst, valueAt } from './scalar.ts'
import { type Condition, flipped, opposite, scalarBranch, scalarRefine } from './scalar-branch.ts'
import {
  AT_END,
  BEYOND_END,
  isPacket,
  markPrecise,
  type PointerKind,
  type PointerValue,
  type ScalarValue,
  type State,
  scalar,
  type Value,
} from './state.ts'

/** A comparison: two values, the registers they came from, undefined for a constant. */
export interface Comparison {
  readonly op: CondOp
  readonly width: Width
  readonly a: Value
  readonly b: Value
  readonly regA: number
  readonly regB: number | undefined
}

/** `taken` if only one way is open; otherwise `other` is the state that jumps and the given one goes on. */
export interface Edges {
  readonly taken: boolean | undefined
  readonly other: State | undefined
}

/** The largest offset for which packet ranges are kept (MAX_PACKET_OFF). */
const MAX_PACKET_OFF = 0xffff

/** Pointers that the kernel takes to be other than 0 where they are compared with it (its reg_not_null). */
const NEVER_NULL: ReadonlySet<PointerKind> = new Set(['map', 'map_value', 'mem'])

function decide({ op, width, a, b }: Comparison): boolean | undefined {
  if (a.kind === 'scalar' && b.kind === 'scalar') return scalarBranch(op, width, a.n, b.n)
  if (width === 64 && a.kind !== 'scalar' && b.kind !== 'scalar') return decidePacket(op, a, b)
  const [ptr, number] = a.kind === 'scalar' ? [b, a] : [a, b]
  if (ptr.kind === 'scalar' || number.kind !== 'scalar' || ptr.nullable || !NEVER_NULL.has(ptr.kind)) return undefined
  if (!isConstAt(number.n, width) || valueAt(number.n, width) !== 0n) return undefined
  if (op === 'eq') return false
  return op === 'ne' ? true : undefined
}

/** A packet pointer already known to lie at or beyond the end. */
function decidePacket(op: CondOp, a: PointerValue, b: PointerValue): boolean | undefined {
  const [packet, from] = b.kind === 'packet_end' ? [a, op] : [b, flipped(op)]
  if ((a.kind === 'packet_end' ? b : a) !== packet || (a.kind !== 'packet_end' && b.kind !== 'packet_end'))
    return undefined
  if (packet.range >= 0) return undefined
  if (packet.range === BEYOND_END && (from === 'le' || from === 'gt')) return from === 'gt'
  if (from === 'lt' || from === 'ge') return from === 'ge'
  return undefined
}

export function branch(state: State, what: Comparison, target: number): Edges {
  const taken = decide(what)
  if (taken !== undefined) {
    markPrecise(what.a)
    markPrecise(what.b)
    return { taken, other: undefined }
  }
  const other = state.fork(target)
  learn(other, what, true)
  learn(state, what, false)
  return { taken: undefined, other }
}

function learn(state: State, what: Comparison, holds: boolean): void {
  const { op, width, a, b, regA, regB } = what
  if (a.kind === 'scalar' && b.kind === 'scalar') {
    learnNumbers(state, holds ? op : opposite(op), width, [a, regA], [b, regB])
    return
  }
  if (width !== 64) return
  const equal = (op === 'eq' && holds) || (op === 'ne' && !holds)
  if (a.kind !== 'scalar' && b.kind === 'scalar') {
    if (regB === undefined && a.nullable && (op === 'eq' || op === 'ne') && isConstAt(b.n, 64) && b.n.umin === 0n) {
      learnNull(state, a, equal)
    }
    return
  }
  if (a.kind === 'scalar' || b.kind === 'scalar' || regB === undefined) return
  if (equal && a.nullable !== b.nullable) learnNull(state, a.nullable ? a : b, false)
  learnPacket(state, op, a, b, holds)
}

/** Narrows both numbers, and all that are linked to them. */
function learnNumbers(
  state: State,
  op: Condition,
  width: Width,
  [a, regA]: [ScalarValue, number],
  [b, regB]: [ScalarValue, number | undefined],
): void {
  const [na, nb] = scalarRefine(op, width, a.n, b.n)
  if (regB !== undefined) narrow(state, b, nb, a, regB)
  narrow(state, a, na, b, regA)
}

function narrow(state: State, old: ScalarValue, n: Scalar, other: ScalarValue, reg: number): void {
  const from = [old, other]
  if (old.id !== 0) for (const linked of linkedTo(state, old)) if (linked !== old) from.push(linked)
  const now = scalar(n, from, old.id, old.delta)
  state.frame.regs[reg] = now
  if (old.id === 0) return
  state.rewrite((value) => {
    if (value.kind !== 'scalar' || value === now || value.id !== old.id) return value
    if (value.delta === now.delta) return now
    const shift = BigInt(value.delta ?? 0) - BigInt(now.delta ?? 0)
    return scalar(scalarBin('add', 64, now.n, scalarConst(shift)), [now, value], value.id, value.delta)
  })
}

function linkedTo(state: State, value: ScalarValue): ScalarValue[] {
  const found: ScalarValue[] = []
  state.rewrite((one) => {
    if (one.kind === 'scalar' && one.id === value.id && !found.includes(one)) found.push(one)
    return one
  })
  return found
}

/** All copies of a pointer that may be null become null (0) or known not to be. */
function learnNull(state: State, pointer: PointerValue, isNull: boolean): void {
  if (isNull && pointer.ref !== 0) state.refs = state.refs.filter(({ id }) => id !== pointer.ref)
  const nothing = scalar(scalarConst(0))
  state.rewrite((value) => {
    if (value.kind === 'scalar' || !value.nullable || value.id !== pointer.id) return value
    return isNull ? nothing : { ...value, nullable: false, id: 0 }
  })
}

/** What a comparison of a packet pointer with the end of its area says of the bytes between. */
function learnPacket(state: State, op: CondOp, a: PointerValue, b: PointerValue, holds: boolean): void {
  const pairs = (p: PointerValue, end: PointerValue): boolean =>
    (p.kind === 'packet' && end.kind === 'packet_end') ||
    (p.kind === 'packet_meta' && end.kind === 'packet' && end.off === 0 && end.n.umax === 0n && end.id === 0)
  const forward = pairs(a, b)
  if (!forward && !pairs(b, a)) return
  const packet = forward ? a : b
  const said = forward ? op : flipped(op)
  const condition = holds ? said : opposite(said)
  if (condition === 'le') extendRange(state, packet, packet.off)
  else if (condition === 'lt') extendRange(state, packet, packet.off + 1)
  else if (condition === 'gt' || condition === 'ge') {
    const range = condition === 'gt' ? BEYOND_END : AT_END
    const reg = state.frame.regs.indexOf(packet)
    if (reg >= 0 && packet.kind === 'packet') state.frame.regs[reg] = { ...packet, range }
  }
}

function extendRange(state: State, packet: PointerValue, range: number): void {
  // As in the kernel, `data < end` teaches nothing: only the fixed offset counts.
  if (packet.off <= 0) return
  if (packet.n.umax > MAX_PACKET_OFF || packet.n.umax + BigInt(packet.off) > MAX_PACKET_OFF) return
  state.rewrite((value) => {
    if (!isPacket(value) || value.kind !== packet.kind || value.id !== packet.id || value.range >= range) return value
    return { ...value, range }
  })
}
