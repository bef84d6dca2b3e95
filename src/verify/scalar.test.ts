import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { binOp, condition, extend } from '../isa/concrete.ts'
import type { Width } from '../isa/insn.ts'
import type { BinOp, CondOp } from '../isa/machine.ts'
import {
  ANY,
  draft,
  type Scalar,
  scalarBin,
  scalarConst,
  scalarIn,
  scalarNeg,
  scalarSignExtend,
  scalarTruncate,
  sync,
} from './scalar.ts'
import { opposite, scalarBranch, scalarRefine } from './scalar-branch.ts'

const u64 = fc.oneof(
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  fc.bigInt({ min: -8n, max: 8n }).map((n) => BigInt.asUintN(64, n)),
  fc.constantFrom(1n << 31n, (1n << 31n) - 1n, 1n << 32n, (1n << 32n) - 1n, 1n << 63n, (1n << 63n) - 1n),
)

/** Whether the scalar allows the number: bits and all bounds. */
const holds = (a: Scalar, n: bigint): boolean => scalarIn(a, scalarConst(n))

/** A number, and a scalar that allows it: bounds and bits are loosened at random around it. */
const known: fc.Arbitrary<{ n: bigint; a: Scalar }> = fc
  .tuple(u64, u64, u64, u64, fc.integer({ min: 0, max: 3 }))
  .map(([n, other, mask, third, how]) => {
    if (how === 0) return { n, a: scalarConst(n) }
    const d = draft(ANY)
    if (how !== 2) d.bits = { value: n & ~mask & ((1n << 64n) - 1n), mask }
    if (how !== 1) {
      ;[d.umin, d.umax] = n < other ? [n, other] : [other, n]
      const [s, t] = [BigInt.asIntN(64, n), BigInt.asIntN(64, third)]
      d.smin = s < t ? s : t
      d.smax = s < t ? t : s
    }
    return { n, a: sync(d) }
  })

const OPS: BinOp[] = ['add', 'sub', 'mul', 'div', 'sdiv', 'mod', 'smod', 'or', 'and', 'xor', 'lsh', 'rsh', 'arsh']
const CONDITIONS: CondOp[] = ['eq', 'ne', 'gt', 'ge', 'lt', 'le', 'sgt', 'sge', 'slt', 'sle', 'set']
const width = fc.constantFrom<Width>(32, 64)

describe('scalar', () => {
  it('a loosened scalar still allows its number', () => {
    fc.assert(
      fc.property(known, ({ n, a }) => {
        expect(holds(a, n)).toBe(true)
      }),
    )
  })

  it.each(OPS)('%s allows the concrete result', (op) => {
    fc.assert(
      fc.property(known, known, width, (x, y, w) => {
        expect(holds(scalarBin(op, w, x.a, y.a), binOp(op, w, x.n, y.n))).toBe(true)
      }),
      { numRuns: 400 },
    )
  })

  it.each(['lsh', 'rsh', 'arsh'] as const)('%s by a constant allows the concrete result', (op) => {
    fc.assert(
      fc.property(known, fc.integer({ min: 0, max: 63 }), width, (x, by, w) => {
        const amount = BigInt(by % w)
        expect(holds(scalarBin(op, w, x.a, scalarConst(amount)), binOp(op, w, x.n, amount))).toBe(true)
      }),
      { numRuns: 400 },
    )
  })

  it('negation, truncation and sign extension allow the concrete result', () => {
    fc.assert(
      fc.property(known, fc.constantFrom(1 as const, 2 as const, 4 as const), ({ n, a }, size) => {
        expect(holds(scalarNeg(64, a), BigInt.asUintN(64, -n))).toBe(true)
        expect(holds(scalarTruncate(a, size), BigInt.asUintN(size * 8, n))).toBe(true)
        expect(holds(scalarSignExtend(a, size), extend(true, (size * 8) as 8 | 16 | 32, 64, n))).toBe(true)
      }),
      { numRuns: 400 },
    )
  })

  it.each(CONDITIONS)('%s decides only what is so and keeps the numbers', (op) => {
    fc.assert(
      fc.property(known, known, width, (x, y, w) => {
        const truth = condition(op, w, x.n, y.n)
        const said = scalarBranch(op, w, x.a, y.a)
        if (said !== undefined) {
          expect(said).toBe(truth)
          return
        }
        const [a, b] = scalarRefine(truth ? op : opposite(op), w, x.a, y.a)
        expect(holds(a, x.n)).toBe(true)
        expect(holds(b, y.n)).toBe(true)
      }),
      { numRuns: 400 },
    )
  })

  it('is precise where it matters', () => {
    const byte = scalarBin('and', 64, ANY, scalarConst(255))
    expect([byte.umin, byte.umax, byte.smax]).toEqual([0n, 255n, 255n])
    const [low] = scalarRefine('le', 64, ANY, scalarConst(31))
    expect([low.umax, low.smin, low.bits.mask]).toEqual([31n, 0n, 31n])
    const sum = scalarBin('add', 64, byte, scalarConst(-1))
    expect([sum.smin, sum.smax]).toEqual([-1n, 254n])
  })
})
