// Calls of helpers: the look-up of an array or hash is compiled into the program, the other operations on maps whose
// handle is known go to the map by numbers that need no bigint, and everything else goes to the helper itself.

import type { UserMap } from '../maps/map.ts'
import type { Unit } from './frame.ts'
import { arrayLookup } from './lookup.ts'
import type { Translator, Value } from './translate.ts'
import { OP, TYPE } from './wasm.ts'

/** Map types whose operations are those of the helpers: the key's address in, an address or errno out. */
const DIRECT: ReadonlySet<string> = new Set(['array', 'percpu_array', 'hash', 'percpu_hash', 'lru_hash'])

type Compile = (to: Translator, unit: Unit, map: UserMap) => boolean

/** By name: writes the call of a helper on a map of these types. False if it can't this time. */
const ON_MAPS: Readonly<Record<string, Compile>> = {
  map_lookup_elem: lookup,
  map_update_elem: update,
  map_delete_elem: remove,
}

/** Writes the call of the helper of the translator's step; its result is then in r0. */
export function callHelper(to: Translator, unit: Unit): void {
  const { helperName = '', insn } = to.step
  const handle = to.get(1).fact
  if (handle?.kind === 'handle' && DIRECT.has(handle.map.spec.type) && ON_MAPS[helperName]?.(to, unit, handle.map))
    return
  const { code } = to.frame
  const { arity } = to.step
  if (unit.callbacks) to.giveFuel()
  for (let reg = 1; reg <= arity; reg++) to.get(reg).wide()
  place(to)
  code.callImport(unit.imports.helpers.get(insn.imm)!)
  code.set(to.frame.reg(0))
  if (unit.callbacks) to.takeFuel()
  to.guard.notePacket()
}

/** Where the call is, for faults: the slot and the frame. */
function place(to: Translator): void {
  to.frame.code.i32(to.slot)
  to.frame.start()
}

/** Leaves the address of `size` bytes as an i32. */
function pointer(to: Translator, value: Value, size: number): void {
  const { code } = to.frame
  const offset = to.guard.address(value, 0, size, false, to.slot)
  if (offset === 0) return
  code.i32(offset)
  code.op(OP.i32_add)
}

function lookup(to: Translator, unit: Unit, map: UserMap): boolean {
  const { code } = to.frame
  const { layout } = map
  const r0 = to.frame.reg(0)
  if (layout?.kind === 'array') {
    code.memory(OP.i32_load, to.guard.address(to.get(2), 0, 4, false, to.slot))
    arrayLookup(code, layout, to.frame.temp('index', TYPE.i32))
  } else {
    if (layout === undefined) code.i32(unit.mapIndex(map))
    pointer(to, to.get(2), map.spec.keySize)
    if (layout === undefined) code.callImport(unit.imports.lookup)
    else code.callOwn(unit.lookup(map))
    code.op(OP.i64_extend_i32_u)
  }
  code.set(r0)
  if (layout) to.guard.noteValue(map, r0)
  return true
}

function update(to: Translator, unit: Unit, map: UserMap): boolean {
  const { code } = to.frame
  const flags = to.get(4).fact
  if (flags?.kind !== 'number' || flags.value < 0) return false
  code.i32(unit.mapIndex(map))
  pointer(to, to.get(2), map.spec.keySize)
  pointer(to, to.get(3), map.spec.valueSize)
  code.i32(flags.value)
  finish(to, unit.imports.update)
  return true
}

function remove(to: Translator, unit: Unit, map: UserMap): boolean {
  to.frame.code.i32(unit.mapIndex(map))
  pointer(to, to.get(2), map.spec.keySize)
  finish(to, unit.imports.remove)
  return true
}

/** The errno, negative, as r0. */
function finish(to: Translator, callee: number): void {
  const { code } = to.frame
  code.i32(to.slot)
  code.callImport(callee)
  code.op(OP.i64_extend_i32_s)
  code.set(to.frame.reg(0))
}
