// What loads and stores do to the state: the stack byte by byte with the registers spilled there, constants
// read from frozen maps, pointers read from the context. What an access must not do is in
// assert-memory.ts. The stack's rules are those of the kernel's check_stack_read and check_stack_write.

import type { Size } from '../isa/insn.ts'
import {
  type Access,
  assertAligned,
  assertContext,
  assertMapAccess,
  assertPacketAccess,
  assertPacketRange,
  assertRegion,
  assertStackRange,
  isConstantMap,
  uninitialisedStack,
} from './assert-memory.ts'
import type { Env } from './env.ts'
import { notYet, Refusal } from './refusal.ts'
import { isConst, isZero, scalarSignExtend, scalarTruncate, scalarWidth } from './scalar.ts'
import {
  anything,
  byteOf,
  constant,
  INVALID,
  isNull,
  MISC,
  markPrecise,
  type PointerValue,
  pointer,
  type ScalarValue,
  type Slot,
  SPILL,
  type State,
  scalar,
  slotAt,
  spilled,
  spillSize,
  type Value,
  withByte,
  ZEROED,
} from './state.ts'

/** A value stored: whether an instruction's constant, and the register that it came from otherwise. */
export interface Stored {
  readonly value: Value
  readonly register: number | undefined
}

/** Gives a number that is copied an id, so that what is learnt of one copy holds for the other. */
export function withId(env: Env, value: ScalarValue): ScalarValue {
  if (isConst(value.n)) return value
  if (value.id !== 0 && value.delta === undefined) return value
  return scalar(value.n, [value], ++env.ids)
}

/** The value cut to what `size` bytes of it hold, as a load gives it. */
export function loaded(value: ScalarValue, size: Size, signed: boolean): ScalarValue {
  if (size === 8) return value
  const n = signed ? scalarSignExtend(value.n, size as 1 | 2 | 4) : scalarTruncate(value.n, size)
  const same = !signed && scalarWidth(value.n) <= size * 8
  return scalar(n, [value], same ? value.id : 0, same ? value.delta : undefined)
}

const unknown = (size: Size, signed: boolean): ScalarValue => loaded(anything(), size, signed)

/** A load through any pointer that may be read. */
export function load(env: Env, state: State, base: PointerValue, off: number, size: Size, signed: boolean): Value {
  switch (base.kind) {
    case 'stack':
      return loadStack(env, state, base, off, size, signed)
    case 'ctx':
      return loadContext(env, base, off, size, signed)
    case 'map_value':
      return loadMap(env, base, off, size, signed)
    default:
      assertAccess(env, base, off, size, 'read')
      return unknown(size, signed)
  }
}

/** Bounds and rights of an access to memory that is neither the stack nor the context. */
export function assertAccess(env: Env, base: PointerValue, off: number, size: number, access: Access): void {
  switch (base.kind) {
    case 'map_value':
      if (base.map) {
        assertMapAccess(env, base.map, access)
        const what = `a value of \`${base.map.name}\``
        assertRegion(base, off, size, base.map.valueSize, access, 'map-bounds', what)
      }
      return
    case 'mem':
      assertRegion(base, off, size, base.size, access, 'memory-bounds', 'a ring buffer record')
      return
    case 'packet':
    case 'packet_meta':
      assertPacketAccess(env, access)
      assertPacketRange(base, off, size, access)
      return
    default:
      throw new Refusal('bad-pointer', 'this cannot be accessed as memory')
  }
}

function loadContext(env: Env, base: PointerValue, off: number, size: Size, signed: boolean): Value {
  const field = assertContext(env, base, off, size, 'read')
  if (!field || field.kind === 'scalar') return unknown(size, signed)
  if (signed)
    throw new Refusal('context-access', `\`${field.name}\` of the context is a pointer and is read as a signed number`)
  if (field.kind === 'socket_or_null') throw notYet(`socket pointers (\`${field.name}\` of the context)`)
  return pointer(field.kind)
}

function loadMap(env: Env, base: PointerValue, off: number, size: Size, signed: boolean): Value {
  assertAccess(env, base, off, size, 'read')
  const { map } = base
  const contents =
    map && isConstantMap(map) && map.type === 'array'
      ? (map.contents?.[0]?.[1] ?? new Uint8Array(map.valueSize))
      : undefined
  if (!contents || !isConst(base.n) || base.id !== 0) return unknown(size, signed)
  const at = base.off + off + Number(base.n.smin)
  let value = 0n
  for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(contents[at + i] ?? 0)
  return constant(signed ? BigInt.asIntN(size * 8, value) : value)
}

