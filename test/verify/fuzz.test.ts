// Random programs judged by Waggle and by the kernel. WAGGLE_FUZZ_RUNS says how many, WAGGLE_FUZZ_SEED where to
// begin; the seed of a program that differs is in the message.

import { afterAll, describe, expect, it } from 'vitest'
import { kernelEngine, kernelSupport } from '../../src/engine/kernel/index.ts'
import { verify } from '../../src/verify/index.ts'
import { kernelAccepts } from './kernel.ts'
import { assembled, PLATFORM } from './programs.ts'
import { randomProgram } from './random.ts'

const runs = Number(process.env.WAGGLE_FUZZ_RUNS ?? 300)
const first = Number(process.env.WAGGLE_FUZZ_SEED ?? 1)

const support = kernelSupport('xdp')
const recent = support.ok && (support.version[0] > 6 || (support.version[0] === 6 && support.version[1] >= 18))
const skipped = support.ok ? 'needs Linux 6.18 or later' : support.missing.message

describe('random programs', () => {
  it('are the same for the same seed, and some are accepted', () => {
    expect(randomProgram(7)).toEqual(randomProgram(7))
    const verdicts = Array.from({ length: 60 }, (_, seed) => {
      const { text, type } = randomProgram(seed)
      return verify(assembled(text, type), PLATFORM)[0].ok
    })
    expect(new Set(verdicts)).toEqual(new Set([true, false]))
  })
})

describe.skipIf(!recent)(`random programs and the kernel${recent ? '' : ` (skipped: ${skipped})`}`, () => {
  const engine = kernelEngine()
  afterAll(() => engine[Symbol.dispose]())

  it(`${runs} programs: what Waggle accepts, the kernel accepts`, { timeout: 60_000 + runs * 100 }, async () => {
    const unsound: number[] = []
    const imprecise: number[] = []
    for (let seed = first; seed < first + runs; seed++) {
      const { text, type } = randomProgram(seed)
      const spec = assembled(text, type)
      const ours = verify(spec, PLATFORM)[0].ok
      const theirs = await kernelAccepts(engine, spec)
      if (ours && !theirs) unsound.push(seed)
      if (theirs && !ours) imprecise.push(seed)
    }
    expect({ unsound }).toEqual({ unsound: [] })
    expect(imprecise.length, `refused without need: ${imprecise}`).toBeLessThanOrEqual(runs / 100)
  })
})
