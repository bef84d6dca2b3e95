import { describe, expect, it } from 'vitest'
import { Builder, type Node, type Operation } from './ir.ts'
import type { Step } from './low.ts'
import { select } from './select.ts'
import { toSsa } from './ssa.ts'

/** The steps of one block that `write` fills. */
function stepsOf(write: (emit: (operation: Operation, ...args: Node[]) => Node) => void): Step[] {
  const builder = new Builder('test')
  const emit = (operation: Operation, ...args: Node[]): Node => builder.emit(operation, args, 0)
  write(emit)
  builder.end({ op: 'exit', value: emit({ op: 'const', value: 0n }), at: 0 })
  toSsa(builder)
  return select(builder).blocks.flatMap(({ steps }) => steps)
}
const ops = (steps: readonly Step[]): string[] => steps.map(({ op }) => op)

describe('selection', () => {
  it('folds constants into immediates where they fit 32 bits', () => {
    const of = (value: bigint): Step[] =>
      stepsOf((emit) => {
        const ctx = emit({ op: 'ctx' })
        emit({ op: 'bin', bin: 'add', width: 64 }, ctx, emit({ op: 'const', value }))
      })
    expect(ops(of(-0x8000_0000n))).toEqual(['entry', 'alu', 'exit'])
    expect(ops(of(0x8000_0000n))).toEqual(['entry', 'make', 'alu', 'exit'])
  })

  it('folds sums into the offset of an access as far as 16 bits go', () => {
    const of = (added: bigint, offset: number): Step[] =>
      stepsOf((emit) => {
        const ctx = emit({ op: 'ctx' })
        const moved = emit({ op: 'bin', bin: 'add', width: 64 }, ctx, emit({ op: 'const', value: added }))
        emit({ op: 'load', size: 8, offset, pure: true }, moved)
      })
    const offsets = (steps: readonly Step[]) => steps.flatMap((step) => (step.op === 'load' ? [step.offset] : []))
    expect(offsets(of(0x7ff0n, 8))).toEqual([0x7ff8])
    expect(offsets(of(0x7ff0n, 16))).toEqual([16])
    // An offset that no instruction holds is added to the base.
    expect(offsets(of(0n, 0x8000))).toEqual([0])
    expect(ops(of(0n, 0x8000)).filter((op) => op === 'alu').length).toBe(2)
  })

  it('reaches the stack from the frame pointer', () => {
    const steps = stepsOf((emit) => {
      const slot = emit({ op: 'slot', slot: { name: 'key', size: 8, top: 24 } })
      emit({ op: 'store', size: 4, offset: 4 }, slot, emit({ op: 'const', value: 7n }))
    })
    expect(steps[0]).toMatchObject({ op: 'store', base: 'fp', offset: -20, a: 7 })
  })

  it('puts a constant of a comparison on the right', () => {
    const builder = new Builder('test')
    const ctx = builder.emit({ op: 'ctx' }, [], 0)
    const five = builder.emit({ op: 'const', value: 5n }, [], 0)
    const [yes, no] = [builder.newBlock(), builder.newBlock()]
    builder.end({ op: 'branch', cond: 'lt', a: five, b: ctx, yes, no, at: 0 })
    for (const block of [yes, no]) {
      builder.enter(block)
      builder.end({ op: 'exit', value: builder.emit({ op: 'const', value: 0n }, [], 0), at: 0 })
    }
    toSsa(builder)
    const [first] = select(builder).blocks
    expect(first.steps[first.steps.length - 1]).toMatchObject({ op: 'branch', cond: 'gt', b: 5 })
  })

  it('exchanges two variables through a third register', () => {
    const builder = new Builder('test')
    const emit = (operation: Operation, ...args: Node[]): Node => builder.emit(operation, args, 0)
    const ctx = emit({ op: 'ctx' })
    const [a, b] = [builder.variable('a'), builder.variable('b')]
    emit({ op: 'set', variable: a }, emit({ op: 'load', size: 8, offset: 0, pure: true }, ctx))
    emit({ op: 'set', variable: b }, emit({ op: 'load', size: 8, offset: 8, pure: true }, ctx))
    const [head, out] = [builder.newBlock(), builder.newBlock()]
    builder.end({ op: 'jump', to: head, at: 0 })
    builder.enter(head)
    const [x, y] = [emit({ op: 'get', variable: a }), emit({ op: 'get', variable: b })]
    emit({ op: 'set', variable: a }, y)
    emit({ op: 'set', variable: b }, x)
    builder.end({ op: 'branch', cond: 'lt', a: x, b: y, yes: head, no: out, at: 0 })
    builder.enter(out)
    builder.end({ op: 'exit', value: x, at: 0 })
    toSsa(builder)
    const circle = select(builder).blocks.map(({ steps }) => steps.filter(({ op }) => op === 'mov').length)
    expect(Math.max(...circle)).toBe(3)
  })
})