/** A store through any pointer that may be written. Gives back the value with the id it got by being spilled. */
export function store(env: Env, state: State, base: PointerValue, off: number, size: Size, what: Stored): void {
  if (base.kind === 'stack') {
    storeStack(env, state, base, off, size, what)
    return
  }
  if (base.kind === 'ctx') {
    assertContext(env, base, off, size, 'write')
    return
  }
  assertAccess(env, base, off, size, 'write')
}

/** Notes how deep the frame's stack goes. */
function growStack(env: Env, state: State, frame: number, low: number): void {
  const { subprog } = state.frames[frame]
  if (-low > env.stackDepth[subprog]) env.stackDepth[subprog] = -low
}

/** Checks and notes an access to the stack, and gives the bytes that it may touch. */
export function reachStack(
  env: Env,
  state: State,
  base: PointerValue,
  off: number,
  size: number,
  access: Access,
): [low: number, high: number] {
  const range = assertStackRange(base, off, size, access)
  growStack(env, state, base.frame, range[0])
  return range
}

function loadStack(env: Env, state: State, base: PointerValue, off: number, size: Size, signed: boolean): Value {
  assertAligned(base, off, size, 'the stack')
  const [low, high] = reachStack(env, state, base, off, size, 'read')
  if (!isConst(base.n)) {
    readRange(env, state, base.frame, low, high, false)
    return allZero(state, base.frame, low, high) ? constant(0) : unknown(size, signed)
  }
  const frame = state.frames[base.frame]
  const index = slotAt(low)
  const slot = frame.slot(index)
  state.markRead(base.frame, index)
  const value = spilled(slot)
  if (!value) return loadBytes(env, slot, low, size, signed)
  if (size === 8 && spillSize(slot) === 8) return fill(env, state, base.frame, index, value)
  if (value.kind !== 'scalar') {
    throw new Refusal('stack-bounds', `${size} bytes of a pointer are read from the stack: it must be read as a whole`)
  }
  return fillPart(env, slot, value, low, size, signed)
}

/** All of a spilled register: the copy and the slot are linked. */
function fill(env: Env, state: State, frame: number, index: number, value: Value): Value {
  if (value.kind !== 'scalar') return value
  const linked = withId(env, value)
  if (linked !== value)
    state.frames[frame].setSlot(index, { bytes: state.frames[frame].slot(index).bytes, value: linked })
  return linked
}

function fillPart(env: Env, slot: Slot, value: ScalarValue, low: number, size: Size, signed: boolean): Value {
  if ((low & 7) === 0 && size <= spillSize(slot)) {
    const narrowing = scalarWidth(value.n) > size * 8
    return loaded(narrowing ? scalar(value.n, [value]) : value, size, signed)
  }
  let spills = 0
  let zeros = 0
  for (let i = 0; i < size; i++) {
    const type = byteOf(slot, (low & 7) + i)
    if (type === SPILL) spills++
    else if (type === ZEROED) zeros++
    else if (type === INVALID && !env.uninitStack) throw uninitialisedStack(low, size)
  }
  if (spills === size && isZero(value.n)) return scalar(value.n, [value])
  return zeros === size ? constant(0) : unknown(size, signed)
}

function loadBytes(env: Env, slot: Slot, low: number, size: Size, signed: boolean): Value {
  let zeros = 0
  for (let i = 0; i < size; i++) {
    const type = byteOf(slot, (low & 7) + i)
    if (type === ZEROED) zeros++
    else if (type === INVALID && !env.uninitStack) throw uninitialisedStack(low, size)
  }
  return zeros === size ? constant(0) : unknown(size, signed)
}

function allZero(state: State, frame: number, low: number, high: number): boolean {
  for (let at = low; at < high; at++) {
    if (byteOf(state.frames[frame].slot(slotAt(at)), at & 7) !== ZEROED) return false
  }
  return true
}

/**
 * Bytes of the stack that something (a helper, an access at a variable offset) may read, and may also write where
 * `clobber` says so: after that they hold no known value.
 */
export function readRange(
  env: Env,
  state: State,
  frameIndex: number,
  low: number,
  high: number,
  clobber: boolean,
): void {
  const frame = state.frames[frameIndex]
  for (let at = low; at < high; at++) {
    const index = slotAt(at)
    const slot = frame.slot(index)
    const type = byteOf(slot, at & 7)
    state.markRead(frameIndex, index)
    if (type === INVALID && !env.uninitStack) throw uninitialisedStack(at, high - at)
    if (!clobber || type === MISC) continue
    if (type === SPILL || spilled(slot)) frame.setSlot(index, { bytes: scrub(slot.bytes), value: undefined })
    else frame.setSlot(index, { bytes: withByte(slot.bytes, at & 7, MISC), value: undefined })
  }
}

