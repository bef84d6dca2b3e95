import { describe, expect, it } from 'vitest'
import * as frames from '../../test/data/frames.ts'
import { Diagnostic } from '../diag/diagnostic.ts'
import { packet } from './packet.ts'

const V4 = { saddr: '192.0.2.7', daddr: '203.0.113.9' }
const V6 = { saddr: '2001:db8::7', daddr: '2001:db8:1::' }
const body = frames.bytes(1, 2, 3)

/** The same packet by the builder that the bundled capture is made with. */
function byHand(ends: typeof V4, protocol: 6 | 17, segment: Uint8Array, tags: readonly frames.Tag[] = []) {
  const { saddr: from, daddr: to } = ends
  if (!from.includes(':')) return frames.ethernet({ tags }, 0x0800, frames.ipv4({ from, to, protocol }, segment))
  return frames.ethernet({ tags }, 0x86dd, frames.ipv6({ from, to, next: protocol }, segment))
}

describe('packet', () => {
  it.each([V4, V6])('makes UDP over %j', (ends) => {
    const segment = frames.udp({ from: ends.saddr, to: ends.daddr, source: 1000, dest: 53 }, body)
    expect(packet.udp({ ...ends, source: 1000, dest: 53, payload: body })).toEqual(byHand(ends, 17, segment))
  })

  it.each([V4, V6])('makes TCP over %j', (ends) => {
    const init = { from: ends.saddr, to: ends.daddr, source: 9, dest: 80, sequence: 7, acknowledge: 2 ** 32 - 1 }
    const segment = frames.tcp({ ...init, flags: frames.TCP.psh | frames.TCP.ack }, body)
    const fields = { source: 9, dest: 80, seq: 7, ack_seq: 2 ** 32 - 1, flags: ['psh', 'ack'] as const, payload: body }
    expect(packet.tcp({ ...ends, ...fields })).toEqual(byHand(ends, 6, segment))
  })

  it('puts VLAN tags where they belong, the outer one first', () => {
    const segment = frames.udp({ from: V4.saddr, to: V4.daddr, source: 1, dest: 2 }, body)
    const tags = [
      { type: 0x88a8, id: 100 },
      { type: 0x8100, id: 7 },
    ]
    expect(packet.udp({ ...V4, source: 1, dest: 2, payload: body, vlans: [100, 7] })).toEqual(
      byHand(V4, 17, segment, tags),
    )
  })

  it('reads hexadecimal digits', () => {
    expect(packet.hex('00:0a ff')).toEqual(Uint8Array.of(0, 10, 255))
  })

  it.each([
    () => packet.hex('0'),
    () => packet.udp({ saddr: '192.0.2' }),
    () => packet.udp({ saddr: '2001:db8::1::2', daddr: '::1' }),
    () => packet.udp({ saddr: '2001:db8::1' }),
    () => packet.udp({ ethernet: { source: '00:00' } }),
  ])('refuses what is no address (%#)', (make) => {
    expect(make).toThrow(Diagnostic)
  })
})
