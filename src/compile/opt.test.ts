import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { binOp, condition, extend, swap } from '../isa/concrete.ts'
import type { BinOp, CondOp } from '../isa/machine.ts'
import { Builder, type Node, type Operation } from './ir.ts'
import { optimize } from './opt.ts'
import { toSsa } from './ssa.ts'

const BINS: readonly BinOp[] = [
  'add',
  'sub',
  'mul',
  'div',
  'sdiv',
  'mod',
  'smod',
  'or',
  'and',
  'xor',
  'lsh',
  'rsh',
  'arsh',
]
const CONDS: readonly CondOp[] = ['eq', 'ne', 'gt', 'ge', 'lt', 'le', 'sgt', 'sge', 'slt', 'sle', 'set']
const EDGES = [0n, 1n, -1n, 7n, 31n, 32n, 64n, 0x7fff_ffffn, 0x8000_0000n, (1n << 63n) - 1n, -(1n << 63n)]
const value = fc.oneof(fc.constantFrom(...EDGES), fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }))
const word = (number: bigint): bigint => BigInt.asUintN(64, number)

class Graph {
  readonly builder = new Builder('test')
  readonly ctx = this.emit({ op: 'ctx' })

  emit(operation: Operation, ...args: Node[]): Node {
    return this.builder.emit(operation, args, 0)
  }
  const(number: bigint): Node {
    return this.emit({ op: 'const', value: number })
  }
  load(offset: number, pure = true): Node {
    return this.emit({ op: 'load', size: 8, offset, pure }, this.ctx)
  }
  add(a: Node, b: Node): Node {
    return this.emit({ op: 'bin', bin: 'add', width: 64 }, a, b)
  }
  call(...args: Node[]): Node {
    return this.emit({ op: 'call', helper: 'map_delete_elem', id: 3 }, ...args)
  }
  exit(result: Node): void {
    this.builder.end({ op: 'exit', value: result, at: 0 })
  }
  optimized(): Builder {
    toSsa(this.builder)
    optimize(this.builder)
    return this.builder
  }
  /** What the exit gives, if that is known. */
  known(): bigint | undefined {
    const blocks = this.optimized().graph.blocks
    const end = blocks[blocks.length - 1].end
    if (end?.op !== 'exit' || end.value.operation.op !== 'const') return undefined
    return word(end.value.operation.value)
  }
  ops(): string[] {
    return this.optimized()
      .graph.blocks.flatMap(({ nodes }) => nodes)
      .map(({ operation }) => operation.op)
  }
}

describe('constant folding', () => {
  it.each(BINS)('%s is that of the machine', (bin) => {
    fc.assert(
      fc.property(fc.constantFrom(32 as const, 64 as const), value, value, (width, a, b) => {
        const graph = new Graph()
        graph.exit(graph.emit({ op: 'bin', bin, width }, graph.const(a), graph.const(b)))
        expect(graph.known()).toBe(binOp(bin, width, word(a), word(b)))
      }),
    )
  })

  it.each(CONDS)('a branch on %s goes where the machine goes', (cond) => {
    fc.assert(
      fc.property(value, value, (a, b) => {
        const graph = new Graph()
        const [yes, no] = [graph.builder.newBlock(), graph.builder.newBlock()]
        graph.builder.end({ op: 'branch', cond, a: graph.const(a), b: graph.const(b), yes, no, at: 0 })
        graph.builder.enter(yes)
        graph.exit(graph.const(1n))
        graph.builder.enter(no)
        graph.exit(graph.const(0n))
        expect(graph.known()).toBe(condition(cond, 64, word(a), word(b)) ? 1n : 0n)
        expect(graph.builder.graph.blocks.length).toBe(1)
      }),
    )
  })

  it('extends and swaps as the machine', () => {
    const from = fc.constantFrom(8 as const, 16 as const, 32 as const)
    fc.assert(
      fc.property(from, fc.boolean(), value, (bits, signed, a) => {
        const extended = new Graph()
        extended.exit(extended.emit({ op: 'extend', from: bits, signed }, extended.const(a)))
        expect(extended.known()).toBe(extend(signed, bits, 64, word(a)))
        const wide = (bits * 2) as 16 | 32 | 64
        const swapped = new Graph()
        swapped.exit(swapped.emit({ op: 'swap', bits: wide }, swapped.const(a)))
        expect(swapped.known()).toBe(swap('be', wide, word(a)))
      }),
    )
  })
})

