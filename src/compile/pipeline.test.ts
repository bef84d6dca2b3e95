import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Engine } from '../engine/engine.ts'
import { kernelEngine } from '../engine/kernel/index.ts'
import { describeKernel } from '../engine/kernel/testing.ts'
import { userEngine } from '../engine/user/index.ts'
import type { BinOp, CondOp } from '../isa/machine.ts'
import { STACK_LIMIT } from './flow.ts'
import { Builder, type Node, type Operation, type Variable } from './ir.ts'
import { backEnd, evaluate, objectOfIr } from './testing.ts'

// Random IR with more variables than there are registers, with branches, loops and helper calls, through the whole
// back end and onto the user engine, against a direct evaluation of the same IR.

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
const VARIABLES = 16
const NOW = 0x1234_5678_9abc_def0n

/** A variable by its number, or a constant. */
type Source = number | bigint
type Statement =
  | { readonly kind: 'bin'; readonly op: BinOp; readonly width: 32 | 64; to: number; a: Source; b: Source }
  | { readonly kind: 'extend'; readonly from: 8 | 16 | 32; readonly signed: boolean; to: number; a: Source }
  | { readonly kind: 'swap'; readonly bits: 16 | 32 | 64; to: number; a: Source }
  | { readonly kind: 'copy'; to: number; a: Source }
  | { readonly kind: 'now'; to: number }
  | { readonly kind: 'if'; cond: CondOp; a: Source; b: Source; yes: Statement[]; no: Statement[] }
  | { readonly kind: 'loop'; times: number; body: Statement[] }

const variable = fc.nat(VARIABLES - 1)
const constant = fc.oneof(
  fc.constantFrom(0n, 1n, -1n, 2n, 8n, 31n, 32n, 63n, 64n, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn, -(1n << 63n)),
  fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
)
const source: fc.Arbitrary<Source> = fc.oneof({ weight: 3, arbitrary: variable }, { weight: 1, arbitrary: constant })

const { statements } = fc.letrec<{ statement: Statement; statements: Statement[] }>((tie) => ({
  statement: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    fc.record({
      kind: fc.constant('bin' as const),
      op: fc.constantFrom(...BINS),
      width: fc.constantFrom(32 as const, 64 as const),
      to: variable,
      a: source,
      b: source,
    }),
    fc.record({
      kind: fc.constant('extend' as const),
      from: fc.constantFrom(8 as const, 16 as const, 32 as const),
      signed: fc.boolean(),
      to: variable,
      a: source,
    }),
    fc.record({
      kind: fc.constant('swap' as const),
      bits: fc.constantFrom(16 as const, 32 as const, 64 as const),
      to: variable,
      a: source,
    }),
    fc.record({ kind: fc.constant('copy' as const), to: variable, a: source }),
    fc.record({ kind: fc.constant('now' as const), to: variable }),
    fc.record({
      kind: fc.constant('if' as const),
      cond: fc.constantFrom(...CONDS),
      a: source,
      b: source,
      yes: tie('statements'),
      no: tie('statements'),
    }),
    fc.record({ kind: fc.constant('loop' as const), times: fc.integer({ min: 1, max: 4 }), body: tie('statements') }),
  ),
  statements: fc.array(tie('statement'), { maxLength: 12 }),
}))

class Writer {
  readonly builder = new Builder('run')
  private readonly variables: Variable[] = []

  constructor(statements: readonly Statement[]) {
    this.emit({ op: 'ctx' })
    for (let i = 0; i < VARIABLES; i++) {
      this.variables.push(this.builder.variable(`v${i}`))
      const input = this.emit({ op: 'mapValue', map: 'in', offset: i * 8 })
      this.set(i, this.emit({ op: 'load', size: 8, offset: 0, pure: false }, input))
    }
    this.all(statements)
    for (let i = 0; i < VARIABLES; i++) {
      const output = this.emit({ op: 'mapValue', map: 'out', offset: i * 8 })
      this.emit({ op: 'store', size: 8, offset: 0 }, output, this.get(i))
    }
    this.builder.end({ op: 'exit', value: this.get(2n), at: 0 })
  }

  private emit(operation: Operation, ...args: Node[]): Node {
    return this.builder.emit(operation, args, 0)
  }
  private get(from: Source): Node {
    if (typeof from === 'bigint') return this.emit({ op: 'const', value: from })
    return this.emit({ op: 'get', variable: this.variables[from] })
  }
  private set(to: number, value: Node): void {
    this.emit({ op: 'set', variable: this.variables[to] }, value)
  }
  private all(statements: readonly Statement[]): void {
    for (const statement of statements) this.statement(statement)
  }

