// What a memory access must not do: leave its region, be misaligned where that matters, go through something
// that is no pointer, write what is read-only. What an access does to the state is in memory.ts. The rules are
// those of the kernel's check_mem_access for a privileged program on a machine with unaligned access.

import type { MapSpec } from '../object/spec.ts'
import type { CtxField, RawContext } from '../spec/progtype.ts'
import type { Env } from './env.ts'
import { Refusal, type RefusalCode } from './refusal.ts'
import { isConst, type Scalar, scalarText } from './scalar.ts'
import type { PointerValue, State, Value } from './state.ts'
import { isNull, isPacket } from './state.ts'
import { tnumAdd, tnumAligned, tnumConst } from './tnum.ts'

/** BPF_MAX_VAR_OFF: no offset that is not known to be below this is looked at. */
export const MAX_OFFSET = 1n << 29n
/** MAX_BPF_STACK: bytes of stack of one frame, and of a chain of calls. */
export const MAX_STACK = 512
/** Flags of a map that take access away from programs (BPF_F_RDONLY_PROG, BPF_F_WRONLY_PROG). */
const RDONLY_PROG = 1 << 7
const WRONLY_PROG = 1 << 8
/** Members of a map value that only their own helpers may touch. */
const SPECIAL = /^bpf_(spin_lock|res_spin_lock|timer|wq|list_head|list_node|rb_root|rb_node|refcount|task_work)$/

export type Access = 'read' | 'write'

/** What a value is, for a sentence. */
export function describe(value: Value | undefined): string {
  if (!value) return 'nothing yet'
  if (value.kind === 'scalar')
    return isConst(value.n) ? `the number ${scalarText(value.n)}` : `a number (${scalarText(value.n)})`
  const text: Record<PointerValue['kind'], string> = {
    ctx: 'the context',
    stack: 'a pointer into the stack',
    map: `the map \`${value.map?.name}\``,
    map_value: `a pointer to a value of \`${value.map?.name}\``,
    packet: 'a pointer into the packet',
    packet_meta: 'a pointer to the packet metadata',
    packet_end: 'the end of the packet',
    mem: 'a pointer to a ring buffer record',
  }
  return value.nullable ? `${text[value.kind]} that may be null` : text[value.kind]
}

const bytes = (n: number): string => (n === 1 ? '1 byte' : `${n} bytes`)
const verb = (access: Access): string => (access === 'read' ? 'reads' : 'writes')

/** Refuses a value that cannot be followed as a pointer. */
export function assertPointer(value: Value, access: Access, name: string): asserts value is PointerValue {
  if (value.kind === 'scalar') {
    const what = isNull(value) ? 'a null pointer' : describe(value)
    const help =
      'only the context, the stack, map values, packet bytes and ring buffer records can be accessed directly'
    throw new Refusal('bad-pointer', `${name} is ${what} and is used as a pointer`, help)
  }
  if (value.nullable) throw nullCheck(value)
  if (value.kind === 'map' || value.kind === 'packet_end') {
    throw new Refusal('bad-pointer', `this ${verb(access)} through ${describe(value)}, which cannot be accessed`)
  }
}

export function nullCheck(value: PointerValue): Refusal {
  if (value.kind === 'mem') {
    const help = 'return if the reservation is null before the record is used'
    return new Refusal('null-check', 'the ring buffer may be full: the record is used without a check for null', help)
  }
  return new Refusal(
    'null-check',
    `\`${value.map?.name}\` may not have this key: the value is used without a check for undefined`,
    'if (x === undefined) return',
  )
}

/** A variable offset that may be negative or has no bound. */
function assertBounded(n: Scalar, off: number, code: RefusalCode, what: string): void {
  if (n.smin < 0n && n.smin + BigInt(off) < 0n) {
    const help = 'check that it is not negative, or make it unsigned with `&`'
    throw new Refusal(code, `the offset into ${what} may be negative: ${scalarText(n)}`, help)
  }
  if (n.umax >= MAX_OFFSET) {
    const help = 'compare the index with the size first, or mask it with `&`'
    throw new Refusal(code, `the offset into ${what} has no bound: ${scalarText(n)}`, help)
  }
}

