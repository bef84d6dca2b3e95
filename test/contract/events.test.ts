// Events while they arrive: what a consumer that waits sees, on every engine.

import { describe, expect, it } from 'vitest'
import type { Collection, Engine } from '../../src/engine/engine.ts'
import { COUNTING, hex, map, object, program, u64 } from './case.ts'
import { ENGINES } from './engines.ts'

/** Emits a u64 that counts up from 1. */
const EMIT = `
  r1 = map_value[state][0] ll
  r2 = 1
  r2 = atomic64_fetch_add((u64 *)(r1 + 0), r2)
  r2 += 1
  *(u64 *)(r10 - 8) = r2
  r1 = map[events] ll
  r2 = r10
  r2 += -8
  r3 = 8
  r4 = 0
  call ringbuf_output
  exit`

for (const candidate of ENGINES) {
  const reason = 'missing' in candidate ? `: ${candidate.missing}` : ''
  describe.skipIf('missing' in candidate)(`${candidate.title}${reason}`, () => {
    const load = async (): Promise<{ collection: Collection; emit: () => void }> => {
      const engine: Engine = (candidate as { engine: () => Engine }).engine()
      const maps = [map('events', 'ringbuf', 0, 0, 4096), map('state', 'array', 4, 8, 1)]
      const collection = await engine.load(object('events', [program('emit', 'xdp', EMIT)], maps))
      return { collection, emit: () => void collection.progs.get('emit')!.run({ data: COUNTING }) }
    }

    it('hands records out in order, those that wait and those that come', async () => {
      const { collection, emit } = await load()
      using _ = collection
      using source = collection.maps.get('events')!.events()
      emit()
      emit()
      const seen: string[] = []
      for await (const record of source) {
        seen.push(hex(record))
        if (seen.length === 5) break
        if (seen.length >= 2) setTimeout(emit, 1)
      }
      expect(seen).toEqual([1n, 2n, 3n, 4n, 5n].map(u64))
      expect(source.received).toBe(5)
      expect(source.lost).toBeUndefined()
    })

    it('goes round the ring many times without a gap', async () => {
      const { collection, emit } = await load()
      using _ = collection
      using source = collection.maps.get('events')!.events()
      const seen: string[] = []
      for (let round = 0; round < 20; round++) {
        for (let i = 0; i < 100; i++) emit()
        seen.push(...source.drain().map(hex))
      }
      expect(seen).toEqual(Array.from({ length: 2000 }, (_, i) => u64(BigInt(i + 1))))
    })

    it('ends the iteration when the collection is closed', async () => {
      const { collection, emit } = await load()
      const source = collection.maps.get('events')!.events()
      emit()
      const seen: string[] = []
      for await (const record of source) {
        seen.push(hex(record))
        setTimeout(() => collection.close(), 1)
      }
      expect(seen).toEqual([u64(1n)])
    })

    it('has one consumer at a time', async () => {
      const { collection } = await load()
      using _ = collection
      const events = collection.maps.get('events')!
      const first = events.events()
      expect(() => events.events()).toThrow(expect.objectContaining({ errno: 'EBUSY' }))
      first.close()
      events.events().close()
    })
  })
}

/** Emits the first 4 bytes of the packet. */
const SAMPLE = `
  r2 = map[samples] ll
  r3 = 0x4ffffffff ll
  r4 = r10
  r4 += -8
  *(u64 *)(r10 - 8) = 0
  r5 = 8
  call perf_event_output
  exit`

for (const candidate of ENGINES) {
  const reason = 'missing' in candidate ? `: ${candidate.missing}` : ''
  describe.skipIf('missing' in candidate)(`perf events, ${candidate.title}${reason}`, () => {
    const load = async (): Promise<{ collection: Collection; emit: (n: number) => number }> => {
      const engine: Engine = (candidate as { engine: () => Engine }).engine()
      const maps = [map('samples', 'perf_event_array', 4, 4, 1024)]
      const collection = await engine.load(object('perf', [program('emit', 'xdp', SAMPLE)], maps))
      const emit = (n: number): number => {
        const data = COUNTING.slice()
        new DataView(data.buffer).setUint32(0, n, true)
        return collection.progs.get('emit')!.run({ data }).retval | 0
      }
      return { collection, emit }
    }
    const numberOf = (record: Uint8Array): number => new DataView(record.buffer).getUint32(8, true)

    it('come to a reader that waits, those that were there first', async () => {
      const { collection, emit } = await load()
      using _ = collection
      using source = collection.maps.get('samples')!.events()
      emit(1)
      emit(2)
      const seen = new Set<number>()
      for await (const record of source) {
        seen.add(numberOf(record))
        if (seen.size === 5) break
        if (seen.size >= 2) setTimeout(() => emit(seen.size + 1), 1)
      }
      expect([...seen].sort()).toEqual([1, 2, 3, 4, 5])
      expect([source.received, source.lost]).toEqual([5, 0n])
    })

    it('are seen, or lost and counted', async () => {
      const { collection, emit } = await load()
      using _ = collection
      using source = collection.maps.get('samples')!.events()
      const made = 25_000
      let failed = 0
      for (let n = 0; n < made; n++) failed += emit(n) === 0 ? 0 : 1
      const seen = source.drain().length
      // The count of losses comes with the next record of each CPU.
      for (let n = 0; n < 200; n++) expect(emit(n)).toBe(0)
      source.drain()
      expect(failed).toBeGreaterThan(0)
      expect(seen + failed).toBe(made)
      expect(Number(source.lost)).toBeLessThanOrEqual(failed)
    })

    it('have one reader at a time, and none after close', async () => {
      const { collection, emit } = await load()
      const samples = collection.maps.get('samples')!
      const first = samples.events()
      expect(() => samples.events()).toThrow(expect.objectContaining({ errno: 'EBUSY' }))
      first.close()
      expect(emit(1)).toBe(-2)
      using second = samples.events()
      expect(emit(1)).toBe(0)
      expect(second.drain().map(numberOf)).toEqual([1])
      collection.close()
      expect(second.drain()).toEqual([])
    })
  })
}
