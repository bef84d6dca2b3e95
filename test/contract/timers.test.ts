// Timers of programs, on every engine: a program starts one in a map value, and its callback runs later.

import { describe, expect, it } from 'vitest'
import { TypeBuilder } from '../../src/btf/build.ts'
import type { BpfMap, Collection, Engine } from '../../src/engine/engine.ts'
import { userEngine } from '../../src/engine/user/index.ts'
import { COUNTING, map, object, program } from './case.ts'
import { KERNEL } from './engines.ts'

const types = new TypeBuilder()
const long = types.int('unsigned long long', 8)
const timer = types.struct('bpf_timer', [{ name: '__opaque', type: types.array(long, 2) }])
const element = types.struct('element', [
  { name: 'timer', type: timer },
  { name: 'count', type: long },
])
const key = types.int('unsigned int', 4)
const timers = map('timers', 'hash', 4, 24, 4, { keyType: key, valueType: element })

const find = `
  r6 = *(u32 *)(r1 + 0)
  r3 = *(u32 *)(r1 + 4)
  r2 = r6
  r2 += 24
  if r2 > r3 goto out
  r7 = *(u64 *)(r6 + 0)
  r8 = *(u64 *)(r6 + 8)
  r9 = *(u64 *)(r6 + 16)
  *(u32 *)(r10 - 4) = 1
  r1 = map[timers] ll
  r2 = r10
  r2 += -4
  call map_lookup_elem
  if r0 == 0 goto out
  r6 = r0`

/** Packet: what to do (1 init, 2 callback, 3 start, 4 cancel), an argument, flags. */
const ACT = `${find}
  r1 = r6
  if r7 == 2 goto callback
  if r7 == 3 goto start
  if r7 == 4 goto cancel
  r2 = map[timers] ll
  r3 = 1
  call timer_init
  exit
  callback: r2 = subprog[func_fire] ll
  call timer_set_callback
  exit
  start: r2 = r8
  r3 = r9
  call timer_start
  exit
  cancel: call timer_cancel
  exit
  out: r0 = 77
  exit
  func_fire: r1 = *(u32 *)(r2 + 0)
  r2 = *(u64 *)(r3 + 16)
  r2 += r1
  *(u64 *)(r3 + 16) = r2
  r0 = 0
  exit`

const KEY = Uint8Array.of(1, 0, 0, 0)
const ACTS = { init: 1n, callback: 2n, start: 3n, cancel: 4n }

class Timed {
  readonly map: BpfMap
  readonly #collection: Collection

  constructor(collection: Collection) {
    this.#collection = collection
    this.map = collection.maps.get('timers')!
    this.map.set(KEY, new Uint8Array(24))
  }

  act(what: keyof typeof ACTS, argument = 0n, flags = 0n): number {
    const data = new Uint8Array(new BigUint64Array([ACTS[what], argument, flags]).buffer)
    return this.#collection.progs.get('act')!.run({ data }).retval | 0
  }

  get count(): bigint {
    return new DataView(this.map.get(KEY)!.buffer).getBigUint64(16, true)
  }
}

const spec = object('timers', [program('act', 'xdp', ACT)], [timers], types.types)
const MS = 1_000_000n

const after = (nanoseconds: bigint, run: () => void): (() => void) => {
  const handle = setTimeout(run, Number(nanoseconds / MS))
  return () => clearTimeout(handle)
}

/** Until it is so, or a second has passed. */
async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !what(); i++) await new Promise((resolve) => setTimeout(resolve, 5))
}

const USER = { name: 'user', engine: () => userEngine({ host: { after } }) } as const

for (const candidate of [USER, KERNEL]) {
  const reason = 'missing' in candidate ? `: ${candidate.missing}` : ''
  describe.skipIf('missing' in candidate)(`${candidate.name} engine${reason}`, () => {
    const load = (): Promise<Collection> => (candidate as { engine: () => Engine }).engine().load(spec)

    it('runs the callback when the time has come', async () => {
      using collection = await load()
      const timed = new Timed(collection)
      expect([timed.act('init'), timed.act('callback'), timed.act('start', 2n * MS)]).toEqual([0, 0, 0])
      await until(() => timed.count === 1n)
      expect(timed.count).toBe(1n)
    })

    it('refuses what is out of order', async () => {
      using collection = await load()
      const timed = new Timed(collection)
      expect([timed.act('callback'), timed.act('start'), timed.act('cancel')]).toEqual([-22, -22, -22])
      expect([timed.act('init'), timed.act('init')]).toEqual([0, -16])
      expect([timed.act('start', 0n, 8n), timed.act('cancel')]).toEqual([-22, 0])
    })

    it('cancels a timer, once', async () => {
      using collection = await load()
      const timed = new Timed(collection)
      timed.act('init')
      timed.act('callback')
      timed.act('start', 10_000n * MS)
      expect([timed.act('cancel'), timed.act('cancel')]).toEqual([1, 0])
    })

    it('ends a timer with its element, and user space does not see it', async () => {
      using collection = await load()
      const timed = new Timed(collection)
      timed.act('init')
      expect(timed.map.get(KEY)).toEqual(new Uint8Array(24))
      timed.map.set(KEY, new Uint8Array(24).fill(1))
      expect(timed.map.get(KEY)).toEqual(Uint8Array.from({ length: 24 }, (_, i) => (i < 16 ? 0 : 1)))
      // The element is a new one: its timer can be made again.
      expect(timed.act('init')).toBe(0)
    })
  })
}

describe('user engine', () => {
  it("runs what has come due by the host's clock, the earliest first, before the next program and on tick()", async () => {
    let now = 0n
    const host = {
      get now() {
        return now
      },
    }
    using collection = await userEngine({ host }).load(spec)
    const timed = new Timed(collection)
    timed.act('init')
    timed.act('callback')
    timed.act('start', 100n)
    now = 99n
    collection.tick!()
    expect(timed.count).toBe(0n)
    now = 100n
    collection.tick!()
    expect(timed.count).toBe(1n)
    timed.act('start', 300n, 1n)
    now = 300n
    collection.progs.get('act')!.run({ data: COUNTING })
    expect(timed.count).toBe(2n)
  })
})
