import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import type { Collection, EventSource } from '../engine.ts'
import { kernelEngine } from './load.ts'
import { describeKernel, map, object, openFds, program, toU32, u32 } from './testing.ts'

/** Sends the packet's first 4 bytes, and counts at offset 8 of `counters` what the ring had no room for. */
const EMIT = `
  r2 = *(u32 *)(r1 + 0)
  r3 = *(u32 *)(r1 + 4)
  r4 = r2
  r4 += 4
  if r4 > r3 goto out
  r2 = *(u32 *)(r2 + 0)
  *(u32 *)(r10 - 4) = r2
  r1 = map[records] ll
  r2 = r10
  r2 += -4
  r3 = 4
  r4 = 0
  call ringbuf_output
  if r0 == 0 goto out
  r1 = 0
  *(u32 *)(r10 - 8) = r1
  r1 = map[counters] ll
  r2 = r10
  r2 += -8
  call map_lookup_elem
  if r0 == 0 goto out
  r1 = 1
  lock *(u64 *)(r0 + 8) += r1
out:
  r0 = 2
  exit`

/** Reserves 16 bytes, writes the packet's length, and gives them up if the first byte of the packet is odd. */
const RESERVE = `
  r7 = *(u32 *)(r1 + 0)
  r8 = *(u32 *)(r1 + 4)
  r2 = r7
  r2 += 1
  if r2 > r8 goto out
  r6 = *(u8 *)(r7 + 0)
  r1 = map[records] ll
  r2 = 16
  r3 = 0
  call ringbuf_reserve
  if r0 == 0 goto out
  *(u64 *)(r0 + 0) = r6
  *(u64 *)(r0 + 8) = r6
  r1 = r0
  r2 = 0
  r6 &= 1
  if r6 == 0 goto submit
  call ringbuf_discard
  goto out
submit:
  call ringbuf_submit
out:
  r0 = 2
  exit`

const RING_BYTES = 4096
/** A record of 4 bytes takes 16 with its header. */
const RING_ROOM = RING_BYTES / 16

describeKernel('ring buffer of the kernel', (support) => {
  let collection: Collection
  let source: EventSource

  beforeAll(async () => {
    const maps = [
      { ...map('records', 'ringbuf', 0, 0, RING_BYTES), lost: { map: 'counters', offset: 8 } },
      map('counters', 'array', 4, 16, 1),
    ]
    const programs = [program('emit', 'xdp', EMIT), program('reserve', 'xdp', RESERVE)]
    collection = await kernelEngine({ support }).load(object(maps, programs))
  })
  afterAll(() => collection?.close())
  beforeEach(() => {
    source?.close()
    source = collection.maps.get('records')!.events()
    source.drain()
  })

  function emit(number: number): void {
    const data = new Uint8Array(64)
    data.set(u32(number))
    expect(collection.progs.get('emit')!.run({ data }).retval).toBe(2)
  }

  it('drains what is there, in order, across the end of the buffer', () => {
    const given: number[] = []
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 100; i++) emit(round * 100 + i)
      given.push(...source.drain().map(toU32))
    }
    expect(given).toEqual(Array.from({ length: 500 }, (_, i) => i))
    expect(source.received).toBeGreaterThanOrEqual(500)
  })

  it('skips discarded records', () => {
    const reserve = collection.progs.get('reserve')!
    for (let i = 0; i < 10; i++) reserve.run({ data: new Uint8Array(64).fill(i) })
    expect(source.drain().map((record) => record[0])).toEqual([0, 2, 4, 6, 8])
  })

  it('counts what did not fit: seen + lost = made', () => {
    const before = source.lost!
    const made = RING_ROOM + 50
    for (let i = 0; i < made; i++) emit(i)
    const seen = source.drain().length
    expect(seen).toBeGreaterThan(0)
    expect(BigInt(seen) + source.lost! - before).toBe(BigInt(made))
  })

  it('wakes an iteration that waits, and goes on after a break', async () => {
    const timer = setInterval(() => emit(7), 5)
    let seen = 0
    for await (const record of source) {
      expect(toU32(record)).toBe(7)
      if (++seen === 10) break
    }
    for await (const _ of source) if (++seen === 20) break
    clearInterval(timer)
    expect(seen).toBe(20)
  })

  it('keeps what an iteration leaves behind when it breaks', async () => {
    for (let i = 0; i < 20; i++) emit(i)
    for await (const record of source) if (toU32(record) === 4) break
    expect(source.drain().map(toU32)).toEqual(Array.from({ length: 15 }, (_, i) => i + 5))
  })

  it('ends the iteration when it is closed', async () => {
    setTimeout(() => source.close(), 10)
    for await (const _ of source) expect.unreachable()
    expect(source.drain()).toEqual([])
    expect(source.lost).toBeTypeOf('bigint')
  })

  it('leaves the event loop its turns while records pour in', async () => {
    let turns = 0
    const timer = setInterval(() => turns++, 0)
    emit(0)
    for await (const _ of source) {
      emit(0)
      if (turns === 5) break
    }
    clearInterval(timer)
    expect(turns).toBe(5)
  })

  it('has one consumer at a time', () => {
    expect(() => collection.maps.get('records')!.events()).toThrow(/are being read already/)
    source.close()
    source = collection.maps.get('records')!.events()
    emit(1)
    expect(source.drain()).toHaveLength(1)
  })

  it('can be opened and closed many times without growing', () => {
    const before = openFds()
    for (let i = 0; i < 200; i++) {
      source.close()
      source = collection.maps.get('records')!.events()
      emit(i)
      expect(source.drain().map(toU32)).toEqual([i])
    }
    expect(openFds()).toBe(before)
  })
})
