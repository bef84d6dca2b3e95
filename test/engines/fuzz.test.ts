// The engines against each other, on random programs: registers and stack must come out the same, bit by bit.
// WAGGLE_FUZZ_RUNS says how many programs (300 if absent), WAGGLE_FUZZ_SEED the first seed: a failure names the one that
// failed, and with it as the seed and one run it comes again.

import { describe, expect, it } from 'vitest'
import type { Engine } from '../../src/engine/engine.ts'
import { disassemble } from '../../src/isa/disassemble.ts'
import { hex } from '../contract/case.ts'
import { COMPILED, INTERPRETER, KERNEL, UNCHECKED } from '../contract/engines.ts'
import { generate, inputs, OUTPUT } from './generate.ts'

const RUNS = Number(process.env.WAGGLE_FUZZ_RUNS ?? 300)
const SEED = Number(process.env.WAGGLE_FUZZ_SEED ?? 1)
const INPUTS = 4

/** What the program of `seed` leaves on each input. */
async function outcomes(engine: Engine, seed: number): Promise<string[]> {
  using collection = await engine.load(generate(seed))
  const prog = collection.progs.get('fuzz')!
  const output = collection.maps.get(OUTPUT.name)!
  return inputs(seed, INPUTS).map((data) => {
    const { retval } = prog.run({ data })
    return `${retval}: ${hex(output.get(new Uint8Array(4))!)}`
  })
}

const replay = (seed: number): string => {
  const text = disassemble(generate(seed).programs[0].insns)
  return `replay with WAGGLE_FUZZ_SEED=${seed} WAGGLE_FUZZ_RUNS=1\n${text}`
}

describe('random programs', () => {
  it('run to their end on the user engine, the same way each time', async () => {
    for (let seed = SEED; seed < SEED + Math.min(RUNS, 50); seed++) {
      const first = await outcomes(INTERPRETER.engine(), seed)
      expect(
        first.every((line) => line.startsWith('1: ')),
        replay(seed),
      ).toBe(true)
      expect(await outcomes(INTERPRETER.engine(), seed), replay(seed)).toEqual(first)
    }
  })

  it('come out the same interpreted and compiled', { timeout: 20_000 + RUNS * 100 }, async () => {
    const interpreter = INTERPRETER.engine()
    const compiled = [COMPILED.engine(), UNCHECKED.engine()]
    for (let seed = SEED; seed < SEED + RUNS; seed++) {
      const expected = await outcomes(interpreter, seed)
      for (const engine of compiled) expect(await outcomes(engine, seed), replay(seed)).toEqual(expected)
    }
  })

  const reason = 'missing' in KERNEL ? ` (${KERNEL.missing})` : ''
  it.skipIf('missing' in KERNEL)(
    `come out the same compiled and in the kernel${reason}`,
    { timeout: 20_000 + RUNS * 100 },
    async () => {
      const user = COMPILED.engine()
      const kernel = (KERNEL as { engine: () => Engine }).engine()
      for (let seed = SEED; seed < SEED + RUNS; seed++) {
        expect(await outcomes(user, seed), replay(seed)).toEqual(await outcomes(kernel, seed))
      }
    },
  )
})
