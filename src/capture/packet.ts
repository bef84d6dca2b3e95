// What a capture file holds, whatever its format.

/** One captured packet. */
export interface Packet {
  /** The bytes that were captured. */
  readonly data: Uint8Array
  /** Bytes that it had on the wire: more than `data` where the capture cut it. */
  readonly originalLength: number
  /** Nanoseconds since 1970; 0 where the format has no time for it (simple packet blocks). */
  readonly timestamp: bigint
  /** LINKTYPE_*: 1 is Ethernet. */
  readonly linkType: number
}

export interface Capture {
  readonly format: 'pcap' | 'pcapng'
  /** LINKTYPE_* of the file, or of the first interface; undefined if a pcapng file has none. */
  readonly linkType: number | undefined
  /**
   * The packets in order. Where the file is cut or damaged, iteration yields those before the damage and then
   * throws a Diagnostic (`capture/truncated`, `capture/damaged`). Can be iterated again.
   */
  readonly packets: Iterable<Packet>
}

/** LINKTYPE_ETHERNET. */
export const ETHERNET = 1