/** An access to `size` bytes at `off` beyond the pointer, in a region of `length` bytes. */
export function assertRegion(
  pointer: PointerValue,
  off: number,
  size: number,
  length: number,
  access: Access,
  code: RefusalCode,
  what: string,
): void {
  const at = pointer.off + off
  assertBounded(pointer.n, at, code, what)
  const first = Number(pointer.n.smin) + at
  const last = Number(pointer.n.umax) + at + size
  if (first >= 0 && last <= length) return
  const range =
    first + size === last
      ? `${bytes(size)} at offset ${first}`
      : `${bytes(size)} at an offset of ${first} to ${last - size}`
  const help = isConst(pointer.n) ? undefined : `make sure that the offset is at most ${length - size} before this`
  throw new Refusal(code, `this ${verb(access)} ${range} of ${what}, which has ${bytes(length)}`, help)
}

/** Whether programs may read or write the values of this map, and all of their bytes. */
export function assertMapAccess(env: Env, map: MapSpec, access: Access): void {
  if (access === 'write' && map.flags & RDONLY_PROG) {
    throw new Refusal('read-only', `\`${map.name}\` is read-only for programs`)
  }
  if (access === 'read' && map.flags & WRONLY_PROG) {
    throw new Refusal('read-only', `\`${map.name}\` is write-only for programs`)
  }
  assertPlainValues(env, map)
}

/** Refuses maps whose values have members with rules of their own. */
export function assertPlainValues(env: Env, map: MapSpec): void {
  if (map.valueType === undefined) return
  const seen = new Set<number>()
  const work = [map.valueType]
  for (let id = work.pop(); id !== undefined; id = work.pop()) {
    const type = env.spec.types[id - 1]
    if (!type || seen.has(id)) continue
    seen.add(id)
    if (type.kind === 'struct' || type.kind === 'union') {
      if (SPECIAL.test(type.name)) {
        throw new Refusal('not-yet', `not yet verified: \`${map.name}\` holds a ${type.name}`)
      }
      work.push(...type.members.map((member) => member.type))
    } else if (type.kind === 'type_tag') {
      throw new Refusal('not-yet', `not yet verified: \`${map.name}\` holds kernel pointers (${type.name})`)
    } else if ('type' in type && type.kind !== 'func') work.push(type.type)
    if (type.kind === 'datasec') work.push(...type.vars.map((one) => one.type))
  }
}

/** Whether a value of this map is a constant to the program. */
export const isConstantMap = (map: MapSpec): boolean => map.frozen === true && (map.flags & RDONLY_PROG) !== 0

export function assertPacketAccess(env: Env, access: Access): void {
  const { packet } = env.type
  if (packet === undefined) {
    throw new Refusal('bad-pointer', `${env.type.name} programs have no direct access to the packet`)
  }
  if (access === 'write' && packet === 'read') {
    throw new Refusal('read-only', `${env.type.name} programs may read the packet, not write it`)
  }
}

/** An access at `off` beyond a packet pointer: it must be among the bytes that were compared with the end. */
export function assertPacketRange(pointer: PointerValue, off: number, size: number, access: Access): void {
  const first = pointer.off + off
  const what = isPacket(pointer) && pointer.kind === 'packet_meta' ? 'packet metadata' : 'packet'
  if (pointer.n.smin < 0n) {
    const help = 'check that the offset is not negative, or make it unsigned with `&`'
    throw new Refusal('packet-bounds', `the offset into the ${what} may be negative: ${scalarText(pointer.n)}`, help)
  }
  const checked = Math.max(0, pointer.range)
  if (first >= 0 && pointer.range >= 0 && first + size <= checked) return
  const beyond = isConst(pointer.n) ? '' : ' beyond the variable offset'
  const end = Number(isConst(pointer.n) ? pointer.n.umax : 0n)
  const past = access === 'read' ? 'read' : 'written'
  const had = checked === 0 ? 'the length of the packet was not checked' : `only ${bytes(checked + end)} were checked`
  const message = `${what} bytes ${first + end}..${first + end + size}${beyond} are ${past} but ${had}`
  throw new Refusal('packet-bounds', message, `if (!ctx.has(${first + end + size})) return XDP.PASS`)
}

/** Alignment of an access, where it must hold whatever the machine. */
export function assertAligned(pointer: PointerValue, off: number, size: number, what: string): void {
  if (size === 1) return
  if (tnumAligned(tnumAdd(pointer.n.bits, tnumConst(BigInt.asUintN(64, BigInt(pointer.off + off)))), size)) return
  const where = isConst(pointer.n)
    ? `at offset ${pointer.off + off}`
    : 'at an offset that is not known to be a multiple'
  throw new Refusal('alignment', `${bytes(size)} of ${what} are accessed ${where}: it must be a multiple of ${size}`)
}

