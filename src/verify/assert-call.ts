// What may be passed to a helper: one rule for each argument type of the helper table. What the call does to
// the state afterwards is in transfer-call.ts. The rules are those of the kernel's check_func_arg.

import type { MapSpec } from '../object/spec.ts'
import type { ArgType, HelperRow } from '../spec/helper.ts'
import { type Access, assertPacketAccess, assertPlainValues, describe, nullCheck } from './assert-memory.ts'
import { type Env, mapNamed } from './env.ts'
import { assertAccess, constantKey, reachStack, readRange } from './memory.ts'
import { notYet, Refusal } from './refusal.ts'
import { isConst, scalarText } from './scalar.ts'
import { isNull, isPacket, markPrecise, type PointerValue, type State, type Value } from './state.ts'

/** BPF_MAX_VAR_SIZ: no size that is not known to be below this is accepted. */
const MAX_SIZE = 1n << 29n

/** What was learnt of a call from its arguments. */
export interface Call {
  readonly row: HelperRow
  map: MapSpec | undefined
  /** The key, where it is a constant on the stack. */
  key: number | undefined
  /** Bytes of the memory that the helper returns. */
  allocated: number
  /** The largest size that was passed: some helpers return at most that. */
  largest: bigint
  /** The reference that is given back, or 0. */
  released: number
  /** Stack that the helper fills. */
  readonly filled: { readonly base: PointerValue; readonly size: number }[]
}

/** BPF_F_RDONLY_PROG */
const RDONLY_PROG = 1 << 7
const WRITERS: ReadonlySet<string> = new Set(['map_update_elem', 'map_delete_elem', 'map_push_elem', 'map_pop_elem'])

const GPL: ReadonlySet<string> = new Set([
  'GPL',
  'GPL v2',
  'GPL and additional rights',
  'Dual BSD/GPL',
  'Dual MIT/GPL',
  'Dual MPL/GPL',
])

/** The helper of that number, if this program may call it. */
export function assertHelper(env: Env, id: number): HelperRow {
  const row = env.platform.helpersById.get(id)
  const { name: type } = env.type
  if (!row)
    throw new Refusal(
      'helper-not-allowed',
      `there is no helper ${id} on ${env.platform.description}, or none that Waggle knows`,
    )
  if (row.programs !== 'all' && !row.programs.includes(type)) {
    throw new Refusal(
      'helper-not-allowed',
      `\`${row.name}\` cannot be called by ${type} programs`,
      `${type} programs have no ${row.name}: it is for ${row.programs.join(', ')}`,
    )
  }
  if (row.gpl && !GPL.has(env.spec.license)) {
    throw new Refusal(
      'helper-not-allowed',
      `\`${row.name}\` is only for programs under the GPL, this one is under \`${env.spec.license}\``,
      "set the licence to 'GPL'",
    )
  }
  if (row.sleeps) throw notYet(`helpers that may sleep (${row.name})`)
  return row
}

const refuse = (call: Call, index: number, message: string, help?: string): Refusal =>
  new Refusal('helper-argument', `argument ${index + 1} of \`${call.row.name}\` ${message}`, help)

type Rule = (env: Env, state: State, call: Call, index: number, value: Value) => void

function assertMap(env: Env, call: Call, index: number, value: Value): void {
  if (value.kind !== 'map' || !value.map || value.off !== 0)
    throw refuse(call, index, `must be a map, not ${describe(value)}`)
  const { map } = value
  const { maps, name } = call.row
  if (maps && !maps.includes(map.type))
    throw refuse(call, index, `cannot be \`${map.name}\`: it is of type ${map.type}`)
  if (map.flags & RDONLY_PROG && WRITERS.has(name))
    throw new Refusal('read-only', `\`${map.name}\` is read-only for programs`)
  assertPlainValues(env, mapNamed(env, map.name))
  call.map = map
}

/** Memory of `size` bytes from the pointer on that the helper reads, or fills where `fills`, or both. */
function assertMemory(
  env: Env,
  state: State,
  call: Call,
  index: number,
  value: Value,
  size: number,
  how: { fills: boolean; access: Access; zero: boolean },
): void {
  if (value.kind === 'scalar') {
    if (how.zero && size === 0 && isNull(value)) return
    throw refuse(call, index, `must point to memory of ${size} bytes, not be ${describe(value)}`)
  }
  if (value.nullable) throw nullCheck(value)
  if (size === 0 && !how.zero) throw refuse(call, index, 'has a size of 0')
  if (value.kind === 'stack') {
    const [low, high] = reachStack(env, state, value, 0, size, how.access)
    if (how.fills && isConst(value.n)) call.filled.push({ base: value, size })
    else readRange(env, state, value.frame, low, high, how.access === 'write')
    return
  }
  if (isPacket(value)) {
    if (!call.row.packet)
      throw refuse(
        call,
        index,
        'points into the packet, which this helper cannot take',
        'copy the bytes to the stack first',
      )
    assertPacketAccess(env, how.access)
  } else if (value.kind !== 'map_value' && value.kind !== 'mem') {
    throw refuse(call, index, `must point to memory, not be ${describe(value)}`)
  }
  assertAccess(env, value, 0, size, how.access)
}

/** Map keys and values: never a ring buffer record, whose memory the kernel does not let pass here. */
function assertMapMemory(
  env: Env,
  state: State,
  call: Call,
  index: number,
  value: Value,
  part: 'key' | 'value',
  fills: boolean,
): void {
  const { map } = call
  if (!map) throw refuse(call, index, 'comes before the map that it belongs to')
  const size = part === 'key' ? map.keySize : map.valueSize
  assertMemory(env, state, call, index, value, size, { fills, access: fills ? 'write' : 'read', zero: false })
  if (part === 'key' && value.kind !== 'scalar') call.key = constantKey(state, value, size)
}

