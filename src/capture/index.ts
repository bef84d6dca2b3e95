// Capture files: packets out of pcap and pcapng, of either byte order and any resolution of time, and into them.
// The formats are those of draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.

import { Diagnostic } from '../diag/diagnostic.ts'
import type { Capture, Packet } from './packet.ts'
import { PCAP_MAGIC, pcapLinkType, pcapPackets } from './pcap.ts'
import { PCAPNG_MAGIC, pcapngLinkType, pcapngPackets } from './pcapng.ts'
import { Reader } from './reader.ts'

export { type Capture, ETHERNET, type Packet } from './packet.ts'
export { type WritePcapOptions, writePcap } from './pcap.ts'
export { type WritePcapngOptions, writePcapng } from './pcapng.ts'

/**
 * The capture in `bytes`. Throws a Diagnostic (`capture/format`, `capture/truncated`) if they do not begin like one;
 * damage further on is thrown by the iteration over its packets, after those before it.
 */
export function readCapture(bytes: Uint8Array): Capture {
  const reader = new Reader(bytes)
  reader.need(0, 4, 'a capture file')
  if (reader.u32(0) === PCAPNG_MAGIC) {
    reader.need(0, 12, 'the section header')
    return capture('pcapng', bytes, pcapngLinkType(reader), pcapngPackets)
  }
  for (const littleEndian of [true, false]) {
    reader.littleEndian = littleEndian
    const unit = PCAP_MAGIC.get(reader.u32(0))
    if (unit === undefined) continue
    return capture('pcap', bytes, pcapLinkType(reader), (again) => {
      again.littleEndian = littleEndian
      return pcapPackets(again, unit)
    })
  }
  throw notACapture(bytes)
}

function capture(
  format: Capture['format'],
  bytes: Uint8Array,
  linkType: number | undefined,
  packets: (reader: Reader) => Iterator<Packet>,
): Capture {
  return { format, linkType, packets: { [Symbol.iterator]: () => packets(new Reader(bytes)) } }
}

/** What other files begin with, that people take for captures. */
const OTHERS: readonly (readonly [magic: readonly number[], name: string, help: string])[] = [
  [[0x1f, 0x8b], 'gzip', 'unpack it first: gunzip FILE'],
  [[0x28, 0xb5, 0x2f, 0xfd], 'zstd', 'unpack it first: unzstd FILE'],
  [[0xfd, 0x37, 0x7a, 0x58], 'xz', 'unpack it first: unxz FILE'],
  [[0x50, 0x4b, 0x03, 0x04], 'zip', 'unpack it first'],
  [[0x7f, 0x45, 0x4c, 0x46], 'ELF', 'pass it as a program, not as a capture'],
]

function notACapture(bytes: Uint8Array): Diagnostic {
  const other = OTHERS.find(([magic]) => magic.every((byte, i) => bytes[i] === byte))
  const start = Array.from(bytes.subarray(0, 4), (byte) => byte.toString(16).padStart(2, '0')).join(' ')
  return new Diagnostic({
    code: 'capture/format',
    message: other ? `this is a ${other[1]} file, not a capture` : `this is no capture file: it begins with ${start}`,
    help: other?.[2] ?? 'give a pcap or pcapng file, as `tcpdump -w FILE` or Wireshark write it',
  })
}
