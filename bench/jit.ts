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
import { userEngine } from '../src/engine/user/index.ts'
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
