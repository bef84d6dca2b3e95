// Random calls of the helpers that reshape a packet or its checksums, on the user engine and in the kernel: results,
// what the context says afterwards, and the packet itself must be the same.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Engine } from '../../src/engine/engine.ts'
import { userEngine } from '../../src/engine/user/index.ts'
import type { ProgTypeName } from '../../src/spec/names.ts'
import { hex, map, object, program, unhex } from './case.ts'
import { contents } from './contract.ts'
import { KERNEL } from './engines.ts'

const RUNS = Number(process.env.WAGGLE_FUZZ_RUNS ?? 60)

/** A helper with the values of r2 to r5. */
interface Call {
  readonly helper: string
  readonly args: readonly number[]
}

const length = fc.integer({ min: -30, max: 60 })
const call = (helper: string, ...args: fc.Arbitrary<number>[]): fc.Arbitrary<Call> =>
  fc.record({ helper: fc.constant(helper), args: fc.tuple(...args) as fc.Arbitrary<number[]> })
const small = fc.nat(3)
const none = fc.constantFrom(0, 0, 0, 1)
/** 0x0800 and 0x86dd, 0x8100 and 0x88a8 in network order, and one that is none of them. */
const ETHERTYPE = fc.constantFrom(0x0008, 0xdd86, 0x0081, 0xa888, 0x1234)
const offset = fc.constantFrom(0, 14, 15, 24, 40, 59, 60, 66)
const word = fc.integer({ min: 0, max: 0x7fff_ffff })
const CSUM = fc.constantFrom(0, 2, 4, 3, 16 + 2, 32, 32 + 4, 64 + 2, 32 + 64 + 2, 256)
const ROOM = fc.constantFrom(0, 0, 0, 1, 2, 4, 8 + 2, 2 + 4, 16 + 4, 32, 64 + 2, 128, 256, 128 + 256, 512)

const SKB: readonly fc.Arbitrary<Call>[] = [
  // Not shorter than the headers: the kernel would show again what was cut off.
  call('skb_change_tail', fc.oneof(fc.integer({ min: 100, max: 160 }), fc.constantFrom(0, 13)), none),
  call('skb_change_head', length, none),
  call('skb_adjust_room', length, small, ROOM),
  call('skb_adjust_room', length, fc.nat(1), fc.constant(0)),
  call('skb_change_proto', ETHERTYPE, none),
  call('skb_change_type', fc.nat(5)),
  call('skb_vlan_push', ETHERTYPE, fc.nat(0xffff)),
  call('skb_vlan_pop'),
  call('skb_pull_data', fc.nat(120)),
  call('l3_csum_replace', offset, word, word, CSUM),
  call('l3_csum_replace', fc.constant(24), fc.constant(0), word, fc.constantFrom(0, 2, 4)),
  call('l4_csum_replace', offset, word, word, CSUM),
  call('csum_update', word),
  call('csum_level', fc.nat(5)),
  call('set_hash', word),
  call('set_hash_invalid'),
  call('clone_redirect', fc.constantFrom(0, 1000), small),
]

const XDP: readonly fc.Arbitrary<Call>[] = [
  call('xdp_adjust_head', fc.integer({ min: -300, max: 80 })),
  call('xdp_adjust_tail', fc.integer({ min: -80, max: 200 })),
  call('xdp_adjust_meta', fc.integer({ min: -60, max: 20 })),
]

/** Results go one after the other into the array `result`; at the end the context's fields. */
function assembly(calls: readonly Call[], fields: readonly number[]): string {
  const keep = (index: number): string => `
    r8 = r0
    *(u32 *)(r10 - 4) = ${index}
    r1 = map[result] ll
    r2 = r10
    r2 += -4
    call map_lookup_elem
    if r0 == 0 goto +1
    *(u64 *)(r0 + 0) = r8`
  const each = calls.map(
    ({ helper, args }, i) => `
    r1 = r6
    ${args.map((value, j) => `r${j + 2} = ${value}`).join('\n')}
    call ${helper}
    ${keep(i)}`,
  )
  const context = fields.map((at, i) => `r0 = *(u32 *)(r6 + ${at})\n${keep(calls.length + i)}`)
  return `r6 = r1\n${[...each, ...context].join('\n')}\n r0 = 0\n exit`
}

const IPV4 =
  'ffffffffffff0202020202020800 45000034000040004006b6c2 0a000001 0a000002 1f90 0050 0000000000000000 50020000'
const IPV6 =
  'ffffffffffff02020202020286dd 600000000014063f fe80000000000000000000000000000a fe80000000000000000000000000000b'
const PACKETS = [
  `${IPV4} 0000 0000 0102030405060708`,
  `${IPV6} 00500050 0000000000000000 50020000 12340000`,
  `ffffffffffff020202020202 8100 2005 ${IPV4.slice(24)} 0000 0000`,
  `ffffffffffff020202020202 88a8 0001 8100 2005 ${IPV4.slice(24)} 0000 0000`,
  `ffffffffffff020202020202 0010 ${'00112233445566778899'.repeat(4)}`,
]

interface Shape {
  readonly type: ProgTypeName
  readonly calls: readonly fc.Arbitrary<Call>[]
  /** Offsets in the context: len, pkt_type, protocol, vlan_present, vlan_tci, vlan_proto of struct __sk_buff. */
  readonly fields: readonly number[]
}
const SHAPES: readonly Shape[] = [
  { type: 'sched_cls', calls: SKB, fields: [0, 4, 16, 20, 24, 28] },
  { type: 'xdp', calls: XDP, fields: [] },
]

const missing = 'missing' in KERNEL ? `: ${KERNEL.missing}` : ''

describe.skipIf('missing' in KERNEL)(`user engine and kernel${missing}`, () => {
  // As far as the test knows there is the loopback device and no other.
  const user = userEngine({ host: { interfaces: new Set([1]) } })

  it.each(SHAPES)('agree on what a $type program does to a packet', { timeout: 20_000 + 20 * RUNS }, async (shape) => {
    const kernel = (KERNEL as { engine: () => Engine }).engine()
    const calls = fc.array(fc.oneof(...shape.calls), { minLength: 1, maxLength: 6 })
    const property = fc.asyncProperty(calls, fc.constantFrom(...PACKETS), async (list, packet) => {
      const asm = assembly(list, shape.fields)
      const spec = object('packet', [program('main', shape.type, asm)], [map('result', 'array', 4, 8, 12)])
      const outcome = async (engine: Engine) => {
        using collection = await engine.load(spec)
        const { data } = collection.progs.get('main')!.run({ data: unhex(packet) })
        // The kernel puts an XDP program's metadata before the packet, and does not say how much there is.
        const packetOnly = shape.type === 'xdp' ? '' : data && hex(data)
        return { packet: packetOnly, results: contents(collection.maps.get('result')!) }
      }
      expect(await outcome(user)).toEqual(await outcome(kernel))
    })
    await fc.assert(property, { numRuns: RUNS })
  })
})
