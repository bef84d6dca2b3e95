// What packet-count counts: waggle test examples/packet-count.test.ts
import assert from 'node:assert/strict'
import { packet, probe, test } from 'waggle/test'

export default probe(new URL('./packet-count.ts', import.meta.url), [
  test('a UDP packet counts for its protocol and for both of its ports', (run) => {
    const data = packet.udp({ source: 40000, dest: 53, payload: 'query' })
    assert.equal(run.packet(data).verdict, 'PASS')
    const traffic = { packets: 1n, bytes: BigInt(data.length) }
    assert.deepEqual(run.map('protocols').entries(), [['udp', traffic]])
    assert.deepEqual(run.map('ports').get({ protocol: 'udp', port: 53 }), traffic)
    assert.deepEqual(run.map('ports').get({ protocol: 'udp', port: 40000 }), traffic)
  }),

  test('a packet whose ports are the same counts once', (run) => {
    run.packet(packet.udp({ source: 123, dest: 123 }))
    assert.equal(run.map('ports').size, 1)
  }),

  test('IPv6 counts as IPv4 does', (run) => {
    run.packet(packet.tcp({ dest: 443 }))
    run.packet(packet.tcp({ saddr: '2001:db8::1', daddr: '2001:db8::2', dest: 443 }))
    assert.deepEqual(run.map('ports').get({ protocol: 'tcp', port: 443 }), { packets: 2n, bytes: 54n + 74n })
  }),

  test('the outer VLAN counts, and what is in it too', (run) => {
    const data = packet.udp({ vlans: [100, 7] })
    run.packet(data)
    assert.deepEqual(run.map('vlans').entries(), [[100, { packets: 1n, bytes: BigInt(data.length) }]])
    assert.equal(run.map('protocols').size, 1)
  }),

  test('what is cut short passes and counts for nothing', (run) => {
    assert.equal(run.packet(packet.udp().subarray(0, 20)).verdict, 'PASS')
    assert.equal(run.map('protocols').size, 0)
  }),
])