/** Bytes of stack that an access may touch, as offsets from the frame pointer. */
export function assertStackRange(
  pointer: PointerValue,
  off: number,
  size: number,
  access: Access,
): [low: number, high: number] {
  const { n } = pointer
  if (n.smax >= MAX_OFFSET || n.smin <= -MAX_OFFSET) {
    throw new Refusal(
      'stack-bounds',
      `the offset into the stack has no bound: ${scalarText(n)}`,
      'compare the index with the size first',
    )
  }
  const low = pointer.off + off + Number(n.smin)
  const high = pointer.off + off + Number(n.smax) + size
  if (low < -MAX_STACK || high > 0 || (size === 0 && high > -1)) {
    const where = isConst(n) ? `offset ${low}` : `an offset of ${low} to ${high - size}`
    throw new Refusal(
      'stack-bounds',
      `this ${verb(access)} ${bytes(size)} at ${where} of the stack, which has offsets -${MAX_STACK} to -1`,
      low < -MAX_STACK ? `a function has ${MAX_STACK} bytes of stack: keep larger data in a map` : undefined,
    )
  }
  return [low, high]
}

export function uninitialisedStack(off: number, size: number): Refusal {
  return new Refusal(
    'uninitialised',
    `reads ${bytes(size)} at offset ${off} of the stack that were never written`,
    'write them first, on every path that leads here',
  )
}

/** The context's own rules: a plain pointer, and a field or a byte range that this program type has. */
export function assertContext(
  env: Env,
  pointer: PointerValue,
  off: number,
  size: number,
  access: Access,
): CtxField | undefined {
  const { fields, name } = env.type
  if (pointer.off !== 0 || !isConst(pointer.n) || pointer.n.umax !== 0n) {
    const help = 'read a field with a constant offset from the context itself'
    throw new Refusal('context-access', 'the context is accessed through a pointer that was moved', help)
  }
  if ('raw' in fields) {
    assertRawContext(env, off, size, fields, access)
    return undefined
  }
  const field = fields.find((one) => off >= one.offset && off + size <= one.offset + one.size)
  if (!field) {
    const near = fields.find((one) => off >= one.offset && off < one.offset + one.size)
    const whose = near ? `more than the field \`${near.name}\`` : 'no field that may be accessed'
    throw new Refusal('context-access', `${bytes(size)} at offset ${off} of the ${name} context are ${whose}`)
  }
  if (access === 'write' && !field.writable) {
    throw new Refusal('context-access', `\`${field.name}\` of the ${name} context is read-only`)
  }
  const narrow = narrowest(field, access)
  if (size < narrow || off % size !== 0) {
    throw new Refusal(
      'context-access',
      `\`${field.name}\` of the ${name} context is accessed as ${bytes(size)} at offset ${off}, it has ${field.size}`,
    )
  }
  return field
}

/** The least bytes of a field that may be accessed: pointers are read whole. */
function narrowest(field: CtxField, access: Access): number {
  const least = access === 'write' ? field.narrowWrite : field.kind === 'scalar' ? field.narrow : undefined
  return least ?? field.size
}

/** A context that is bytes: of a tracepoint record the first eight, the kernel's own, may not be read. */
function assertRawContext(env: Env, off: number, size: number, context: RawContext, access: Access): void {
  const { name } = env.type
  if (access === 'write' && !context.writable) {
    throw new Refusal('context-access', `the context of a ${name} program is read-only`)
  }
  const { raw, from = 0 } = context
  if (off < from || off + size > raw || off % size !== 0) {
    const help = off < from ? `what a program may read begins at offset ${from}` : undefined
    throw new Refusal('context-access', `${bytes(size)} at offset ${off} of the ${name} context cannot be read`, help)
  }
  const { target } = env.program
  const format = name === 'tracepoint' && target !== undefined ? env.platform.tracepoint(target) : undefined
  if (format && off + size > format.size) {
    const message = `${bytes(size)} at offset ${off} are past the end of the record of ${target}, which has ${bytes(format.size)}`
    throw new Refusal('context-access', message, 'the kernel loads such a program and then refuses to attach it')
  }
}

/** At the end of the program, or before a tail call, nothing may be left that was to be given back. */
export function assertReleased(state: State, doing: string): void {
  const [first] = state.refs
  if (!first) return
  throw new Refusal(
    'leaked-reference',
    `${doing} with a record that was reserved at instruction ${first.insn} and neither submitted nor discarded`,
    'submit or discard the record on every path',
  )
}
