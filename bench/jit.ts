// The user engine against the kernel's JIT, on the programs of bench/workload.
//
//   npm run bench:jit                    all programs, 15 rounds
//   npm run bench:jit -- 31 csum sort    as many rounds, and only these programs
//
// Every engine first gives its result and what it leaves in the maps, which must agree. After 2,000 calls to warm up,
// rounds go over the engines in turn, and the least time of each counts: many runs in one call, as BPF_PROG_TEST_RUN
// repeats them. Ratios are what matters; times depend on the machine.

import { setTimeout as sleep } from 'node:timers/promises'
import type { Engine, Prog } from '../src/engine/engine.ts'
import { kernelEngine, kernelSupport } from '../src/engine/kernel/index.ts'
import { prepare } from '../src/engine/user/code.ts'
import { CONTEXTS, Context, UNKNOWN_CONTEXT } from '../src/engine/user/context.ts'
import type { Surrounding } from '../src/engine/user/helpers/call.ts'
import { host } from '../src/engine/user/host.ts'
import { userEngine } from '../src/engine/user/index.ts'
import { CompiledProgram } from '../src/engine/user/jit/index.ts'
import { build } from '../src/engine/user/jit/module.ts'
import { Memory } from '../src/engine/user/memory.ts'
import { Packet } from '../src/engine/user/packet.ts'
import { Run } from '../src/engine/user/run.ts'
import { Sockets } from '../src/engine/user/sockets.ts'
import { MAX_FRAMES, Stacks } from '../src/engine/user/stacks.ts'
import { Timers } from '../src/engine/user/timers.ts'
import type { ObjectSpec } from '../src/object/spec.ts'
import { MAPS, PROGRAMS, PURE, packet, workload } from './workload.ts'

const [rounds = '15', ...only] = process.argv.slice(2)
const ROUNDS = Number(rounds)
const WARM_UP = 2000
/** Nanoseconds that one measurement takes, about. */
const SLICE = 4e6

const support = kernelSupport()
if (!support.ok) console.log(`no kernel to compare with: ${support.missing.message}`)

const ENGINES: Readonly<Record<string, Engine>> = {
  ...(support.ok ? { kernel: kernelEngine({ support }) } : {}),
  jit: userEngine({ jit: 'always', verified: true }),
  checked: userEngine({ jit: 'always' }),
  interpreter: userEngine({ jit: 'never', fuel: 1e9 }),
}
const data = packet()

interface Contestant {
  readonly prog: Prog
  /** Runs in one measurement. */
  repeat: number
  /** Nanoseconds of one run, the least of all rounds. */
  best: number
}

async function measure(name: (typeof PROGRAMS)[number]): Promise<Map<string, number>> {
  const spec = workload(name)
  const contestants = new Map<string, Contestant>()
  const answers = new Map<string, string>()
  for (const [title, engine] of Object.entries(ENGINES)) {
    const collection = await engine.load(spec)
    const prog = collection.progs.get('entry')!
    const { retval } = prog.run({ data })
    const left = [...collection.maps.values()].map((map) =>
      [...map.entries()].map(([key, value]) => `${key}=${value}`).sort(),
    )
    answers.set(title, JSON.stringify([retval, left]))
    const { duration } = prog.run({ data, repeat: title === 'interpreter' ? WARM_UP / 100 : WARM_UP })
    contestants.set(title, { prog, repeat: Math.max(1, Math.round(SLICE / duration)), best: Number.POSITIVE_INFINITY })
  }
  if (new Set(answers.values()).size > 1) throw new Error(`the engines disagree on ${name}: ${[...answers.keys()]}`)
  // V8 optimises in the background: give it work, and time to put its code in place.
  for (let i = 0; i < 4; i++) {
    for (const contestant of contestants.values()) {
      const { duration } = contestant.prog.run({ data, repeat: contestant.repeat })
      contestant.repeat = Math.max(1, Math.round(SLICE / duration))
    }
    await sleep(10)
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const contestant of contestants.values()) {
      const { duration } = contestant.prog.run({ data, repeat: contestant.repeat })
      contestant.best = Math.min(contestant.best, duration)
    }
  }
  return new Map([...contestants].map(([title, { best }]) => [title, best]))
}

/**
 * Nanoseconds of one event: a call of the compiled program for each, the packet being where it is, and what that costs
 * above the same runs in one call.
 */
async function oneEvent(): Promise<{ call: number; batch: number }> {
  const { context, compiled } = compile(workload('empty'))
  const count = 2e6
  const least = { call: Number.POSITIVE_INFINITY, batch: Number.POSITIVE_INFINITY }
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now()
    for (let i = 0; i < count; i++) compiled.run(context)
    const middle = performance.now()
    compiled.batch(context, count)
    const end = performance.now()
    least.call = Math.min(least.call, ((middle - start) * 1e6) / count)
    least.batch = Math.min(least.batch, ((end - middle) * 1e6) / count)
    if (round === 0) await sleep(10)
  }
  return least
}

