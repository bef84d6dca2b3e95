import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Diagnostic } from '../../diag/diagnostic.ts'
import type { BpfMap, Collection } from '../engine.ts'
import { kernelEngine } from './load.ts'
import { describeKernel, map, object, toU32, u32, u64 } from './testing.ts'

/** The Diagnostic that `action` throws. */
function thrown(action: () => unknown): Diagnostic {
  try {
    action()
  } catch (error) {
    return error as Diagnostic
  }
  throw new Error('nothing was thrown')
}

describeKernel('maps in the kernel', (support) => {
  let collection: Collection
  const of = (name: string): BpfMap => collection.maps.get(name)!

  beforeAll(async () => {
    const maps = [
      map('small_hash', 'hash', 4, 8, 8),
      map('big_hash', 'hash', 4, 8, 70_000),
      map('wide_keys', 'hash', 24, 5, 16),
      map('lru', 'lru_hash', 4, 8, 64),
      map('numbers', 'array', 4, 8, 5),
      map('per_cpu', 'percpu_hash', 4, 4, 8),
      map('prefixes', 'lpm_trie', 8, 4, 16),
      map('ring', 'ringbuf', 0, 0, 4096),
      { ...map('filled', 'array', 4, 8, 2), contents: [[u32(1), u64(77)] as const], frozen: true },
    ].map((each) => (each.type === 'lpm_trie' ? { ...each, flags: 1 } : each))
    collection = await kernelEngine({ support }).load(object(maps, []))
  })
  afterAll(() => collection?.close())

  it('keeps, replaces and deletes', () => {
    const counts = of('small_hash')
    expect(counts.get(u32(1))).toBeUndefined()
    counts.set(u32(1), u64(10))
    counts.set(u32(1), u64(11), 'exist')
    counts.set(u32(2), u64(20), 'noexist')
    expect(counts.get(u32(1))).toEqual(u64(11))
    expect(counts.delete(u32(1))).toBe(true)
    expect(counts.delete(u32(1))).toBe(false)
    expect([...counts.entries()]).toEqual([[u32(2), u64(20)]])
  })

  it('gives copies, not views of its buffers', () => {
    const counts = of('lru')
    counts.set(u32(1), u64(1))
    const first = counts.get(u32(1))
    counts.set(u32(1), u64(2))
    expect(first).toEqual(u64(1))
  })

  it.each<[string, string, () => unknown]>([
    ['EEXIST', 'the key is there already', () => of('numbers').set(u32(0), u64(1), 'noexist')],
    ['ENOENT', 'there is no such key', () => of('small_hash').set(u32(99), u64(1), 'exist')],
    ['E2BIG', 'past its end', () => of('numbers').set(u32(5), u64(1))],
    ['E2BIG', 'the map is full', () => fillUp(of('wide_keys'))],
    [
      'EINVAL',
      'a key of map "small_hash" has 4 bytes, and this one has 3',
      () => of('small_hash').get(new Uint8Array(3)),
    ],
    ['EINVAL', 'a value of map "small_hash" has 8 bytes', () => of('small_hash').set(u32(1), u32(1))],
    ['EINVAL', 'cannot be deleted', () => of('numbers').delete(u32(0))],
    ['EPERM', 'the map is read-only', () => of('filled').set(u32(0), u64(1))],
    ['ENOTSUPP', 'cannot be read by key', () => of('ring').get(u32(0))],
    ['ENOTSUPP', 'no keys to go through', () => [...of('ring').entries()]],
    ['EINVAL', 'holds no events', () => of('numbers').events()],
  ])('refuses with %s: %s', (errno, message, action) => {
    const diagnostic = thrown(action)
    expect(diagnostic.errno).toBe(errno)
    expect(diagnostic.message).toContain(message)
  })

  function fillUp(wide: BpfMap): void {
    for (let i = 0; i < 100; i++) wide.set(new Uint8Array(24).fill(i), new Uint8Array(5))
  }

  it('an array has all of its elements, and none past its end', () => {
    expect([...of('numbers').entries()].map(([key]) => toU32(key))).toEqual([0, 1, 2, 3, 4])
    expect(of('numbers').get(u32(5))).toBeUndefined()
  })

  it('is filled before it is frozen', () => {
    expect(of('filled').get(u32(1))).toEqual(u64(77))
  })

  it('goes through more elements than fit one batch', () => {
    const big = of('big_hash')
    for (let i = 0; i < 50_000; i++) big.set(u32(i), u64(i))
    const seen = new Set<number>()
    for (const [key, value] of big.entries()) {
      expect(value[0]).toBe(key[0])
      seen.add(toU32(key))
    }
    expect(seen.size).toBe(50_000)
  })

  it('goes through keys where there are no batches, and ends although keys vanish under it', () => {
    const prefixes = of('prefixes')
    const prefix = (host: number) => Uint8Array.of(32, 0, 0, 0, 10, 0, 0, host)
    for (let host = 0; host < 16; host++) prefixes.set(prefix(host), u32(host))
    const seen = new Set<number>()
    for (const [key, value] of prefixes.entries()) {
      expect(key[7]).toBe(toU32(value))
      seen.add(key[7])
      if (key[7] % 2 === 1) prefixes.delete(key)
    }
    for (let host = 0; host < 16; host += 2) expect(seen).toContain(host)
  })

  it('sees every element that stays while others come and go', () => {
    const big = of('big_hash')
    const seen = new Set<number>()
    let next = 60_000
    for (const [key] of big.entries()) {
      const number = toU32(key)
      seen.add(number)
      if (number < 50_000 && number % 100 === 1) big.delete(key)
      if (number % 1000 === 0 && next < 60_100) big.set(u32(next++), u64(1))
    }
    for (let i = 0; i < 50_000; i++) if (i % 100 !== 1) expect(seen.has(i)).toBe(true)
  })

  it('a per-CPU value is that of all CPUs, at multiples of 8 bytes', () => {
    const perCpu = of('per_cpu')
    perCpu.set(u32(1), valueOfAll(3))
    expect(perCpu.get(u32(1))).toEqual(valueOfAll(3))
    expect([...perCpu.entries()]).toEqual([[u32(1), valueOfAll(3)]])

    function valueOfAll(each: number): Uint8Array {
      const bytes = new Uint8Array(Number(/has (\d+) bytes/.exec(thrown(() => perCpu.set(u32(1), u32(1))).message)![1]))
      for (let at = 0; at < bytes.length; at += 8) bytes[at] = each
      return bytes
    }
  })

  it('is refused once closed', async () => {
    const other = await kernelEngine({ support }).load(object([map('brief', 'hash', 4, 4, 4)], []))
    const brief = other.maps.get('brief')!
    other.close()
    other.close()
    expect(thrown(() => brief.get(u32(1))).errno).toBe('EBADF')
    expect(thrown(() => brief.set(u32(1), u32(1))).errno).toBe('EBADF')
    expect(thrown(() => brief.delete(u32(1))).errno).toBe('EBADF')
    expect(thrown(() => [...brief.entries()]).errno).toBe('EBADF')
  })

  it('says why a map cannot be made, and leaves nothing behind', async () => {
    const maps = [map('before', 'hash', 4, 4, 4), map('crooked', 'ringbuf', 0, 0, 1000)]
    await expect(kernelEngine({ support }).load(object(maps, []))).rejects.toMatchObject({
      errno: 'EINVAL',
      message: expect.stringContaining('map "crooked" cannot be created'),
    })
  })
})
