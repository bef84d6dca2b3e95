import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Diagnostic } from '../diag/diagnostic.ts'
import { type Packet, readCapture, writePcap, writePcapng } from './index.ts'

const SECOND = 1_000_000_000n

const packet = (linkType: fc.Arbitrary<number>): fc.Arbitrary<Packet> =>
  fc
    .record({
      data: fc.uint8Array({ maxLength: 100 }),
      more: fc.nat(2000),
      timestamp: fc.bigInt(0n, 2n ** 32n * SECOND - 1n),
      linkType,
    })
    .map(({ data, more, timestamp, linkType }) => ({ data, originalLength: data.length + more, timestamp, linkType }))
const ethernet = fc.array(packet(fc.constant(1)), { maxLength: 8 })
const anyLink = fc.array(packet(fc.constantFrom(1, 101, 113)), { maxLength: 8 })

const cut = (packets: readonly Packet[], unit: bigint): Packet[] =>
  packets.map((packet) => ({ ...packet, timestamp: (packet.timestamp / unit) * unit }))

/** What is read, and what was thrown at the end. */
function read(bytes: Uint8Array): { packets: Packet[]; error: Diagnostic | undefined } {
  const packets: Packet[] = []
  try {
    for (const packet of readCapture(bytes).packets) packets.push(packet)
    return { packets, error: undefined }
  } catch (error) {
    if (!(error instanceof Diagnostic)) throw error
    return { packets, error }
  }
}