/** The size that belongs to the memory argument before it. */
function assertSize(env: Env, state: State, call: Call, index: number, value: Value, zero: boolean): void {
  if (value.kind !== 'scalar') throw refuse(call, index, `must be a size, not ${describe(value)}`)
  const { n } = value
  if (n.smin < 0n)
    throw refuse(
      call,
      index,
      `is a size that may be negative: ${scalarText(n)}`,
      'make it unsigned with `&`, or compare it first',
    )
  if (n.umin === 0n && !zero)
    throw refuse(call, index, `is a size that may be 0: ${scalarText(n)}`, 'make sure that it is at least 1')
  if (n.umax >= MAX_SIZE)
    throw refuse(
      call,
      index,
      `is a size without a bound: ${scalarText(n)}`,
      'compare it with the size of the memory first',
    )
  const memory = state.frame.regs[index]
  const type = call.row.args[index - 1]
  if (!memory) throw refuse(call, index - 1, 'was never given a value')
  const fills = type === 'uninit_mem'
  const access: Access = fills || call.row.writes?.includes(index - 1) ? 'write' : 'read'
  assertMemory(env, state, call, index - 1, memory, Number(n.umax), { fills: fills && isConst(n), access, zero })
  call.largest = n.umax
  markPrecise(value)
}

function assertFixed(env: Env, state: State, call: Call, index: number, value: Value, fills: boolean): void {
  const size = call.row.argSizes?.[index]
  if (size === undefined) throw notYet(`argument ${index + 1} of \`${call.row.name}\``)
  const access: Access = fills || call.row.writes?.includes(index) ? 'write' : 'read'
  assertMemory(env, state, call, index, value, size, { fills, access, zero: false })
  if (value.kind === 'scalar') return
  const at = value.off + Number(isConst(value.n) ? value.n.smin : 0n)
  if (size === 8 && (at & 7) !== 0) throw refuse(call, index, `must be aligned to ${size} bytes`)
}

function assertContextArg(call: Call, index: number, value: Value): void {
  if (value.kind !== 'ctx') throw refuse(call, index, `must be the context, not ${describe(value)}`)
  if (value.off !== 0 || !isConst(value.n) || value.n.umax !== 0n)
    throw refuse(call, index, 'must be the context itself, not a place in it')
}

function assertRecord(call: Call, index: number, value: Value): void {
  if (value.kind !== 'mem') throw refuse(call, index, `must be a record from ringbuf_reserve, not ${describe(value)}`)
  if (value.nullable) throw nullCheck(value)
  if (value.ref === 0) throw refuse(call, index, 'is a record that was given back already')
  if (value.off !== 0 || !isConst(value.n) || value.n.umax !== 0n)
    throw refuse(call, index, 'must be the start of the record')
}

function assertAllocSize(call: Call, index: number, value: Value): void {
  if (value.kind !== 'scalar' || !isConst(value.n)) throw refuse(call, index, 'must be a constant')
  if (value.n.umax >= MAX_SIZE) throw refuse(call, index, 'is too large')
  markPrecise(value)
  call.allocated = Number(value.n.umax)
}

/** One rule for each type that is judged; the rest is "not yet verified". */
const RULES: Partial<Record<ArgType, Rule>> = {
  anything: () => {},
  const_map_ptr: (env, _state, call, index, value) => assertMap(env, call, index, value),
  map_key: (env, state, call, index, value) => assertMapMemory(env, state, call, index, value, 'key', false),
  map_value: (env, state, call, index, value) => assertMapMemory(env, state, call, index, value, 'value', false),
  uninit_map_value: (env, state, call, index, value) => assertMapMemory(env, state, call, index, value, 'value', true),
  ctx: (_env, _state, call, index, value) => assertContextArg(call, index, value),
  // These are judged with the size that follows them.
  mem: (_env, _state, call, index, value) => assertIsMemory(call, index, value, false),
  uninit_mem: (_env, _state, call, index, value) => assertIsMemory(call, index, value, false),
  mem_or_null: (_env, _state, call, index, value) => assertIsMemory(call, index, value, true),
  const_size: (env, state, call, index, value) => assertSize(env, state, call, index, value, false),
  const_size_or_zero: (env, state, call, index, value) => assertSize(env, state, call, index, value, true),
  const_alloc_size_or_zero: (_env, _state, call, index, value) => assertAllocSize(call, index, value),
  fixed_mem: (env, state, call, index, value) => assertFixed(env, state, call, index, value, false),
  uninit_fixed_mem: (env, state, call, index, value) => assertFixed(env, state, call, index, value, true),
  ringbuf_mem: (_env, _state, call, index, value) => assertRecord(call, index, value),
}

function assertIsMemory(call: Call, index: number, value: Value, orNull: boolean): void {
  if (value.kind !== 'scalar') {
    if (value.nullable) throw nullCheck(value)
    return
  }
  if (orNull && isNull(value)) return
  throw refuse(call, index, `must point to memory, not be ${describe(value)}`)
}

/** Judges one argument. */
export function assertArgument(env: Env, state: State, call: Call, index: number, value: Value): void {
  const type = call.row.args[index]
  if (call.row.nullable?.includes(index) && isNull(value)) return
  const rule = RULES[type]
  if (!rule) throw notYet(`helpers that take a ${type.replaceAll('_', ' ')} (\`${call.row.name}\`)`)
  rule(env, state, call, index, value)
  if (call.row.releases === index && value.kind !== 'scalar') call.released = value.ref
}
