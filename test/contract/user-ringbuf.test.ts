// A user ring buffer on every engine: what user space submits, a program drains.

import { describe, expect, it } from 'vitest'
import type { Collection, Engine } from '../../src/engine/engine.ts'
import { COUNTING, map, object, program } from './case.ts'
import { ENGINES } from './engines.ts'

/** Gives 1000 times the number of records, plus the sum of their first bytes; a first byte of 99 ends the draining. */
const DRAIN = `
  *(u64 *)(r10 - 8) = 0
  r1 = map[samples] ll
  r2 = subprog[func_each] ll
  r3 = r10
  r3 += -8
  r4 = 0
  call user_ringbuf_drain
  if r0 s< 0 goto out
  r0 *= 1000
  r1 = *(u64 *)(r10 - 8)
  r0 += r1
  out: exit
  func_each: r6 = r2
  *(u64 *)(r10 - 8) = 0
  r3 = r1
  r1 = r10
  r1 += -8
  r2 = 1
  r4 = 0
  r5 = 0
  call dynptr_read
  r1 = *(u64 *)(r10 - 8)
  r2 = *(u64 *)(r6 + 0)
  r2 += r1
  *(u64 *)(r6 + 0) = r2
  r0 = 0
  if r1 != 99 goto end
  r0 = 1
  end: exit`

for (const candidate of ENGINES) {
  const reason = 'missing' in candidate ? `: ${candidate.missing}` : ''
  describe.skipIf('missing' in candidate)(`${candidate.title}${reason}`, () => {
    const load = (): Promise<Collection> =>
      (candidate as { engine: () => Engine })
        .engine()
        .load(object('drain', [program('drain', 'xdp', DRAIN)], [map('samples', 'user_ringbuf', 0, 0, 4096)]))
    const drain = (collection: Collection): number => collection.progs.get('drain')!.run({ data: COUNTING }).retval | 0

    it('hands records to the program, each once', async () => {
      using collection = await load()
      const samples = collection.maps.get('samples')!
      expect(drain(collection)).toBe(0)
      samples.submit(Uint8Array.of(5))
      samples.submit(Uint8Array.of(7, 1, 2, 3, 4, 5, 6, 7, 8))
      expect(drain(collection)).toBe(2012)
      expect(drain(collection)).toBe(0)
    })

    it('stops where the program wants, and goes on there', async () => {
      using collection = await load()
      const samples = collection.maps.get('samples')!
      for (const first of [1, 99, 2]) samples.submit(Uint8Array.of(first))
      expect([drain(collection), drain(collection)]).toEqual([2100, 1002])
    })

    it('takes nothing after close', async () => {
      const collection = await load()
      const samples = collection.maps.get('samples')!
      samples.submit(Uint8Array.of(5))
      collection.close()
      expect(() => samples.submit(Uint8Array.of(5))).toThrow(expect.objectContaining({ errno: 'EBADF' }))
    })

    it('is full when it is full, and goes round many times', async () => {
      using collection = await load()
      const samples = collection.maps.get('samples')!
      expect(() => samples.submit(new Uint8Array(4096))).toThrow(expect.objectContaining({ errno: 'E2BIG' }))
      for (let round = 0; round < 10; round++) {
        // 40 bytes each with the header.
        for (let i = 0; i < 102; i++) samples.submit(new Uint8Array(30).fill(1))
        expect(() => samples.submit(new Uint8Array(30))).toThrow(expect.objectContaining({ errno: 'ENOSPC' }))
        expect(drain(collection)).toBe(102_102)
      }
    })
  })
}
