// Calls: helpers by their row of the helper table, functions of the program by going into them. What may be
// passed is in assert-call.ts.

import type { HelperName, HelperRow } from '../spec/helper.ts'
import { assertArgument, assertHelper, type Call } from './assert-call.ts'
import { assertReleased } from './assert-memory.ts'
import { MAX_FRAMES } from './cfg.ts'
import type { Env } from './env.ts'
import { fillRange } from './memory.ts'
import { notYet, Refusal } from './refusal.ts'
import { scalarSignedBetween } from './scalar.ts'
import { anything, FP, Frame, pointer, REGS, type State, scalar, type Value } from './state.ts'

/** Helpers that return at most the size that they were given, or a negative error (do_refine_retval_range). */
const BOUNDED_RESULT: ReadonlySet<HelperName> = new Set([
  'get_stack',
  'get_task_stack',
  'probe_read_str',
  'probe_read_kernel_str',
  'probe_read_user_str',
])
const MAX_ERRNO = 4095n

/** Map types whose look-up gives something other than a value. */
const NOT_VALUES: ReadonlySet<string> = new Set(['array_of_maps', 'hash_of_maps', 'sockmap', 'sockhash', 'xskmap'])
/** Map types for which the kernel knows that an index below max_entries is there (can_elide_value_nullness). */
const ALWAYS_THERE: ReadonlySet<string> = new Set(['array', 'percpu_array'])

export function callHelper(env: Env, state: State, id: number): void {
  const row = assertHelper(env, id)
  const { frame } = state
  const call: Call = { row, map: undefined, key: undefined, allocated: 0, largest: 0n, released: 0, filled: [] }
  for (let index = 0; index < row.args.length; index++) {
    const value = frame.regs[index + 1]
    if (!value) {
      throw new Refusal(
        'uninitialised',
        `argument ${index + 1} of \`${row.name}\` (r${index + 1}) was never given a value`,
        'r1 to r5 are lost at each call: set them again',
      )
    }
    assertArgument(env, state, call, index, value)
  }
  if (row.name === 'tail_call') {
    assertReleased(state, 'a tail call is made')
    // The kernel then allows half the stack only (check_max_stack_depth).
    if (state.frames.length > 1) throw notYet('tail calls in functions')
  }
  for (const { base, size } of call.filled) fillRange(env, state, base, 0, size)
  if (call.released !== 0) release(state, call.released)
  for (let reg = 0; reg <= 5; reg++) frame.regs[reg] = undefined
  frame.regs[0] = resultOf(env, state, call)
  if (row.changesPacket) forgetPacket(state)
}

/** Pointers to what was given back are no more than numbers. */
function release(state: State, ref: number): void {
  state.refs = state.refs.filter(({ id }) => id !== ref)
  state.rewrite((value) => (value.kind !== 'scalar' && value.ref === ref ? anything() : value))
}

function forgetPacket(state: State): void {
  state.rewrite((value) =>
    value.kind === 'packet' || value.kind === 'packet_end' || value.kind === 'packet_meta' ? anything() : value,
  )
}

function resultOf(env: Env, state: State, call: Call): Value | undefined {
  const { row } = call
  switch (row.ret) {
    case 'void':
      return undefined
    case 'integer':
      return BOUNDED_RESULT.has(row.name) ? scalar(scalarSignedBetween(-MAX_ERRNO, call.largest)) : anything()
    case 'map_value':
    case 'map_value_or_null':
      return mapValue(env, call, row)
    case 'ringbuf_mem_or_null': {
      const id = ++env.ids
      state.refs = [...state.refs, { id, insn: state.pc }]
      return pointer('mem', { nullable: true, id, ref: id, size: call.allocated })
    }
    default:
      throw notYet(`helpers that return a ${row.ret.replaceAll('_', ' ')} (\`${row.name}\`)`)
  }
}

function mapValue(env: Env, call: Call, row: HelperRow): Value {
  const { map, key } = call
  if (!map) throw notYet(`\`${row.name}\` without a map`)
  if (NOT_VALUES.has(map.type)) throw notYet(`look-ups in maps of type ${map.type}`)
  const there =
    row.name === 'map_lookup_elem' &&
    ALWAYS_THERE.has(map.type) &&
    key !== undefined &&
    key >= 0 &&
    key < map.maxEntries
  const nullable = row.ret === 'map_value_or_null' && !(there && isRecent(env))
  return pointer('map_value', { map, nullable, id: nullable ? ++env.ids : 0 })
}

/** Since 6.15 the kernel knows that constant indices of arrays are there. */
const isRecent = ({ platform: { version } }: Env): boolean => version[0] > 6 || (version[0] === 6 && version[1] >= 15)

/** Goes into a function of the program; gives its first slot. */
export function callLocal(env: Env, state: State, target: number): number {
  if (state.frames.length >= MAX_FRAMES) throw new Refusal('structure', `calls nest more than ${MAX_FRAMES} deep here`)
  const { spec, program, structure } = env
  const info = program.functions.find((one) => one.insn === target)
  const type = info?.type === undefined ? undefined : spec.types[info.type - 1]
  if (type?.kind === 'func' && type.linkage === 'global')
    throw notYet(`global functions (\`${type.name}\`): make it static`)
  const caller = state.frame
  const regs: (Value | undefined)[] = new Array(REGS).fill(undefined)
  for (let reg = 1; reg <= 5; reg++) {
    regs[reg] = caller.regs[reg]
    caller.regs[reg] = undefined
  }
  caller.regs[0] = undefined
  regs[FP] = pointer('stack', { frame: state.frames.length })
  state.frames.push(new Frame(structure.subprogOf[target], state.pc, ++env.ids, regs))
  return target
}

/** Comes back from a function; gives the slot after the call. */
export function leave(state: State, result: Value | undefined): number {
  if (result?.kind === 'stack') {
    throw new Refusal(
      'bad-pointer',
      'a function returns a pointer into its stack, which is gone after it',
      'return a number',
    )
  }
  const left = state.frames.pop()
  state.frame.regs[0] = result
  return (left?.callsite ?? 0) + 1
}