/** A program of its own, without the collection around it. */
function compile({ programs: [program] }: ObjectSpec): { context: number; compiled: CompiledProgram } {
  const memory = new Memory()
  const packet = new Packet(memory)
  const context = new Context(memory)
  const kind = CONTEXTS.xdp!
  kind.open(context, packet, { data })
  const nothing = (): never => {
    throw new Error('this program has no maps')
  }
  const call: Surrounding = {
    memory,
    packet,
    context,
    host: host(),
    type: 'xdp',
    run: new Run(),
    timers: new Timers(host(), 0),
    sockets: new Sockets(memory, () => []),
    scratch: 0,
    dynptr: 0,
    map: nothing,
    ringOf: nothing,
    packetMoved: () => undefined,
  }
  const stacks = new Stacks(memory, MAX_FRAMES)
  const around = { memory, stacks, fuel: 1e9, readPacket: () => undefined, call }
  const world = { mapOf: () => undefined, valueAt: () => undefined, packetWords: kind.layout.packetWords }
  const code = prepare(program, new Map())
  const compiled = CompiledProgram.compile({ code, around, world, checked: true, context: kind.layout })
  if (typeof compiled === 'string') throw new Error(compiled)
  return { context: context.address, compiled }
}

/** Milliseconds to make the module of a program of 4,000 instructions, V8's own work left out: the least of all rounds. */
function compileTime(): number {
  const { programs } = workload('siphash')
  const rest = programs[0].insns.slice(0, -1)
  const exit = programs[0].insns.slice(-1)
  const insns = Array.from({ length: Math.ceil(4000 / rest.length) }, () => rest)
    .flat()
    .slice(0, 3999)
  const code = prepare({ ...programs[0], insns: [...insns, ...exit] }, new Map())
  const world = { mapOf: () => undefined, valueAt: () => undefined, packetWords: [] }
  const stack = { start: 65536, stride: 576 }
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now()
    const built = build({ program: code, world, checked: true, fuel: 1e9, stack, context: UNKNOWN_CONTEXT })
    if (typeof built === 'string') throw new Error(built)
    best = Math.min(best, performance.now() - start)
    if (round === 0)
      console.log(`a module of 4,000 instructions: the first in ${best.toFixed(1)} ms, ${built.bytes.length} bytes`)
  }
  return best
}

const mean = (ratios: readonly number[]): number =>
  Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length)

const times = new Map<string, Map<string, number>>()
const titles = Object.keys(ENGINES)
console.log(
  `${ROUNDS} interleaved rounds, Node ${process.versions.node}, V8 ${process.versions.v8}; nanoseconds for one run`,
)
console.log(
  `${'program'.padEnd(9)}${titles.map((title) => title.padStart(13)).join('')}   jit/kernel  checked/jit  interp./kernel`,
)
const show = (ratio: number | undefined, width: number): string =>
  (ratio === undefined || Number.isNaN(ratio) ? '-' : ratio.toFixed(2)).padStart(width)
for (const name of PROGRAMS.filter((name) => only.length === 0 || only.includes(name))) {
  const best = await measure(name)
  times.set(name, best)
  const of = (title: string): number => best.get(title) ?? Number.NaN
  console.log(
    name.padEnd(9) +
      titles.map((title) => of(title).toFixed(1).padStart(13)).join('') +
      show(of('jit') / of('kernel'), 13) +
      show(of('checked') / of('jit'), 13) +
      show(of('interpreter') / of('kernel'), 16),
  )
}

function summary(title: string, names: readonly string[], over: string, under: string): void {
  const ratios = names.flatMap((name) => {
    const best = times.get(name)
    return best?.has(under) ? [best.get(over)! / best.get(under)!] : []
  })
  if (ratios.length === 0) return
  console.log(`${title}: geometric mean ${show(mean(ratios), 0)}, worst ${show(Math.max(...ratios), 0)}`)
}
summary('jit/kernel, pure code', PURE, 'jit', 'kernel')
summary('jit/kernel, maps', MAPS, 'jit', 'kernel')
summary('checked/kernel, pure code', PURE, 'checked', 'kernel')
summary('checked/jit, all', [...PURE, ...MAPS], 'checked', 'jit')
summary('interpreter/kernel, all', [...PURE, ...MAPS], 'interpreter', 'kernel')
if (only.length === 0) {
  const { call, batch } = await oneEvent()
  console.log(`one event: ${call.toFixed(1)} ns, in a batch ${batch.toFixed(1)} ns`)
  console.log(`a module of 4,000 instructions: ${compileTime().toFixed(1)} ms at best, without V8's own time`)
}
