import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { userEngine } from '../engine/user/index.ts'
import { objectOf } from './testing.ts'

// Random integer expressions, compiled and run on the user engine, against the rules of docs/language.md
// written once more on bigints. A seed that fails is printed by fast-check and replays.

interface Typed {
  readonly bits: number
  readonly signed: boolean
}
interface Value extends Typed {
  readonly value: bigint
}
type Tree =
  | { readonly kind: 'leaf'; readonly index: number }
  | { readonly kind: 'cast'; readonly to: Typed; readonly of: Tree }
  | { readonly kind: 'unary'; readonly op: '-' | '~'; readonly of: Tree }
  | { readonly kind: 'choose'; readonly op: string; readonly a: Tree; readonly b: Tree }
  | { readonly kind: 'binary'; readonly op: string; readonly a: Tree; readonly b: Tree }

/** The inputs: one of each type, read from the packet. */
const LEAVES: readonly Typed[] = [8, 16, 32, 64].flatMap((bits) => [
  { bits, signed: false },
  { bits, signed: true },
])
const name = ({ bits, signed }: Typed): string => `${signed ? 'i' : 'u'}${bits}`
const wrap = ({ bits, signed }: Typed, value: bigint): bigint =>
  signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value)

const tree: fc.Arbitrary<Tree> = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4, depthSize: 'medium' },
    fc.record({ kind: fc.constant('leaf' as const), index: fc.nat(LEAVES.length - 1) }),
    fc.record({ kind: fc.constant('cast' as const), to: fc.constantFrom(...LEAVES), of: tie('tree') }),
    fc.record({
      kind: fc.constant('unary' as const),
      op: fc.constantFrom('-' as const, '~' as const),
      of: tie('tree'),
    }),
    fc.record({
      kind: fc.constant('choose' as const),
      op: fc.constantFrom('<', '<=', '>', '>=', '===', '!=='),
      a: tie('tree'),
      b: tie('tree'),
    }),
    fc.record({
      kind: fc.constant('binary' as const),
      op: fc.constantFrom('+', '-', '*', '&', '|', '^', '/', '%', '>>', '>>>', '<<'),
      a: tie('tree'),
      b: tie('tree'),
    }),
  ),
})).tree

const I64: Typed = { bits: 64, signed: true }
const U64: Typed = { bits: 64, signed: false }
const I32: Typed = { bits: 32, signed: true }
const U32: Typed = { bits: 32, signed: false }

function common(a: Typed, b: Typed): Typed {
  if (a.signed === b.signed) return { bits: Math.max(a.bits, b.bits), signed: a.signed }
  const [plain, signed] = a.signed ? [b, a] : [a, b]
  if (plain.bits === 64) return U64
  if (plain.bits < signed.bits) return signed
  return plain.bits < 32 ? I32 : I64
}

/** Where one side is u64 and the other signed, division and order are refused: both are made i64 here. */
const clash = (a: Typed, b: Typed): boolean =>
  (!a.signed && a.bits === 64 && b.signed) || (!b.signed && b.bits === 64 && a.signed)

function evaluate(node: Tree, inputs: readonly bigint[]): Value & { text: string } {
  if (node.kind === 'leaf') {
    const type = LEAVES[node.index]
    return { ...type, value: inputs[node.index], text: `v${node.index}` }
  }
  if (node.kind === 'cast') {
    const of = evaluate(node.of, inputs)
    return { ...node.to, value: wrap(node.to, of.value), text: `${name(node.to)}(${of.text})` }
  }
  if (node.kind === 'unary') {
    const of = evaluate(node.of, inputs)
    const type = of.bits < 32 ? I32 : of
    const value = wrap(type, node.op === '-' ? -of.value : ~of.value)
    return { bits: type.bits, signed: type.signed, value, text: `(${node.op}${of.text})` }
  }
  let a = evaluate(node.a, inputs)
  let b = evaluate(node.b, inputs)
  const ordered = node.kind === 'choose' ? !node.op.endsWith('==') : node.op === '/' || node.op === '%'
  if (ordered && clash(a, b)) {
    a = { ...I64, value: wrap(I64, a.value), text: `i64(${a.text})` }
    b = { ...I64, value: wrap(I64, b.value), text: `i64(${b.text})` }
  }
  if (node.kind === 'choose') {
    const type = common(a, b)
    const holds = compare(node.op, a, b)
    return {
      ...type,
      value: wrap(type, holds ? a.value : b.value),
      text: `${FUNCTIONS[node.op]}(${a.text}, ${b.text})`,
    }
  }
  const text = `((${a.text}) ${node.op} (${b.text}))`
  return { ...binary(node.op, a, b), text }
}

