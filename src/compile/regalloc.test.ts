import { describe, expect, it } from 'vitest'
import { Builder, type Node } from './ir.ts'
import { defOf, type Reg, usesOf } from './low.ts'
import { optimize } from './opt.ts'
import { allocate } from './regalloc.ts'
import { select } from './select.ts'
import { toSsa } from './ssa.ts'

/** Loads `count` values, calls a helper, then uses all of them. */
function across(count: number, calls: boolean) {
  const builder = new Builder('test')
  const emit = (...args: Parameters<Builder['emit']>): Node => builder.emit(...args)
  const ctx = emit({ op: 'ctx' }, [], 0)
  const values = Array.from({ length: count }, (_, i) =>
    emit({ op: 'load', size: 8, offset: i * 8, pure: false }, [ctx], 0),
  )
  if (calls) emit({ op: 'call', helper: 'ktime_get_ns', id: 5 }, [], 0)
  const sum = values.reduce((a, b) => emit({ op: 'bin', bin: 'xor', width: 64 }, [a, b], 0))
  builder.end({ op: 'exit', value: sum, at: 0 })
  toSsa(builder)
  optimize(builder)
  const low = select(builder)
  const allocation = allocate(low)
  return { low, allocation, steps: low.blocks.flatMap(({ steps }) => steps) }
}

/** The registers that hold something which is read after the call. */
function heldAcross({ steps, allocation }: ReturnType<typeof across>): number[] {
  const call = steps.findIndex(({ op }) => op === 'call')
  const before = new Set(steps.slice(0, call).flatMap((step) => defOf(step) ?? []))
  const after = new Set<Reg>(steps.slice(call + 1).flatMap(usesOf))
  return [...before].filter((reg) => after.has(reg)).map((reg) => allocation.get(reg) as number)
}

describe('register allocation', () => {
  it('keeps what lives across a call in r6 to r9', () => {
    const result = across(4, true)
    expect(result.low.spills).toBe(0)
    expect(heldAcross(result).sort()).toEqual([6, 7, 8, 9])
  })

  it('puts on the stack what finds no place there', () => {
    const result = across(7, true)
    expect(result.low.spills).toBe(3)
    expect(heldAcross(result).sort()).toEqual([6, 7, 8, 9])
  })

  it('uses all ten registers before it spills', () => {
    expect(across(9, false).low.spills).toBe(0)
    expect(across(12, false).low.spills).toBeGreaterThan(0)
  })

  it('never gives two values that are needed together one register', () => {
    for (let count = 2; count < 24; count++) {
      const { steps, allocation } = across(count, count % 2 === 0)
      for (const step of steps) {
        const uses = [...new Set(usesOf(step))]
        expect(new Set(uses.map((reg) => allocation.get(reg))).size).toBe(uses.length)
      }
    }
  })
})
