// The bundled capture is what its generator makes, and holds what a packet program has to get right.

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { readCapture, writePcap } from '../../src/capture/index.ts'
import { MIXED, mixedPackets } from './mixed.ts'

describe('examples/data/mixed.pcap', () => {
  const packets = [...readCapture(readFileSync(MIXED)).packets]

  it('is what test/data/mixed.ts writes', () => {
    expect(Buffer.compare(readFileSync(MIXED), writePcap(mixedPackets()))).toBe(0)
  })

  it('is small, and every packet long enough for a test run in the kernel', () => {
    expect(packets.length).toBeGreaterThanOrEqual(450)
    expect(readFileSync(MIXED).length).toBeLessThan(100_000)
    expect(Math.min(...packets.map(({ data }) => data.length))).toBe(14)
  })

  it('has every kind of packet', () => {
    const types = new Set(packets.map(({ data }) => data[12] * 256 + data[13]))
    expect([...types].sort((a, b) => a - b)).toEqual([38, 0x0800, 0x0806, 0x8100, 0x86dd, 0x88a8, 0x88cc])
    const v4 = packets.filter(({ data }) => data[12] === 8 && data[13] === 0)
    expect(new Set(v4.map(({ data }) => data[23]))).toEqual(new Set([1, 6, 17, 47, 50, 132, undefined]))
    expect(v4.some(({ data }) => (data[14] & 0xf) > 5)).toBe(true)
    expect(v4.filter(({ data }) => data.length > 34 && ((data[20] & 0x1f) !== 0 || data[21] !== 0))).toHaveLength(2)
  })
})
