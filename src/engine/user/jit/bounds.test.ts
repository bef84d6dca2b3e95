import { describe, expect, it } from 'vitest'
import { assemble } from '../../../isa/assemble.ts'
import { prepare } from '../code.ts'
import { boundsOf } from './bounds.ts'
import { entryState, Facts } from './facts.ts'
import { scan } from './scan.ts'

/** Rounds of the loops of a program, in the order of their starts; undefined where one has no bound. */
function rounds(asm: string): (number | undefined)[] {
  const insns = assemble(asm)
  const spec = { name: 'p', type: 'xdp', section: 'xdp', insns, functions: [], lines: [], relocations: [] } as const
  const code = prepare(spec, new Map())
  const scanned = scan(code, 1000)!
  const func = scanned.functions.get(0)!
  const facts = new Facts(code, { mapOf: () => undefined, valueAt: () => undefined, packetWords: [] })
  facts.solve(func, entryState(true))
  const bounds = boundsOf(func, code, scanned.effects, facts.entering, () => 1)
  return func.graph.order.filter((block) => func.graph.loop[block]).map((block) => bounds.get(block)?.rounds)
}

describe('a loop that surely ends', () => {
  it.each([
    ['until a counter is above a limit', 'r0 = *(u32 *)(r1 + 0)\nl: r0 += 1\nif r0 <= 99 goto l\nexit', 101],
    ['until a counter is equal to a limit', 'r0 = 4\nl: r0 += 8\nif r0 != 44 goto l\nexit', 7],
    ['with the test before the step', 'r0 = 0\nl: if r0 > 9 goto e\nr0 += 1\ngoto l\ne: exit', 11],
    ['signed', 'r0 = 0\nl: r0 += 1\nif r0 s< 10 goto l\nexit', 12],
  ])('%s', (_, asm, most) => {
    expect(rounds(asm)).toEqual([most])
  })

  it('may have another in it', () => {
    const asm = 'r0 = 0\no: r1 = 0\ni: r1 += 1\nif r1 != 5 goto i\nr0 += 1\nif r0 != 3 goto o\nexit'
    expect(rounds(asm)).toEqual([5, 7])
  })
})

describe('no bound', () => {
  it.each([
    ['a counter that misses its limit', 'r0 = 4\nl: r0 += 8\nif r0 != 45 goto l\nexit'],
    ['a counter that begins at its limit', 'r0 = 4\nl: r0 += 8\nif r0 != 4 goto l\nexit'],
    [
      'a counter that some rounds leave out',
      'r0 = 0\nr2 = 0\nl: if r1 == 0 goto s\nr0 += 1\ns: if r0 != 9 goto l\nexit',
    ],
    ['a test that some rounds leave out', 'r0 = 0\nl: r0 += 1\nif r1 == 0 goto l\nif r0 < 9 goto l\nexit'],
    ['a counter that is set back', 'r0 = 0\nl: r0 += 1\nif r0 < 5 goto s\nr0 = 1\ns: if r0 < 9 goto l\nexit'],
    ['a counter that starts anywhere', 'r0 = *(u32 *)(r1 + 0)\nl: r0 += 1\nif r0 != 9 goto l\nexit'],
    ['a limit that is not known', 'r0 = 0\nr2 = *(u32 *)(r1 + 0)\nl: r0 += 1\nif r0 < r2 goto l\nexit'],
    ['too many rounds', 'r0 = 0\nl: r0 += 1\nif r0 < 100000 goto l\nexit'],
  ])('%s', (_, asm) => {
    expect(rounds(asm)).toEqual([undefined])
  })
})