/** Spilled bytes become bytes of no known value. */
function scrub(bytes: number): number {
  let now = bytes
  for (let i = 0; i < 8; i++) if (((bytes >> (2 * i)) & 3) === SPILL) now = withByte(now, i, MISC)
  return now
}

function storeStack(env: Env, state: State, base: PointerValue, off: number, size: Size, what: Stored): void {
  assertAligned(base, off, size, 'the stack')
  const [low, high] = reachStack(env, state, base, off, size, 'write')
  if (!isConst(base.n)) {
    storeSomewhere(state, base.frame, low, high, what)
    return
  }
  const frame = state.frames[base.frame]
  const index = slotAt(low)
  const { value } = what
  if (value.kind === 'scalar' && (low & 7) === 0) spillScalar(env, state, base.frame, index, size, what, value)
  else if (value.kind !== 'scalar') {
    if (size !== 8)
      throw new Refusal(
        'stack-bounds',
        `${describePart(size)} of a pointer are stored on the stack: it must be stored as a whole`,
      )
    if (base.frame !== state.frames.length - 1 && value.kind === 'stack') {
      throw new Refusal('stack-bounds', 'a pointer into the stack is stored in the stack of the calling function')
    }
    frame.setSlot(index, { bytes: 0x5555, value })
  } else {
    const zero = isNull(value)
    if (zero) markPrecise(value)
    storeBytes(frame, low, size, zero ? ZEROED : MISC)
  }
  if (size === 8) frame.written.add(index)
}

const describePart = (size: number): string => (size === 1 ? '1 byte' : `${size} bytes`)

type FrameOf = State['frames'][number]

function storeBytes(frame: FrameOf, low: number, size: number, type: typeof MISC | typeof ZEROED): void {
  const slot = frame.slot(slotAt(low))
  let bytes = spilled(slot) ? scrub(slot.bytes) : slot.bytes
  for (let i = 0; i < size; i++) bytes = withByte(bytes, (low & 7) + i, type)
  frame.setSlot(slotAt(low), { bytes, value: undefined })
}

/** A number stored at the start of a slot is kept with its range; register and slot are linked if it fits. */
function spillScalar(
  env: Env,
  state: State,
  frame: number,
  index: number,
  size: Size,
  what: Stored,
  value: ScalarValue,
): void {
  const fits = scalarWidth(value.n) <= size * 8
  const linked = fits ? withId(env, value) : value
  if (what.register !== undefined && linked !== value) state.frame.regs[what.register] = linked
  const kept = fits ? linked : scalar(value.n, [value])
  let { bytes } = state.frames[frame].slot(index)
  for (let i = 0; i < 8; i++) {
    if (i < size) bytes = withByte(bytes, i, SPILL)
    else if (((bytes >> (2 * i)) & 3) === SPILL) bytes = withByte(bytes, i, MISC)
  }
  state.frames[frame].setSlot(index, { bytes, value: kept })
}

/** A store at an offset that is not known: any of the bytes may change. */
function storeSomewhere(state: State, frameIndex: number, low: number, high: number, what: Stored): void {
  const frame = state.frames[frameIndex]
  const zero = isNull(what.value)
  let keptZero = false
  for (let at = low; at < high; at++) {
    const index = slotAt(at)
    const slot = frame.slot(index)
    const type = byteOf(slot, at & 7)
    const value = spilled(slot)
    if (zero && (type === ZEROED || (type === SPILL && value && isNull(value)))) {
      keptZero = true
      continue
    }
    const bytes = value ? scrub(slot.bytes) : slot.bytes
    frame.setSlot(index, { bytes: withByte(bytes, at & 7, MISC), value: undefined })
  }
  if (keptZero) markPrecise(what.value)
}

/** Memory that a helper fills: the bytes hold no known value afterwards. */
export function fillRange(env: Env, state: State, base: PointerValue, off: number, size: number): void {
  if (base.kind !== 'stack') return
  const [low, high] = reachStack(env, state, base, off, size, 'write')
  for (let at = low; at < high; at++) storeBytes(state.frames[base.frame], at, 1, MISC)
}

/** What an array's key is, where it is a constant on the stack; it is marked as precise then. */
export function constantKey(state: State, key: PointerValue, size: number): number | undefined {
  if (key.kind !== 'stack' || !isConst(key.n)) return undefined
  const at = key.off + Number(key.n.smin)
  const slot = state.frames[key.frame].slot(slotAt(at))
  let zeros = 0
  for (let i = at & 7; i < 8 && byteOf(slot, i) === ZEROED; i++) zeros++
  if (zeros >= size) return 0
  const value = spilled(slot)
  if (value?.kind !== 'scalar' || !isConst(value.n) || (at & 7) !== 0 || spillSize(slot) !== size) return undefined
  markPrecise(value)
  return Number(value.n.umin)
}