  private statement(statement: Statement): void {
    switch (statement.kind) {
      case 'bin': {
        const { op, width, to, a, b } = statement
        this.set(to, this.emit({ op: 'bin', bin: op, width }, this.get(a), this.get(b)))
        return
      }
      case 'extend': {
        const { from, signed, to, a } = statement
        this.set(to, this.emit({ op: 'extend', from, signed }, this.get(a)))
        return
      }
      case 'swap':
        this.set(statement.to, this.emit({ op: 'swap', bits: statement.bits }, this.get(statement.a)))
        return
      case 'copy':
        this.set(statement.to, this.get(statement.a))
        return
      case 'now':
        this.set(statement.to, this.emit({ op: 'call', helper: 'ktime_get_ns', id: 5 }))
        return
      case 'if':
        this.if(statement)
        return
      case 'loop':
        this.loop(statement)
    }
  }

  private if({ cond, a, b, yes, no }: Statement & { kind: 'if' }): void {
    const { builder } = this
    const [then, otherwise, after] = [builder.newBlock(), builder.newBlock(), builder.newBlock()]
    builder.end({ op: 'branch', cond, a: this.get(a), b: this.get(b), yes: then, no: otherwise, at: 0 })
    builder.enter(then)
    this.all(yes)
    builder.end({ op: 'jump', to: after, at: 0 })
    builder.enter(otherwise)
    this.all(no)
    builder.end({ op: 'jump', to: after, at: 0 })
    builder.enter(after)
  }

  private loop({ times, body }: Statement & { kind: 'loop' }): void {
    const { builder } = this
    const count = builder.variable('count')
    const [head, inside, after] = [builder.newBlock(), builder.newBlock(), builder.newBlock()]
    this.emit({ op: 'set', variable: count }, this.get(0n))
    builder.end({ op: 'jump', to: head, at: 0 })
    builder.enter(head)
    const now = this.emit({ op: 'get', variable: count })
    builder.end({ op: 'branch', cond: 'lt', a: now, b: this.get(BigInt(times)), yes: inside, no: after, at: 0 })
    builder.enter(inside)
    this.all(body)
    const before = this.emit({ op: 'get', variable: count })
    this.emit({ op: 'set', variable: count }, this.emit({ op: 'bin', bin: 'add', width: 64 }, before, this.get(1n)))
    builder.end({ op: 'jump', to: head, at: 0 })
    builder.enter(after)
  }
}

/** What the instructions of `made` leave in the map `out`. */
async function outOf(engine: Engine, made: ReturnType<typeof backEnd>, words: readonly bigint[]): Promise<bigint[]> {
  using collection = await engine.load(objectOfIr(made, words, VARIABLES))
  expect(collection.progs.get('run')?.run({ data: new Uint8Array(14) }).retval).toBe(2)
  const bytes = collection.maps.get('out')?.get(new Uint8Array(4)) as Uint8Array
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  return words.map((_, i) => view.getBigUint64(i * 8, true))
}

const inputs = fc.array(constant, { minLength: VARIABLES, maxLength: VARIABLES })

describe('the back end', () => {
  it('keeps the meaning of random IR', async () => {
    const program = fc.array(statements, { minLength: 2, maxLength: 2 })
    let spills = 0
    await fc.assert(
      fc.asyncProperty(program, inputs, async (parts, words) => {
        const body = parts.flat()
        const wanted = evaluate(new Writer(body).builder, words, VARIABLES, { ktime_get_ns: NOW })
        const made = backEnd(new Writer(body).builder)
        // More is refused by compile(), with a Diagnostic.
        fc.pre(made.low.spills * 8 <= STACK_LIMIT)
        spills = Math.max(spills, made.low.spills)
        expect(await outOf(userEngine({ host: { now: NOW } }), made, words)).toEqual(wanted)
      }),
      { numRuns: 150 },
    )
    // Without them this would not have tested register pressure.
    expect(spills).toBeGreaterThan(8)
  })
})

describeKernel('the back end, in the kernel', (support) => {
  it('keeps the meaning of random IR', async () => {
    const engine = kernelEngine({ support })
    try {
      await fc.assert(
        fc.asyncProperty(statements, inputs, async (body, words) => {
          // The kernel's clock is not ours to set.
          const timeless = body.filter((statement) => !JSON.stringify(statement, text).includes('"now"'))
          const made = backEnd(new Writer(timeless).builder)
          fc.pre(made.low.spills * 8 <= STACK_LIMIT)
          const wanted = evaluate(new Writer(timeless).builder, words, VARIABLES, {})
          expect(await outOf(engine, made, words)).toEqual(wanted)
        }),
        { numRuns: 40 },
      )
    } finally {
      engine.close()
    }
  })
})

const text = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value)
