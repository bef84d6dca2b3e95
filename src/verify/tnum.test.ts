import { describe, expect, it } from 'vitest'
import {
  type Tnum,
  tnumAdd,
  tnumAnd,
  tnumIn,
  tnumIntersect,
  tnumLsh,
  tnumMul,
  tnumOr,
  tnumOverlap,
  tnumRange,
  tnumRsh,
  tnumSub,
  tnumUnion,
  tnumXor,
  U64,
} from './tnum.ts'

const WIDTH = 4
const LIMIT = 1n << BigInt(WIDTH)

/** Every tnum of four bits. */
const all: Tnum[] = []
for (let mask = 0n; mask < LIMIT; mask++) {
  for (let value = 0n; value < LIMIT; value++) if ((value & mask) === 0n) all.push({ value, mask })
}
const holds = (t: Tnum, n: bigint): boolean => (n & ~t.mask & U64) === t.value
const members = (t: Tnum): bigint[] =>
  Array.from({ length: Number(LIMIT) }, (_, i) => BigInt(i)).filter((n) => holds(t, n))

describe('tnum', () => {
  const operations: [string, (a: Tnum, b: Tnum) => Tnum, (a: bigint, b: bigint) => bigint][] = [
    ['add', tnumAdd, (a, b) => a + b],
    ['sub', tnumSub, (a, b) => a - b],
    ['mul', tnumMul, (a, b) => a * b],
    ['and', tnumAnd, (a, b) => a & b],
    ['or', tnumOr, (a, b) => a | b],
    ['xor', tnumXor, (a, b) => a ^ b],
  ]
  it.each(operations)('%s holds every result, for all numbers of four bits', (_name, abstract, concrete) => {
    const wrong: unknown[] = []
    for (const a of all) {
      for (const b of all) {
        const result = abstract(a, b)
        if ((result.value & result.mask) !== 0n) wrong.push([a, b])
        for (const x of members(a)) {
          for (const y of members(b)) if (!holds(result, BigInt.asUintN(64, concrete(x, y)))) wrong.push([a, b, x, y])
        }
      }
    }
    expect(wrong).toEqual([])
  })

  it('shifts hold every result', () => {
    for (const a of all) {
      for (let by = 0; by < 64; by++) {
        for (const x of members(a)) {
          expect(holds(tnumLsh(a, by), BigInt.asUintN(64, x << BigInt(by)))).toBe(true)
          expect(holds(tnumRsh(a, by), x >> BigInt(by))).toBe(true)
        }
      }
    }
  })

  it('range holds exactly the common bits', () => {
    for (let low = 0n; low < LIMIT; low++) {
      for (let high = low; high < LIMIT; high++) {
        for (let n = low; n <= high; n++) expect(holds(tnumRange(low, high), n)).toBe(true)
      }
    }
  })

  it('union, intersection, inclusion and overlap agree with the sets', () => {
    const wrong: unknown[] = []
    for (const a of all) {
      for (const b of all) {
        const [inA, inB] = [members(a), members(b)]
        const both = inA.filter((n) => inB.includes(n))
        if (tnumOverlap(a, b) !== both.length > 0) wrong.push(['overlap', a, b])
        if (tnumIn(a, b) !== inB.every((n) => inA.includes(n))) wrong.push(['in', a, b])
        if (![...inA, ...inB].every((n) => holds(tnumUnion(a, b), n))) wrong.push(['union', a, b])
        if (both.length > 0 && !both.every((n) => holds(tnumIntersect(a, b), n))) wrong.push(['intersect', a, b])
      }
    }
    expect(wrong).toEqual([])
  })
})
