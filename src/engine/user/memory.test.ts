import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LOWEST_ADDRESS, Memory } from './memory.ts'

describe('Memory', () => {
  it('reads what was written, little-endian, at each size', () => {
    const memory = new Memory()
    const { start } = memory.allocate({ name: 'a region', size: 16 })
    memory.store(start, 8, 0x1122334455667788n)
    expect(memory.load(start, 1)).toBe(0x88n)
    expect(memory.load(start + 1, 2)).toBe(0x6677n)
    expect(memory.load(start + 4, 4)).toBe(0x11223344n)
    memory.store(start + 2, 1, 0xabcn)
    expect(memory.load(start, 4)).toBe(0x55bc7788n)
  })

  it('allows exactly what lies in a live region', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(
        sizes,
        fc.integer({ min: -70, max: 370 }),
        fc.constantFrom(1, 2, 4, 8, 100),
        (lengths, offset, size) => {
          const memory = new Memory()
          const regions = lengths.map((length, i) => memory.allocate({ name: `region ${i}`, size: length }))
          for (const region of regions) {
            const at = region.start + offset
            const inside = regions.some(({ start, end }) => at >= start && at + size <= end)
            expect(memory.allows(at, size, true)).toBe(inside)
          }
        },
      ),
    )
  })

  it.each([
    ['a null pointer', 0],
    ['just below the lowest address', LOWEST_ADDRESS - 1],
    ['a negative address', -8],
    ['4 GiB', 2 ** 32 + LOWEST_ADDRESS],
    ['the top of the address space', 2 ** 64 - 1],
    ['what is no number', Number.NaN],
  ])('refuses %s', (_, address) => {
    const memory = new Memory()
    memory.allocate({ name: 'a region', size: 4096 })
    expect(memory.allows(address, 1, false)).toBe(false)
    expect(() => memory.load(address, 1)).toThrow(expect.objectContaining({ code: 'user/fault' }))
  })

  it('says what is wrong with an access', () => {
    const memory = new Memory()
    const { start, end } = memory.allocate({ name: 'the packet', size: 10 })
    const frozen = memory.allocate({ name: 'a value of map m', size: 8, writable: false })
    const handle = memory.allocate({ name: 'map m', size: 8, readable: false, writable: false })
    expect(() => memory.load(end - 1, 4)).toThrow(
      /^read of 4 bytes at 0x1.*: it ends 3 bytes after the end of the packet$/,
    )
    expect(() => memory.load(start - 2, 1)).toThrow(/it begins 2 bytes before the packet$/)
    expect(() => memory.store(frozen.start, 8, 1n)).toThrow(/a value of map m is read-only$/)
    expect(() => memory.load(handle.start, 8)).toThrow(/map m is a handle, not memory$/)
    expect(() => memory.load(16, 8)).toThrow(/read of 8 bytes at 0x10: that is a null pointer$/)
    expect(() => memory.load(2 ** 30, 1)).toThrow(/no memory of this program is there$/)
  })

  it('keeps contents and addresses when it grows, and ends at its limit', () => {
    const memory = new Memory(4 * 2 ** 20)
    const first = memory.allocate({ name: 'first', size: 8 })
    memory.store(first.start, 8, 77n)
    memory.allocate({ name: 'large', size: 2 * 2 ** 20 })
    expect(memory.load(first.start, 8)).toBe(77n)
    expect(() => memory.allocate({ name: 'larger', size: 4 * 2 ** 20 })).toThrow(
      expect.objectContaining({ errno: 'ENOMEM' }),
    )
    memory.allocate({ name: 'small', size: 8 })
  })

  it('keeps to elements where a region has them', () => {
    const memory = new Memory()
    const region = memory.allocate({
      name: 'values',
      size: 32,
      inside: (address, size) => ((address - region.start) % 8) + size <= 5,
    })
    expect(memory.allows(region.start + 8, 5, true)).toBe(true)
    expect(memory.allows(region.start + 12, 2, true)).toBe(false)
  })
})
