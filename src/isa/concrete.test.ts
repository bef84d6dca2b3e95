import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { binOp, condition, extend, neg, swap } from './concrete.ts'
import type { Width } from './insn.ts'
import type { BinOp, CondOp } from './machine.ts'

const MAX = 0xffff_ffff_ffff_ffffn
const MIN64 = 0x8000_0000_0000_0000n
const MIN32 = 0x8000_0000n
/** Words, with those where arithmetic turns over more often than chance has them. */
const word = fc.oneof(
  fc.bigInt(0n, MAX),
  fc.constantFrom(
    0n,
    1n,
    31n,
    32n,
    63n,
    64n,
    0x7fff_ffffn,
    MIN32,
    0xffff_ffffn,
    0x1_0000_0000n,
    MIN64 - 1n,
    MIN64,
    MAX,
  ),
)

describe('binOp', () => {
  it.each<[BinOp, Width, bigint, bigint, bigint]>([
    ['add', 64, MAX, 1n, 0n],
    ['add', 32, 0xdead_0000_ffff_ffffn, 1n, 0n],
    ['sub', 64, 0n, 1n, MAX],
    ['sub', 32, 0n, 1n, 0xffff_ffffn],
    ['mul', 64, MIN64, MAX, MIN64],
    ['mul', 32, 0xffff_ffffn, 0xffff_ffffn, 1n],
    ['div', 64, 7n, 0n, 0n],
    ['div', 32, 7n, 0x1_0000_0000n, 0n],
    ['div', 64, MAX, 2n, MIN64 - 1n],
    ['mod', 64, MAX, 0n, MAX],
    ['mod', 32, MAX, 0n, 0xffff_ffffn],
    ['sdiv', 64, MIN64, MAX, MIN64],
    ['sdiv', 32, MIN32, 0xffff_ffffn, MIN32],
    ['sdiv', 64, MAX - 6n, 2n, MAX - 2n],
    ['sdiv', 64, 7n, 0n, 0n],
    ['smod', 64, MIN64, MAX, 0n],
    ['smod', 32, MIN32, 0xffff_ffffn, 0n],
    ['smod', 64, MAX - 6n, 3n, MAX],
    ['smod', 32, 0xffff_fff9n, 0n, 0xffff_fff9n],
    ['lsh', 64, 1n, 65n, 2n],
    ['lsh', 32, 1n, 33n, 2n],
    ['rsh', 64, MAX, 127n, 1n],
    ['rsh', 32, MAX, 31n, 1n],
    ['arsh', 64, MIN64, 63n, MAX],
    ['arsh', 32, MIN32, 31n, 0xffff_ffffn],
  ])('%s at %i bits: %x, %x', (op, width, a, b, result) => {
    expect(binOp(op, width, a, b)).toBe(result)
  })

  it('at 32 bits is what 64 bits give on the extended low halves', () => {
    const signed = new Set<BinOp>(['sdiv', 'smod', 'arsh'])
    const ops = fc.constantFrom<BinOp>(
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
    )
    fc.assert(
      fc.property(ops, word, word, (op, a, b) => {
        const low = (value: bigint): bigint =>
          signed.has(op) ? BigInt.asUintN(64, BigInt.asIntN(32, value)) : BigInt.asUintN(32, value)
        const count = op === 'lsh' || op === 'rsh' || op === 'arsh' ? b & 31n : low(b)
        expect(binOp(op, 32, a, b)).toBe(BigInt.asUintN(32, binOp(op, 64, low(a), count)))
      }),
    )
  })

  it('keeps dividend = quotient * divisor + remainder', () => {
    const pairs = fc.constantFrom<[BinOp, BinOp]>(['div', 'mod'], ['sdiv', 'smod'])
    fc.assert(
      fc.property(pairs, fc.constantFrom<Width>(32, 64), word, word, ([div, mod], width, a, b) => {
        const product = binOp('mul', width, binOp(div, width, a, b), b)
        expect(binOp('add', width, product, binOp(mod, width, a, b))).toBe(BigInt.asUintN(width, a))
      }),
    )
  })
})

describe('the other operations', () => {
  it('neg wraps around', () => {
    expect(neg(64, 1n)).toBe(MAX)
    expect(neg(64, MIN64)).toBe(MIN64)
    expect(neg(32, 0xffff_ffff_0000_0001n)).toBe(0xffff_ffffn)
  })

  it('extend keeps or drops the sign', () => {
    expect(extend(true, 8, 64, 0x80n)).toBe(MAX - 0x7fn)
    expect(extend(true, 8, 32, 0x80n)).toBe(0xffff_ff80n)
    expect(extend(true, 16, 64, 0x1_7fffn)).toBe(0x7fffn)
    expect(extend(false, 32, 64, MAX)).toBe(0xffff_ffffn)
  })

  it('swap reorders the low bytes and cuts off the rest', () => {
    expect(swap('swap', 64, 0x0102_0304_0506_0708n)).toBe(0x0807_0605_0403_0201n)
    expect(swap('be', 32, 0xffff_ffff_0102_0304n)).toBe(0x0403_0201n)
    expect(swap('be', 16, 0x0102_0304n)).toBe(0x0403n)
    expect(swap('le', 16, 0x0102_0304n)).toBe(0x0304n)
  })

  it.each<[CondOp, Width, bigint, bigint, boolean]>([
    ['eq', 32, 0x1_0000_0005n, 5n, true],
    ['eq', 64, 0x1_0000_0005n, 5n, false],
    ['ne', 64, 1n, 2n, true],
    ['gt', 64, MAX, 0n, true],
    ['sgt', 64, MAX, 0n, false],
    ['ge', 32, 5n, 5n, true],
    ['sge', 32, 0xffff_ffffn, 0n, false],
    ['lt', 64, 0n, MAX, true],
    ['slt', 64, 0n, MAX, false],
    ['slt', 32, MIN32, 0n, true],
    ['le', 64, 5n, 5n, true],
    ['sle', 32, 0xffff_fffen, 0xffff_ffffn, true],
    ['set', 32, 0x1_0000_0000n, 0x1_0000_0000n, false],
    ['set', 64, 0x1_0000_0000n, 0x1_0000_0000n, true],
  ])('%s at %i bits: %x, %x is %s', (op, width, a, b, result) => {
    expect(condition(op, width, a, b)).toBe(result)
  })
})
