import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { load } from 'waggle'
import { NO_KERNEL, ROOT, SKIPPED } from '../cli/waggle.ts'
import * as probe from './probe.ts'

const meta = { filename: `${import.meta.dirname}/probe.ts` }

/** An Ethernet frame of `length` bytes. */
const frame = (length: number) => new Uint8Array(length).fill(7)

describe.each(['user', 'kernel'] as const)('load() on the %s engine', (engine) => {
  const missing = engine === 'kernel' && NO_KERNEL
  it.skipIf(missing)(
    `gives maps, events and programs by their types${engine === 'kernel' ? SKIPPED : ''}`,
    async () => {
      const { lengths, long, limit, onPacket } = probe
      await using app = await load(meta, { lengths, long, limit, onPacket }, { engine, config: { limit: 100 } })
      for (const length of [60, 60, 200, 300]) app.onPacket.run({ data: frame(length) })
      expect(new Map(app.lengths)).toEqual(
        new Map([
          [60, 2n],
          [200, 1n],
          [300, 1n],
        ]),
      )
      expect(app.lengths.get(60)).toBe(2n)
      expect(app.lengths.get(61)).toBeUndefined()
      app.lengths.set(61, 5n, 'noexist')
      expect(() => app.lengths.set(61, 6n, 'noexist')).toThrow(expect.objectContaining({ errno: 'EEXIST' }))
      expect(app.lengths.delete(61)).toBe(true)
      expect(app.lengths.delete(61)).toBe(false)
      expect(app.long.drain()).toEqual([{ length: 200 }, { length: 300 }])
      expect([app.lengths.lost, app.long.lost]).toEqual([0n, 0n])
    },
  )

  it.skipIf(missing)(`hands events out as they come${engine === 'kernel' ? SKIPPED : ''}`, async () => {
    const { long, onPacket } = probe
    await using app = await load(meta, { long, onPacket }, { engine })
    setImmediate(() => app.onPacket.run({ data: frame(1400) }))
    for await (const event of app.long) {
      expect(event).toEqual({ length: 1400 })
      break
    }
  })

  it.skipIf(missing)(`says which declaration it does not find${engine === 'kernel' ? SKIPPED : ''}`, async () => {
    await expect(load(meta, { packets: probe.lengths }, { engine })).rejects.toThrow('exports no map named packets')
  })
})

describe.skipIf(NO_KERNEL)(`examples/library.ts${SKIPPED}`, () => {
  it('declares a probe and uses it in one file', () => {
    const { stdout, stderr, status } = spawnSync(process.execPath, ['examples/library.ts'], {
      cwd: ROOT,
      encoding: 'utf8',
    })
    expect(stderr).toBe('')
    expect(status).toBe(0)
    expect(stdout).toMatch(
      /^\/bin\/true was started\n\/bin\/true was started\n\/bin\/ls was started\n\d+ times \/bin\/true, on kernel/,
    )
  })
})