describe('dead code', () => {
  it('goes, but not what has an effect', () => {
    const graph = new Graph()
    graph.add(graph.load(0), graph.const(1n))
    graph.emit({ op: 'store', size: 8, offset: 8 }, graph.ctx, graph.const(2n))
    graph.call(graph.load(16))
    graph.exit(graph.const(0n))
    const ops = graph.ops()
    expect(ops.filter((op) => op !== 'const')).toEqual(['ctx', 'store', 'load', 'call'])
  })

  it('goes behind a branch that is never taken', () => {
    const graph = new Graph()
    const [yes, no] = [graph.builder.newBlock(), graph.builder.newBlock()]
    graph.builder.end({ op: 'branch', cond: 'gt', a: graph.const(1n), b: graph.const(2n), yes, no, at: 0 })
    graph.builder.enter(yes)
    graph.call(graph.load(0))
    graph.exit(graph.const(1n))
    graph.builder.enter(no)
    graph.exit(graph.const(0n))
    expect(graph.ops()).not.toContain('call')
  })
})

describe('common subexpressions', () => {
  it('are computed once where the first dominates', () => {
    const graph = new Graph()
    const first = graph.add(graph.load(0), graph.load(8))
    const next = graph.builder.newBlock()
    const other = graph.builder.newBlock()
    graph.builder.end({ op: 'branch', cond: 'eq', a: first, b: graph.const(5n), yes: next, no: other, at: 0 })
    graph.builder.enter(next)
    graph.call(graph.add(graph.load(0), graph.load(8)))
    graph.exit(graph.const(0n))
    graph.builder.enter(other)
    graph.exit(first)
    expect(graph.ops().filter((op) => op === 'bin')).toEqual(['bin'])
  })

  it('are not shared between the two sides of a branch', () => {
    const graph = new Graph()
    const [yes, no] = [graph.builder.newBlock(), graph.builder.newBlock()]
    graph.builder.end({ op: 'branch', cond: 'eq', a: graph.load(0), b: graph.const(5n), yes, no, at: 0 })
    for (const block of [yes, no]) {
      graph.builder.enter(block)
      graph.exit(graph.add(graph.load(8), graph.load(16)))
    }
    expect(graph.ops().filter((op) => op === 'bin')).toEqual(['bin', 'bin'])
  })

  it('are not loads of memory that may have changed', () => {
    const graph = new Graph()
    const before = graph.load(0, false)
    graph.emit({ op: 'store', size: 8, offset: 0 }, graph.ctx, graph.const(1n))
    graph.exit(graph.add(before, graph.load(0, false)))
    expect(graph.ops().filter((op) => op === 'load')).toEqual(['load', 'load'])
  })
})

describe('phis', () => {
  it('stay in front of what others have become', () => {
    // Two variables of a loop: one never changes, the other counts.
    const graph = new Graph()
    const { builder } = graph
    const [same, count] = [builder.variable('same'), builder.variable('count')]
    const [head, out] = [builder.newBlock(), builder.newBlock()]
    graph.emit({ op: 'set', variable: same }, graph.const(7n))
    graph.emit({ op: 'set', variable: count }, graph.load(0))
    builder.end({ op: 'jump', to: head, at: 0 })
    builder.enter(head)
    graph.call(graph.emit({ op: 'get', variable: same }))
    const next = graph.add(graph.emit({ op: 'get', variable: count }), graph.const(1n))
    graph.emit({ op: 'set', variable: count }, next)
    builder.end({ op: 'branch', cond: 'lt', a: next, b: graph.const(9n), yes: head, no: out, at: 0 })
    builder.enter(out)
    graph.exit(next)
    for (const { nodes } of graph.optimized().graph.blocks) {
      const ops = nodes.map(({ operation }) => operation.op)
      expect(ops.lastIndexOf('phi')).toBe(ops.filter((op) => op === 'phi').length - 1)
    }
  })
})
