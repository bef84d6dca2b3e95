// Whether a path need not be followed because an earlier one came to the same point knowing no more: all that
// was accepted there is then accepted here. Only live registers and stack slots that were read count, and a
// scalar whose range nothing depended on matches any other. As the kernel's states_equal.

import { ANY, scalarEqual, scalarIn } from './scalar.ts'
import {
  byteOf,
  type Checkpoint,
  type Frame,
  INVALID,
  isPacket,
  MISC,
  markPrecise,
  type PointerValue,
  type ScalarValue,
  type Slot,
  type SlotSet,
  SPILL,
  type State,
  scalar,
  spilled,
  spillSize,
  type Value,
  ZEROED,
} from './state.ts'

/** `exact`: the same state again, for loops. `safe`: what was judged of the old one holds for the new one. */
export type Mode = 'exact' | 'safe'

/** Ids of one state that stand for those of another: a relation that must be one to one. */
class IdMap {
  readonly #to = new Map<number, number>()
  readonly #from = new Map<number, number>()
  #fresh = 0

  same(old: number, now: number): boolean {
    if ((old === 0) !== (now === 0)) return false
    if (old === 0) return true
    const known = this.#to.get(old)
    if (known !== undefined) return known === now
    if (this.#from.has(now)) return false
    this.#to.set(old, now)
    this.#from.set(now, old)
    return true
  }

  /** Scalars without an id are linked to nothing, as if they had one of their own. */
  sameScalar(old: number, now: number): boolean {
    return this.same(old || --this.#fresh, now || --this.#fresh)
  }
}

function sameScalars(old: ScalarValue, now: ScalarValue, ids: IdMap, mode: Mode): boolean {
  if (mode === 'exact') return scalarEqual(old.n, now.n) && old.delta === now.delta && ids.same(old.id, now.id)
  if (!old.precise) return true
  return old.delta === now.delta && scalarIn(old.n, now.n) && ids.sameScalar(old.id, now.id)
}

const alike = (old: PointerValue, now: PointerValue): boolean =>
  old.kind === now.kind &&
  old.nullable === now.nullable &&
  old.off === now.off &&
  old.map === now.map &&
  old.size === now.size &&
  old.frame === now.frame

function samePointers(old: PointerValue, now: PointerValue, ids: IdMap, mode: Mode): boolean {
  if (!alike(old, now) || !ids.same(old.id, now.id) || !ids.same(old.ref, now.ref)) return false
  if (mode === 'exact' || old.kind === 'stack') return scalarEqual(old.n, now.n) && old.range === now.range
  if (isPacket(old)) {
    const unknownEnd = old.range < 0 || now.range < 0
    if (unknownEnd ? old.range !== now.range : old.range > now.range) return false
  }
  return scalarIn(old.n, now.n)
}

function sameValues(old: Value | undefined, now: Value | undefined, ids: IdMap, mode: Mode): boolean {
  if (!old) return mode === 'safe' || !now
  if (!now) return false
  if (old.kind === 'scalar') return now.kind === 'scalar' && sameScalars(old, now, ids, mode)
  return now.kind !== 'scalar' && samePointers(old, now, ids, mode)
}

/** The number that all eight bytes of the slot make: spilled, or any if nothing is known of them. */
function numberIn(slot: Slot, uninit: boolean): ScalarValue | undefined {
  const value = spilled(slot)
  if (value) return value.kind === 'scalar' && spillSize(slot) === 8 ? value : undefined
  for (let i = 0; i < 8; i++) {
    const type = byteOf(slot, i)
    if (type !== MISC && !(type === INVALID && uninit)) return undefined
  }
  return scalar(ANY)
}

function sameSlots(old: Slot, now: Slot, ids: IdMap, mode: Mode, uninit: boolean): boolean {
  if (mode === 'exact') return old.bytes === now.bytes && sameValues(old.value, now.value, ids, mode)
  const oldNumber = numberIn(old, uninit)
  const nowNumber = oldNumber && numberIn(now, uninit)
  if (oldNumber && nowNumber) return sameScalars(oldNumber, nowNumber, ids, mode)
  for (let i = 0; i < 8; i++) {
    const was = byteOf(old, i)
    const is = byteOf(now, i)
    if (was === INVALID || (was === MISC && uninit) || was === is || (was === MISC && is === ZEROED)) continue
    return false
  }
  return byteOf(old, 0) !== SPILL || sameValues(old.value, now.value, ids, mode)
}

const EMPTY_SLOT: Slot = { bytes: 0, value: undefined }

function sameFrames(
  old: Frame,
  now: Frame,
  live: number,
  read: SlotSet,
  ids: IdMap,
  mode: Mode,
  uninit: boolean,
): boolean {
  if (old.callsite !== now.callsite || old.subprog !== now.subprog) return false
  for (let r = 0; r < 11; r++) {
    if (live & (1 << r) && !sameValues(old.regs[r], now.regs[r], ids, mode)) return false
  }
  const slots = mode === 'exact' ? Math.max(old.stack.length, now.stack.length) : old.stack.length
  for (let i = 0; i < slots; i++) {
    if (mode === 'safe' && !read.has(i)) continue
    if (!sameSlots(old.stack[i] ?? EMPTY_SLOT, now.stack[i] ?? EMPTY_SLOT, ids, mode, uninit)) return false
  }
  return true
}

/** The registers that matter in a frame: at its call for all but the innermost, and always the frame pointer. */
const liveIn = (live: Uint16Array, frames: readonly Frame[], f: number, pc: number): number =>
  f === frames.length - 1 ? live[pc] : live[frames[f + 1].callsite]

/** Whether `now` is the checkpoint again (exact), or covered by what was judged from it on (safe). */
export function covers(old: Checkpoint, now: State, live: Uint16Array, uninit: boolean, mode: Mode): boolean {
  if (old.frames.length !== now.frames.length || old.refs.length !== now.refs.length) return false
  const ids = new IdMap()
  for (let i = 0; i < old.refs.length; i++) if (!ids.same(old.refs[i].id, now.refs[i].id)) return false
  for (let f = 0; f < old.frames.length; f++) {
    const mask = liveIn(live, old.frames, f, old.pc)
    if (!sameFrames(old.frames[f], now.frames[f], mask, old.read[f], ids, mode, uninit)) return false
  }
  return true
}

/** What mattered after the old state matters of the new one too, since its path ends here. */
export function inherit(old: Checkpoint, now: State, live: Uint16Array): void {
  for (let f = 0; f < old.frames.length; f++) {
    const [was, is] = [old.frames[f], now.frames[f]]
    const mask = liveIn(live, old.frames, f, old.pc)
    for (let r = 0; r < 11; r++) if (mask & (1 << r)) inheritValue(was.regs[r], is.regs[r])
    for (let i = 0; i < was.stack.length; i++) {
      if (!old.read[f].has(i)) continue
      now.markRead(f, i)
      inheritValue(spilled(was.stack[i]), is.stack[i] && spilled(is.stack[i]))
    }
  }
}

function inheritValue(old: Value | undefined, now: Value | undefined): void {
  if (old?.kind === 'scalar' && old.precise) markPrecise(now)
}
