// packet-count over captures: against an independent count in plain TypeScript, and against the kernel packet by packet.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { readCapture, writePcap, writePcapng } from '../../src/capture/index.ts'
import type { Collection } from '../../src/engine/engine.ts'
import { kernelEngine } from '../../src/engine/kernel/index.ts'
import { userEngine } from '../../src/engine/user/index.ts'
import { viewMap } from '../../src/event/view.ts'
import { compileSource, readSource, verifySpec } from '../../src/sdk/source.ts'
import { userEnginePlatform } from '../../src/sdk/user-platform.ts'
import { BIN, finalMap, NO_KERNEL, ROOT, Scratch, SKIPPED, waggle } from './waggle.ts'

const PROBE = 'examples/packet-count.ts'
const CAPTURE = 'examples/data/mixed.pcap'
const packets = () => [...readCapture(readFileSync(CAPTURE)).packets]

interface Traffic {
  packets: number
  bytes: number
}

/** The same count by other means: one look at the packet with a DataView. */
function countByHand(all: readonly { data: Uint8Array }[]) {
  const protocols = new Map<string, Traffic>()
  const ports = new Map<string, Traffic>()
  const vlans = new Map<string, Traffic>()
  const names: Record<number, string> = {
    1: 'icmp',
    2: 'igmp',
    6: 'tcp',
    17: 'udp',
    47: 'gre',
    50: 'esp',
    58: 'icmp6',
    132: 'sctp',
  }
  const add = (map: Map<string, Traffic>, key: string, bytes: number) => {
    const seen = map.get(key) ?? { packets: 0, bytes: 0 }
    map.set(key, { packets: seen.packets + 1, bytes: seen.bytes + bytes })
  }
  for (const { data } of all) {
    const view = new DataView(data.buffer, data.byteOffset, data.length)
    if (data.length < 14) continue
    let at = 14
    let type = view.getUint16(12)
    for (let tags = 0; tags < 2 && (type === 0x8100 || type === 0x88a8) && data.length >= at + 4; tags++) {
      if (tags === 0) add(vlans, String(view.getUint16(at) & 0xfff), data.length)
      type = view.getUint16(at + 2)
      at += 4
    }
    let protocol: number
    let transport: number
    if (type === 0x0800 && data.length >= at + 20 && view.getUint8(at) >> 4 === 4) {
      protocol = view.getUint8(at + 9)
      const words = view.getUint8(at) & 15
      // Later fragments have no ports, and a header of fewer than five words is none.
      transport = (view.getUint16(at + 6) & 0x1fff) === 0 && words >= 5 ? at + words * 4 : data.length
    } else if (type === 0x86dd && data.length >= at + 40) {
      protocol = view.getUint8(at + 6)
      transport = at + 40
    } else continue
    const name = names[protocol]
    add(protocols, name ?? String(protocol), data.length)
    const header = protocol === 6 ? 20 : protocol === 17 ? 8 : 0
    if (header === 0 || data.length < transport + header) continue
    const both = new Set([view.getUint16(transport), view.getUint16(transport + 2)])
    for (const port of both) add(ports, JSON.stringify({ protocol: name, port }), data.length)
  }
  return { protocols, ports, vlans }
}

const asMap = (collection: Collection, name: string) =>
  new Map(viewMap(collection, collection.maps.get(name)!).entries.map(({ key, value }) => [JSON.stringify(key), value]))

describe('waggle run --pcap', () => {
  it('counts what a count by other means counts', () => {
    const { status, lines, stderr } = waggle(['run', PROBE, '--pcap', CAPTURE])
    expect(stderr).toBe('')
    expect(status).toBe(0)
    const expected = countByHand(packets())
    expect(expected.protocols.size).toBeGreaterThan(4)
    expect(expected.vlans.size).toBeGreaterThan(1)
    for (const name of ['protocols', 'ports', 'vlans'] as const) expect(finalMap(lines, name)).toEqual(expected[name])
    expect(lines.at(-1)).toMatchObject({ type: 'ended', verdicts: { PASS: packets().length } })
  })

  it('ends quietly when nobody reads its output any more', () => {
    const command = `${process.execPath} ${BIN} run ${PROBE} --pcap ${CAPTURE} | head -c 10; exit \${PIPESTATUS[0]}`
    const { stderr } = spawnSync('bash', ['-c', command], { cwd: ROOT, encoding: 'utf8' })
    expect(stderr).toBe('')
  })

  it.each([
    ['pcap, little endian, microseconds', (all: ReturnType<typeof packets>) => writePcap(all, {})],
    ['pcap, big endian, microseconds', (all: ReturnType<typeof packets>) => writePcap(all, { bigEndian: true })],
    ['pcap, little endian, nanoseconds', (all: ReturnType<typeof packets>) => writePcap(all, { nanoseconds: true })],
    [
      'pcap, big endian, nanoseconds',
      (all: ReturnType<typeof packets>) => writePcap(all, { nanoseconds: true, bigEndian: true }),
    ],
    ['pcapng, little endian', (all: ReturnType<typeof packets>) => writePcapng(all, {})],
    ['pcapng, big endian', (all: ReturnType<typeof packets>) => writePcapng(all, { bigEndian: true })],
  ])('reads %s', (_, write) => {
    using scratch = new Scratch()
    const { lines, stderr } = waggle(['run', PROBE, '--pcap', scratch.write('capture', write(packets()))])
    expect(stderr).toBe('')
    expect(finalMap(lines, 'ports')).toEqual(countByHand(packets()).ports)
  })

  it.skipIf(NO_KERNEL)(`gives the kernel's verdict and maps for every packet${SKIPPED}`, async () => {
    const platform = userEnginePlatform()
    const spec = await compileSource(PROBE, readSource(PROBE), platform)
    await verifySpec(spec, platform)
    using user = await userEngine().load(spec)
    using kernel = await kernelEngine().load(spec)
    // The kernel's test run wants a whole Ethernet header; shorter ones never reach XDP.
    const all = packets().filter(({ data }) => data.length >= 14)
    expect(all.length).toBeGreaterThan(300)
    for (const [i, { data }] of all.entries()) {
      const [ours, theirs] = [user, kernel].map((each) => each.progs.get('onPacket')!.run({ data }))
      expect({ i, retval: ours.retval, data: ours.data }).toEqual({ i, retval: theirs.retval, data: theirs.data })
      for (const name of ['protocols', 'ports', 'vlans'])
        expect({ i, map: asMap(user, name) }).toEqual({ i, map: asMap(kernel, name) })
    }
  })
})
