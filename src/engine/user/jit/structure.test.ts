import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { graphOf, type Successors } from './graph.ts'
import { type Sink, structure } from './structure.ts'
import { Code, Module, OP, TYPE } from './wasm.ts'

/** A module of the graph: its blocks call `visit` with their number, and branch as it says. */
function run(successors: Successors, choices: readonly boolean[]): number[] {
  const module = new Module()
  const visit = module.import('visit', { params: [TYPE.i32], results: [TYPE.i32] })
  const main = module.declare({ params: [], results: [] })
  const code = new Code(0)
  const next = code.local(TYPE.i32)
  const sink: Sink = {
    block: () => code.block(OP.block),
    loop: () => code.block(OP.loop),
    if: () => code.block(OP.if),
    else: () => code.op(OP.else),
    end: () => code.end(),
    br: (depth) => code.br(depth),
    brIf: (depth) => code.brIf(depth),
    not: () => code.op(OP.i32_eqz),
    back: () => undefined,
    choose: (block) => {
      code.i32(block)
      code.set(next)
    },
    dispatch: (count) => {
      code.get(next)
      code.op(OP.br_table)
      code.unsigned(count - 1)
      for (let i = 0; i < count; i++) code.unsigned(i)
    },
    body: (block) => {
      code.i32(block)
      code.callImport(visit)
      if (successors[block].length !== 2) code.op(OP.drop)
      if (successors[block].length === 0) code.op(OP.return)
    },
  }
  structure(graphOf(successors), sink)
  code.op(OP.unreachable)
  code.end()
  module.define(main, code)
  module.export('main', main)
  const seen: number[] = []
  const env = {
    memory: new WebAssembly.Memory({ initial: 1 }),
    visit: (block: number): number => {
      if (seen.length === choices.length) throw new RangeError('enough')
      seen.push(block)
      return choices[seen.length - 1] ? 1 : 0
    },
  }
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.finish()), { env })
  try {
    ;(exports.main as () => void)()
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
  }
  return seen
}

/** The same walk on the graph itself. */
function walk(successors: Successors, choices: readonly boolean[]): number[] {
  const seen: number[] = []
  for (let block: number | undefined = 0; block !== undefined && seen.length < choices.length; ) {
    seen.push(block)
    const [taken, other]: readonly number[] = successors[block]
    block = other === undefined || choices[seen.length - 1] ? taken : other
  }
  return seen
}

const graphs: fc.Arbitrary<number[][]> = fc.integer({ min: 1, max: 12 }).chain(
  (
    count, // Most blocks branch: otherwise hardly any graph has a loop with two entries.
  ) => fc.array(fc.array(fc.nat(count - 1), { minLength: 1, maxLength: 2 }), { minLength: count, maxLength: count }),
)
const choices = fc.array(fc.boolean(), { minLength: 60, maxLength: 60 })

describe('structured code', () => {
  it('visits the blocks of any graph as the graph does', () => {
    const kinds = { reducible: 0, irreducible: 0 }
    fc.assert(
      fc.property(graphs, choices, (successors, chosen) => {
        kinds[graphOf(successors).reducible ? 'reducible' : 'irreducible']++
        expect(run(successors, chosen)).toEqual(walk(successors, chosen))
      }),
      { numRuns: 600 },
    )
    expect(Math.min(kinds.reducible, kinds.irreducible)).toBeGreaterThan(20)
  })

  it.each<[string, number[][], boolean]>([
    ['a loop with an exit in the middle', [[1], [2, 3], [1], []], true],
    ['a loop within a loop, both with one header', [[0, 1], [0, 2], []], true],
    ['a diamond', [[1, 2], [3], [3], []], true],
    ['a branch whose ways are the same', [[1, 1], []], true],
    ['a loop that is entered in two places', [[1, 2], [2], [1, 3], []], false],
  ])('%s', (_, successors, reducible) => {
    expect(graphOf(successors).reducible).toBe(reducible)
    fc.assert(
      fc.property(choices, (chosen) => {
        expect(run(successors, chosen)).toEqual(walk(successors, chosen))
      }),
      {
        numRuns: 30,
      },
    )
  })

  it('needs no recursion: a chain of 20,000 diamonds', () => {
    const count = 20_000
    const successors = Array.from({ length: count * 2 + 1 }, (_, i) =>
      i === count * 2 ? [] : i % 2 === 0 ? [i + 1, i + 2] : [i + 1],
    )
    const graph = graphOf(successors)
    const visited: number[] = []
    const nothing = (): void => undefined
    const sink: Sink = {
      block: nothing,
      loop: nothing,
      if: nothing,
      else: nothing,
      end: nothing,
      br: nothing,
      brIf: nothing,
      not: nothing,
      back: nothing,
      choose: nothing,
      dispatch: nothing,
      body: (block) => visited.push(block),
    }
    structure(graph, sink)
    expect(visited).toHaveLength(successors.length)
  })
})

describe('graphOf', () => {
  it('finds the dominators that the definition gives', () => {
    /** Blocks that can be reached from the entry without passing `without`. */
    const reached = (successors: Successors, without: number): Set<number> => {
      const seen = new Set<number>()
      const waiting = without === 0 ? [] : [0]
      for (let block = waiting.pop(); block !== undefined; block = waiting.pop()) {
        if (seen.has(block)) continue
        seen.add(block)
        waiting.push(...successors[block].filter((to) => to !== without))
      }
      return seen
    }
    fc.assert(
      fc.property(graphs, (successors) => {
        const { idom, order } = graphOf(successors)
        expect(new Set(order)).toEqual(reached(successors, -1))
        const dominates = (a: number, b: number): boolean => a === b || !reached(successors, a).has(b)
        for (const block of order.slice(1)) {
          const strict = order.filter((other) => other !== block && dominates(other, block))
          expect(strict).toContain(idom[block])
          for (const other of strict) expect(dominates(other, idom[block])).toBe(true)
        }
      }),
    )
  })
})
