// A whole program as a module of WebAssembly: which functions it has and what each needs, what it imports, and the
// functions by which it is entered.

import { FUNCTION_BASE, type Code as Program } from '../code.ts'
import type { UserMap } from '../maps/map.ts'
import { type Bound, boundsOf } from './bounds.ts'
import { entryState, Facts, type World } from './facts.ts'
import { type Imports, type Plan, type Site, signatureOf, type Unit } from './frame.ts'
import { hashLookup, LOOKUP } from './lookup.ts'
import { blockLength, type Func, type Scanned, SEES, scan } from './scan.ts'
import { translate } from './translate.ts'
import { Code, Module, OP, type Signature, TYPE } from './wasm.ts'

export interface ModuleInit {
  readonly program: Program
  readonly world: World
  readonly checked: boolean
  /** Instructions that one run may execute. */
  readonly fuel: number
  readonly stack: Unit['stack']
  readonly context: Unit['context']
}

export interface BuiltModule {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** The maps that `lookup`, `update` and `remove` are called with, by index. */
  readonly maps: readonly UserMap[]
  /** The places that can fault, by their number less 1. */
  readonly sites: readonly Site[]
  /** Whether an instruction can end the whole program by throwing: a packet load. */
  readonly ends: boolean
}

/** Names of imports and exports. A callback's export is its slot behind `callback`, a helper's import its id. */
export const NAME = {
  run: 'run',
  batch: 'batch',
  callback: 'callback',
  check: 'check',
  fault: 'fault',
  packet: 'packet',
  lookup: 'lookup',
  update: 'update',
  remove: 'remove',
  helper: 'helper',
} as const

/** V8's greatest function body, in bytes (kV8MaxWasmFunctionSize), and the most entries of a br_table (kV8MaxWasmFunctionBrTableSize). */
const MAX_BODY = 7_654_321
const MAX_TABLE = 65_520
/** Functions may share code, which then is compiled for each: no more instructions in all than those of the program and these. */
const MAX_SHARED = 100_000
/** A function that runs no more instructions than this does not count fuel; its callers do it for it. */
const FREE_LENGTH = 1_000_000

const { i32, i64, f64 } = TYPE
const HELPER_PLACE = [i32, i32] as const

const SIGNATURE: Readonly<Record<'check' | 'fault' | 'packet' | 'lookup' | 'update' | 'remove', Signature>> = {
  /** Base, offset, size * 2 + write, slot, frame. */
  check: { params: [f64, i32, i32, i32, i32], results: [] },
  /** One of FAULT, detail, slot. */
  fault: { params: [i32, i32, i32], results: [] },
  /** Size, offset, slot. */
  packet: { params: [i32, i32, i32], results: [i32] },
  /** Map, key. */
  lookup: { params: [i32, i32], results: [i32] },
  /** Map, key, value, flags, slot. */
  update: { params: [i32, i32, i32, i32, i32], results: [i32] },
  /** Map, key, slot. */
  remove: { params: [i32, i32, i32], results: [i32] },
}

/** The module of a program, or why it cannot be compiled. */
export function build(init: ModuleInit): BuiltModule | string {
  const { program, checked } = init
  const scanned = scan(program, program.steps.length + MAX_SHARED)
  if (scanned === undefined) return 'its functions share too much code'
  for (const { graph } of scanned.functions.values()) {
    if (!graph.reducible && graph.order.length > MAX_TABLE)
      return `an irreducible function has more than ${MAX_TABLE} blocks`
  }
  const module = new Module()
  const imports = importsOf(module, program)
  const fuel = module.global()
  const shape = shapeOf(scanned, program, checked)
  const functions = plan(module, scanned, shape, init)
  const maps: UserMap[] = []
  const lookups = new Map<UserMap, number>()
  const sites: Site[] = []
  const unit: Unit = {
    effects: scanned.effects,
    functions,
    checked,
    stack: init.stack,
    imports,
    fuel,
    deep: shape.deep,
    callbacks: program.callbacks.size > 0,
    context: init.context,
    site: (site) => sites.push(site),
    mapIndex: (map) => {
      const known = maps.indexOf(map)
      return known >= 0 ? known : maps.push(map) - 1
    },
    lookup: (map) => {
      const known = lookups.get(map)
      if (known !== undefined) return known
      const index = module.declare(LOOKUP)
      if (map.layout?.kind !== 'hash') throw new RangeError(`map ${map.spec.name} has no such look-up`)
      module.define(index, hashLookup(map.layout, map.spec.keySize))
      lookups.set(map, index)
      return index
    },
  }
  for (const plan of functions.values()) {
    const code = translate(program, unit, plan)
    if (code.length + 64 > MAX_BODY) {
      return `a function of ${plan.func.size} instructions is larger than WebAssembly engines take (${MAX_BODY} bytes)`
    }
    module.define(plan.index, code)
  }
  enter(module, unit, init)
  const ends = [...functions.values()].some(({ func }) => (func.sees & SEES.packet) !== 0)
  return { bytes: module.finish(), maps, sites, ends }
}

function importsOf(module: Module, { steps }: Program): Imports {
  const own = Object.fromEntries(
    Object.entries(SIGNATURE).map(([name, signature]) => [name, module.import(name, signature)]),
  ) as Record<keyof typeof SIGNATURE, number>
  const helpers = new Map<number, number>()
  for (const step of steps) {
    if (step?.helper === undefined || helpers.has(step.insn.imm)) continue
    const params = [...new Array<typeof i64>(step.arity).fill(i64), ...HELPER_PLACE]
    helpers.set(step.insn.imm, module.import(`${NAME.helper}${step.insn.imm}`, { params, results: [i64] }))
  }
  return { ...own, helpers }
}

