import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { MapSpec } from '../../../object/spec.ts'
import { Memory } from '../memory.ts'
import { createMap } from './index.ts'
import { HostMap } from './map.ts'

const spec = (change: Partial<MapSpec> = {}): MapSpec => ({
  name: 'm',
  type: 'hash',
  keySize: 4,
  valueSize: 4,
  maxEntries: 3000,
  flags: 0,
  ...change,
})

const u32 = (n: number): Uint8Array => new Uint8Array(new Uint32Array([n]).buffer)

function make(of: MapSpec, seed = 7): HostMap {
  const memory = new Memory()
  return new HostMap(createMap(of, memory, seed), memory, () => undefined)
}

describe('HashMap', () => {
  it.each([0, 1, 0xffff_ffff])('agrees with a Map of JavaScript over thousands of keys, seed %d', (seed) => {
    const operations = fc.array(fc.tuple(fc.boolean(), fc.nat(2500), fc.nat(1000)), {
      minLength: 3000,
      maxLength: 3000,
    })
    fc.assert(
      fc.property(operations, (sequence) => {
        const map = make(spec(), seed)
        const model = new Map<number, number>()
        for (const [insert, key, value] of sequence) {
          if (insert) map.set(u32(key), u32(value))
          else expect(map.delete(u32(key))).toBe(model.has(key))
          if (insert) model.set(key, value)
          else model.delete(key)
        }
        const found = new Map(
          [...map.entries()].map(([key, value]) => [new Uint32Array(key.buffer)[0], new Uint32Array(value.buffer)[0]]),
        )
        expect(found).toEqual(model)
      }),
      { numRuns: 5 },
    )
  })

  it('takes what it holds, not what it might hold', () => {
    const memory = new Memory()
    const before = memory.bytes.length
    const map = new HostMap(
      createMap(spec({ maxEntries: 10_000_000, valueSize: 64 }), memory, 0),
      memory,
      () => undefined,
    )
    map.set(u32(1), new Uint8Array(64))
    expect(memory.bytes.length).toBeLessThanOrEqual(before * 4)
  })

  it('an LRU hash drops the key that was used longest ago', () => {
    const memory = new Memory()
    const live = createMap(spec({ type: 'lru_hash', maxEntries: 3 }), memory, 0)
    const map = new HostMap(live, memory, () => undefined)
    for (const key of [1, 2, 3]) map.set(u32(key), u32(key))
    const key = memory.allocate({ name: 'key', size: 4 })
    memory.store(key.start, 4, 1n)
    live.lookup(key.start, true)
    map.set(u32(4), u32(4))
    expect([...map.entries()].map(([key]) => key[0]).sort()).toEqual([1, 3, 4])
    // The host's look-ups are no use.
    map.get(u32(3))
    map.set(u32(5), u32(5))
    expect([...map.entries()].map(([key]) => key[0]).sort()).toEqual([1, 4, 5])
  })

  it('pads values of a per-CPU hash for the host', () => {
    const map = make(spec({ type: 'percpu_hash', valueSize: 5 }))
    map.set(u32(1), Uint8Array.of(1, 2, 3, 4, 5, 0, 0, 0))
    expect(map.get(u32(1))).toEqual(Uint8Array.of(1, 2, 3, 4, 5, 0, 0, 0))
    expect(() => map.set(u32(1), new Uint8Array(5))).toThrow(expect.objectContaining({ errno: 'EINVAL' }))
  })

  it('lets others write while it is walked through', () => {
    const map = make(spec())
    for (let key = 0; key < 100; key++) map.set(u32(key), u32(key))
    const seen = new Set<number>()
    for (const [key] of map.entries()) {
      seen.add(key[0])
      map.delete(u32(key[0]))
      map.set(u32(1000 + key[0]), u32(0))
    }
    for (let key = 0; key < 100; key++) expect(seen).toContain(key)
  })
})