describe('readCapture', () => {
  it.each([
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ])('reads what writePcap wrote: nanoseconds %s, big endian %s', (nanoseconds, bigEndian) => {
    fc.assert(
      fc.property(ethernet, (packets) => {
        const capture = readCapture(writePcap(packets, { nanoseconds, bigEndian }))
        expect(capture).toMatchObject({ format: 'pcap', linkType: 1 })
        expect([...capture.packets]).toEqual(cut(packets, nanoseconds ? 1n : 1000n))
        expect([...capture.packets]).toHaveLength(packets.length)
      }),
    )
  })

  it.each([
    [false, 9],
    [true, 9],
    [false, 6],
    [true, 3],
  ])('reads what writePcapng wrote: big endian %s, %d digits', (bigEndian, digits) => {
    fc.assert(
      fc.property(anyLink, fc.constantFrom('enhanced', 'packet'), (packets, blocks) => {
        const capture = readCapture(writePcapng(packets, { bigEndian, digits, blocks }))
        expect(capture).toMatchObject({ format: 'pcapng', linkType: packets[0]?.linkType ?? 1 })
        expect([...capture.packets]).toEqual(cut(packets, 10n ** BigInt(9 - digits)))
      }),
    )
  })

  it('reads simple packet blocks, which have no time', () => {
    const whole = { data: Uint8Array.of(1, 2, 3), originalLength: 3, timestamp: 5n, linkType: 1 }
    expect(read(writePcapng([whole], { blocks: 'simple' })).packets).toEqual([{ ...whole, timestamp: 0n }])
  })

  it('reads several sections of different byte order, skips what it does not know, and forgets interfaces', () => {
    const one: Packet = { data: Uint8Array.of(1), originalLength: 1, timestamp: 7n, linkType: 1 }
    const two: Packet = { data: Uint8Array.of(2, 2), originalLength: 9, timestamp: 8n, linkType: 113 }
    const unknown = Uint8Array.of(0x0a, 0x0b, 0, 0, 16, 0, 0, 0, 9, 9, 9, 9, 16, 0, 0, 0)
    const bytes = Uint8Array.from([...writePcapng([one]), ...unknown, ...writePcapng([two], { bigEndian: true })])
    expect(read(bytes)).toEqual({ packets: [one, two], error: undefined })
    expect(readCapture(bytes).linkType).toBe(1)
  })

  it('takes times in powers of two and with an offset of seconds', () => {
    const bytes = writePcapng([{ data: Uint8Array.of(1), originalLength: 1, timestamp: 3n * 1024n, linkType: 1 }])
    const [section, described, packet] = [bytes.subarray(0, 28), bytes.subarray(28, 60), bytes.subarray(60)]
    expect(described[0]).toBe(1)
    // if_tsresol of 2^-10 seconds, if_tsoffset of -1 second, end of options.
    const options = [9, 0, 1, 0, 0x8a, 0, 0, 0, 14, 0, 8, 0, ...new Array<number>(8).fill(255), 0, 0, 0, 0]
    const length = [20 + options.length, 0, 0, 0]
    const source = [1, 0, 0, 0, ...length, 1, 0, 0, 0, 0, 0, 0, 0, ...options, ...length]
    const found = read(Uint8Array.from([...section, ...source, ...packet]))
    expect(found.packets[0].timestamp).toBe(2n * SECOND)
  })

  it('says where a cut file ends, and gives the packets before', () => {
    const packets = [1, 2, 3].map((n) => ({
      data: new Uint8Array(20).fill(n),
      originalLength: 20,
      timestamp: 0n,
      linkType: 1,
    }))
    const { packets: whole, error } = read(writePcap(packets).slice(0, -5))
    expect(whole).toEqual(packets.slice(0, 2))
    expect(error?.code).toBe('capture/truncated')
    expect(error?.message).toBe('the capture is cut: a packet at byte 112 needs 20 bytes, and the file ends after 15')
    expect(error?.notes[0].message).toBe('2 packets before it are whole')
    expect(error?.help).toContain('copy the file again')
  })

  it('delivers a prefix of the packets wherever the file is cut', () => {
    const writers = [
      (packets: Packet[]) => writePcap(packets, { nanoseconds: true }),
      (packets: Packet[]) => writePcapng(packets),
    ]
    fc.assert(
      fc.property(
        ethernet,
        fc.constantFrom(...writers),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (packets, write, part) => {
          const bytes = write(packets)
          const { packets: found, error } = read(bytes.slice(0, Math.floor(bytes.length * part)))
          expect(found).toEqual(packets.slice(0, found.length))
          if (found.length < packets.length && error) expect(error.code).toBe('capture/truncated')
        },
      ),
    )
  })

  it('survives any damage: packets or a Diagnostic, never anything else, never more bytes than there are', () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(
        anyLink,
        fc.constantFrom('pcap', 'enhanced', 'simple', 'packet'),
        fc.boolean(),
        damage,
        (packets, kind, bigEndian, hits) => {
          const bytes =
            kind === 'pcap' ? writePcap(packets, { bigEndian }) : writePcapng(packets, { bigEndian, blocks: kind })
          for (const [at, value] of hits) bytes[at % bytes.length] = value
          const { packets: found, error } = read(bytes)
          const total = found.reduce((size, { data }) => size + data.length, 0)
          expect(total).toBeLessThanOrEqual(bytes.length)
          if (error) expect(error.code).toMatch(/^capture\/(format|truncated|damaged)$/)
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('survives bytes that were never a capture', () => {
    const starts = [[0xd4, 0xc3, 0xb2, 0xa1], [0x0a, 0x0d, 0x0d, 0x0a], []]
    fc.assert(
      fc.property(fc.constantFrom(...starts), fc.uint8Array({ maxLength: 200 }), (start, rest) => {
        read(Uint8Array.from([...start, ...rest]))
      }),
      { numRuns: 2000 },
    )
  })

  it.each([
    ['nothing', [], 'the capture is cut: a capture file at byte 0 needs 4 bytes, and the file ends after 0'],
    ['text', [0x68, 0x65, 0x6c, 0x6c, 0x6f], 'this is no capture file: it begins with 68 65 6c 6c'],
    ['gzip', [0x1f, 0x8b, 8, 0, 0], 'this is a gzip file, not a capture'],
    [
      'half a header',
      [0xd4, 0xc3, 0xb2, 0xa1, 2, 0],
      'the capture is cut: the file header at byte 0 needs 24 bytes, and the file ends after 6',
    ],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => readCapture(Uint8Array.from(bytes))).toThrow(message)
  })

  it('refuses a packet of an interface that is not described', () => {
    const bytes = writePcapng([{ data: Uint8Array.of(1), originalLength: 1, timestamp: 0n, linkType: 1 }])
    const start = bytes.findIndex((byte, i) => byte === 6 && i % 4 === 0)
    bytes[start + 8] = 5
    expect(read(bytes).error?.message).toMatch(/a packet of interface 5, which the file does not describe$/)
  })
})