/** What the functions' calls of each other come to. */
interface Shape {
  /** Calls may be deeper than there are frames. */
  readonly deep: boolean
  /** Entries of functions that have to do with memory, or call one that has. */
  readonly memory: ReadonlySet<number>
  /** Entries, those of called functions before those of their callers. */
  readonly order: readonly number[]
}

const MAX_DEPTH = 8

function shapeOf({ functions }: Scanned, program: Program, checked: boolean): Shape {
  const height = new Map<number, number>()
  const memory = new Set<number>()
  const order: number[] = []
  const open = new Set<number>()
  let deep = program.callbacks.size > 0
  const touches = SEES.helper | (checked ? SEES.memory : 0)
  const stack = [...functions.keys()]
  while (stack.length > 0) {
    const entry = stack[stack.length - 1]
    const func = functions.get(entry)!
    const callees = [...func.calls].filter((callee) => functions.has(callee))
    if (!height.has(entry) && !open.has(entry)) {
      open.add(entry)
      for (const callee of callees) {
        if (open.has(callee)) deep = true
        else if (!height.has(callee)) stack.push(callee)
      }
      continue
    }
    stack.pop()
    if (!open.delete(entry)) continue
    height.set(entry, 1 + Math.max(0, ...callees.map((callee) => height.get(callee) ?? MAX_DEPTH)))
    order.push(entry)
    if (func.sees & touches || func.reads & (1 << 10) || callees.some((callee) => memory.has(callee))) memory.add(entry)
  }
  if ((height.get(0) ?? 0) > MAX_DEPTH) deep = true
  return { deep, memory, order }
}

function plan(module: Module, { functions, effects }: Scanned, shape: Shape, init: ModuleInit): Map<number, Plan> {
  const { program, checked, world } = init
  const called = new Set(program.callbacks)
  for (const { calls } of functions.values()) for (const callee of calls) called.add(callee)
  const free = Math.min(FREE_LENGTH, init.fuel)
  const plans = new Map<number, Plan>()
  for (const entry of shape.order) {
    const func = functions.get(entry)!
    const callback = program.callbacks.has(entry)
    const main = entry === 0 && !called.has(0)
    const facts = new Facts(program, world)
    const states = facts.solve(func, entryState(main))
    const lengthOf = (block: number): number =>
      blockLength(func, block, effects, (callee) => plans.get(callee)?.length ?? Number.POSITIVE_INFINITY)
    const bounds = checked ? boundsOf(func, program, effects, facts.entering, lengthOf) : NO_BOUNDS
    const all = lengthIn(func, bounds, lengthOf)
    // Where all of it might be more than the fuel, each round is counted.
    const short = Number.isFinite(all) ? all <= free : [...bounds.values()].every((bound) => bound.length <= free)
    const args = [1, 2, 3, 4, 5].filter((reg) => (func.takes & (1 << reg)) !== 0)
    const frame = !main && (callback || shape.memory.has(entry) || shape.deep)
    const parts = {
      func,
      facts,
      states,
      bounds: short ? bounds : NO_BOUNDS,
      length: short || bounds.size === 0 ? all : Number.POSITIVE_INFINITY,
      args,
      frame,
      fuel: checked && (callback || shape.deep || !short || all > free),
      main,
    }
    plans.set(entry, { ...parts, index: module.declare(signatureOf(parts)) })
  }
  return plans
}

const NO_BOUNDS: ReadonlyMap<number, Bound> = new Map()

/** Instructions that one call runs at most. */
function lengthIn({ graph }: Func, bounds: ReadonlyMap<number, Bound>, lengthOf: (block: number) => number): number {
  let sum = 0
  for (const block of graph.order) {
    const bound = bounds.get(block)
    if (graph.loop[block] && bound === undefined) return Number.POSITIVE_INFINITY
    // A block of a loop is counted twice: for itself and with the loop.
    sum += lengthOf(block) + (bound?.length ?? 0)
  }
  return sum
}

/** The exports: one run, many runs, and the functions that helpers call back. */
function enter(module: Module, unit: Unit, { program, fuel }: ModuleInit): void {
  const first = unit.functions.get(0)!
  const start = (code: Code): void => {
    if (first.fuel) {
      code.i64(BigInt(Math.min(fuel, Number.MAX_SAFE_INTEGER)))
      code.setGlobal(unit.fuel)
    }
    for (const reg of first.args) {
      if (reg === 1) {
        code.get(0)
        code.op(OP.i64_extend_i32_u)
      } else code.i64(0)
    }
    if (first.frame) code.i32(unit.stack.start)
    code.callOwn(first.index)
    code.op(OP.i32_wrap_i64)
  }
  const run = new Code(1)
  start(run)
  run.end()
  const batch = new Code(2)
  const result = batch.local(i32)
  batch.block(OP.loop)
  start(batch)
  batch.set(result)
  batch.get(1)
  batch.i32(1)
  batch.op(OP.i32_sub)
  batch.tee(1)
  batch.brIf(0)
  batch.end()
  batch.get(result)
  batch.end()
  for (const [name, code, params] of [[NAME.run, run, [i32]] as const, [NAME.batch, batch, [i32, i32]] as const]) {
    const index = module.declare({ params, results: [i32] })
    module.define(index, code)
    module.export(name, index)
  }
  for (const slot of program.callbacks) {
    const callee = unit.functions.get(slot)!
    const code = new Code(6)
    for (const reg of callee.args) code.get(reg - 1)
    code.get(5)
    code.callOwn(callee.index)
    code.end()
    const index = module.declare({ params: [i64, i64, i64, i64, i64, i32], results: [i64] })
    module.define(index, code)
    module.export(`${NAME.callback}${slot}`, index)
  }
}

/** The slot of a function whose address is `address`. */
export const slotOf = (address: bigint): number => Number(address - FUNCTION_BASE)
