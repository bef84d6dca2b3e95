import { describe, expect, it } from 'vitest'
import { userEngine } from '../engine/user/index.ts'
import { objectOf } from './testing.ts'

// Programs with their input and what must come of it, on the user engine.

async function run(text: string, packet: readonly number[]) {
  const collection = await userEngine().load(await objectOf(text))
  const verdict = collection.progs.get('run')?.run({ data: new Uint8Array(packet) }).retval
  return { verdict, collection }
}

const u32Key = (value: number): Uint8Array => new Uint8Array([value, 0, 0, 0])
const number = (bytes: Uint8Array | undefined): bigint | undefined =>
  bytes && new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true)

describe('compiled programs', () => {
  it('count in loops, leave them, and call functions', async () => {
    const { verdict, collection } = await run(
      `import { arrayMap, u64, XDP, xdp } from 'waggle'
export const out = arrayMap(u64, 4)
export const run = xdp((ctx) => {
  let sum = 0
  for (let i = 0; i < 10; i++) {
    if (i === 2) continue
    if (i === 6) break
    sum += twice(i)
  }
  out.set(0, sum)
  for (const prime of [2, 3, 5]) out.inc(1, prime)
  switch (sum) {
    case 26:
      out.inc(2)
    case 1:
      out.inc(2)
      break
    default:
      out.inc(3)
  }
  return sum > 20 && ctx.length === 1 ? XDP.TX : XDP.DROP
})
function twice(n: number) {
  return n * 2
}
`,
      [0],
    )
    const out = collection.maps.get('out')
    expect(verdict).toBe(3)
    expect([0, 1, 2, 3].map((i) => number(out?.get(u32Key(i))))).toEqual([26n, 10n, 2n, 0n])
    collection.close()
  })

  it('take integers from maps as snapshots and structs as references', async () => {
    const { collection } = await run(
      `import { hash, struct, u32, u64, XDP, xdp } from 'waggle'
export const Pair = struct({ a: u32, b: u64 })
export const numbers = hash(u32, u64, 8)
export const pairs = hash(u32, Pair, 8)
export const run = xdp(() => {
  numbers.set(1, 5)
  const before = numbers.get(1)
  if (before === undefined) return XDP.ABORTED
  numbers.inc(1, 10)
  numbers.set(2, before)
  const pair = pairs.getOrInsert(1, { a: 7, b: before })
  if (!pair) return XDP.ABORTED
  pair.b += 100
  pair.a = pair.a * 2
  numbers.set(3, numbers.get(4) ?? 42)
  return XDP.PASS
})
`,
      [0],
    )
    const numbers = collection.maps.get('numbers')
    expect([1, 2, 3, 4].map((i) => number(numbers?.get(u32Key(i))))).toEqual([15n, 5n, 42n, undefined])
    const pair = collection.maps.get('pairs')?.get(u32Key(1))
    expect([...(pair ?? [])]).toEqual([14, 0, 0, 0, 0, 0, 0, 0, 105, 0, 0, 0, 0, 0, 0, 0])
    collection.close()
  })

  it('count what a full map could not take', async () => {
    const { collection } = await run(
      `import { hash, u32, u64, XDP, xdp } from 'waggle'
export const small = hash(u32, u64, 2)
export const run = xdp(() => {
  for (let i = 0; i < 5; i++) small.inc(i)
  return XDP.PASS
})
`,
      [0],
    )
    const lost = collection.maps.get('small')?.spec.lost
    expect(lost).toEqual({ map: '.bss', offset: 0 })
    expect(number(collection.maps.get('.bss')?.get(u32Key(0)))).toBe(3n)
    collection.close()
  })

  it('read packets only where they have been shown to be long enough', async () => {
    const text = `import { arrayMap, u64, XDP, xdp } from 'waggle'
export const out = arrayMap(u64, 2)
export const run = xdp((ctx) => {
  if (!ctx.has(2)) return XDP.DROP
  const at = ctx.u8(0) & 7
  if (ctx.has(at + 4)) out.set(0, ctx.u16(at + 2))
  return XDP.PASS
})
`
    const long = await run(text, [2, 0, 0, 0, 0x12, 0x34])
    expect(long.verdict).toBe(2)
    expect(number(long.collection.maps.get('out')?.get(u32Key(0)))).toBe(0x1234n)
    const short = await run(text, [1])
    expect(short.verdict).toBe(1)
  })
})