function compare(op: string, a: Value, b: Value): boolean {
  const bitwise = clash(a, b)
  const x = bitwise ? BigInt.asUintN(64, a.value) : a.value
  const y = bitwise ? BigInt.asUintN(64, b.value) : b.value
  const results: Record<string, boolean> = {
    '<': x < y,
    '<=': x <= y,
    '>': x > y,
    '>=': x >= y,
    '===': x === y,
    '!==': x !== y,
  }
  return results[op]
}

function binary(op: string, a: Value, b: Value): Value {
  if (op === '<<' || op === '>>' || op === '>>>') return shift(op, a, b.value)
  const type = common(a, b)
  const wide = type.bits < 32 ? (type.signed || op === '-' ? I32 : U32) : type
  const [x, y] = [wrap(type, a.value), wrap(type, b.value)]
  const results: Record<string, () => bigint> = {
    '+': () => x + y,
    '-': () => x - y,
    '*': () => x * y,
    '&': () => x & y,
    '|': () => x | y,
    '^': () => x ^ y,
    '/': () => (y === 0n ? 0n : x / y),
    '%': () => (y === 0n ? x : x % y),
  }
  return { ...wide, value: wrap(wide, results[op]()) }
}

function shift(op: string, a: Value, count: bigint): Value {
  if (op === '<<') {
    if (a.bits >= 32) return { ...a, value: wrap(a, a.value << (count & BigInt(a.bits - 1))) }
    const type = a.signed ? I64 : U64
    return { ...type, value: wrap(type, a.value << (count & 63n)) }
  }
  const width = a.bits === 64 ? 64 : 32
  const by = count & BigInt(width - 1)
  if (op === '>>' && a.signed) {
    const type = width === 64 ? a : I32
    return { bits: type.bits, signed: type.signed, value: a.value >> by }
  }
  const type = width === 64 ? U64 : a.signed ? U32 : a
  return { bits: type.bits, signed: type.signed, value: BigInt.asUintN(width, a.value) >> by }
}

/** Choices go through functions: TypeScript reads `a < (b) > (c)` as type arguments. */
const FUNCTIONS: Readonly<Record<string, string>> = {
  '<': 'lt',
  '<=': 'le',
  '>': 'gt',
  '>=': 'ge',
  '===': 'eq',
  '!==': 'ne',
}
const functions = Object.entries(FUNCTIONS)
  .map(([op, fn]) => `function ${fn}(a: number, b: number) {\n  return a ${op} b ? a : b\n}`)
  .join('\n')
const OFFSETS = [0, 1, 2, 4, 6, 10, 14, 22]
const reads = LEAVES.map((type, i) => `  const v${i} = ${name(type)}(ctx.u${type.bits}(${OFFSETS[i]}))`).join('\n')

describe('compiled arithmetic', () => {
  it('agrees with the rules on bigints', async () => {
    const batch = fc.tuple(
      fc.array(tree, { minLength: 12, maxLength: 12 }),
      fc.uint8Array({ minLength: 30, maxLength: 30 }),
    )
    await fc.assert(
      fc.asyncProperty(batch, async ([trees, packet]) => {
        const view = new DataView(packet.buffer, packet.byteOffset)
        const inputs = LEAVES.map((type, i) => {
          let value = 0n
          for (let k = 0; k < type.bits / 8; k++) value = (value << 8n) | BigInt(view.getUint8(OFFSETS[i] + k))
          return wrap(type, value)
        })
        const expected = trees.map((node) => evaluate(node, inputs))
        const sets = expected.map(({ text }, i) => `  out.set(${i}, u64(${text}))`).join('\n')
        const spec = await objectOf(`import { arrayMap, i16, i32, i64, i8, u16, u32, u64, u8, xdp, XDP } from 'waggle'
export const out = arrayMap(u64, ${trees.length})
export const run = xdp((ctx) => {
  if (!ctx.has(30)) return XDP.DROP
${reads}
${sets}
  return XDP.PASS
})
${functions}
`)
        using collection = await userEngine().load(spec)
        expect(collection.progs.get('run')?.run({ data: packet }).retval).toBe(2)
        const out = collection.maps.get('out')
        expected.forEach(({ value, text }, i) => {
          const bytes = out?.get(new Uint8Array([i, 0, 0, 0])) as Uint8Array
          const got = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true)
          expect(`${text} = ${got}`).toBe(`${text} = ${BigInt.asUintN(64, value)}`)
        })
      }),
      { numRuns: 25 },
    )
  }, 60_000)
})
