// Packet: the bytes that an XDP program or a socket filter sees, in the linear memory, with the room before and
// behind them that the kernel gives (XDP_PACKET_HEADROOM of 256 bytes, a page in all, net/bpf/test_run.c), and
// the rules by which programs move the packet's ends (net/core/filter.c).

import { Diagnostic } from '../../diag/diagnostic.ts'
import type { Errno } from './errno.ts'
import { type Memory, type Region, SPAN } from './memory.ts'

/** XDP_PACKET_HEADROOM. */
export const HEADROOM = 256
/** ETH_HLEN: no helper makes a packet shorter. */
const ETH_HLEN = 14
/** Bytes of struct xdp_frame, which the kernel keeps at the start of the headroom. */
const XDP_FRAME = 40
/** Behind the packet the kernel keeps struct skb_shared_info, aligned to a cache line. */
const TAIL_RESERVED = 320
const PAGE = 4096
/** Largest value of skb_shared_info.meta_len. */
const MAX_META = 255

export class Packet {
  readonly #memory: Memory
  #region: Region
  /** Start of the metadata, of the packet, and its end (exclusive), as addresses. */
  meta = 0
  data = 0
  end = 0
  /** Where the headroom begins and the tailroom ends. */
  #hardStart = 0
  #hardEnd = 0

  constructor(memory: Memory) {
    this.#memory = memory
    this.#region = this.#room(PAGE)
  }

  get length(): number {
    return this.end - this.data
  }

  /**
   * A fresh packet. `writable`: whether programs may write into it. `pulled`: bytes of link header that lie
   * before what the program sees.
   */
  fill(bytes: Uint8Array, writable: boolean, pulled = 0): void {
    const wanted = Math.max(PAGE, HEADROOM + bytes.length + TAIL_RESERVED)
    if (wanted > this.#hardEnd + TAIL_RESERVED - this.#hardStart) this.#region = this.#room(wanted * 2)
    this.data = this.meta = this.#hardStart + HEADROOM + pulled
    // What an earlier run left in the headroom must not show when this one moves the packet's start.
    this.#memory.bytes.fill(0, this.#hardStart, this.data)
    this.end = this.data - pulled + bytes.length
    this.#memory.bytes.set(bytes, this.data - pulled)
    this.#region.writable = writable
    this.#expose()
  }

  /** A copy of what is there now. */
  bytes(): Uint8Array {
    return this.#memory.bytes.slice(this.data, this.end)
  }

  /** bpf_xdp_adjust_head: the packet begins `delta` bytes later; metadata moves along. */
  adjustHead(delta: number): Errno | undefined {
    const metaLength = this.data - this.meta
    const data = this.data + delta
    if (data < this.#hardStart + XDP_FRAME + metaLength || data > this.end - ETH_HLEN) return 'EINVAL'
    this.#memory.bytes.copyWithin(data - metaLength, this.meta, this.data)
    this.meta = data - metaLength
    this.data = data
    this.#expose()
    return undefined
  }

  /** bpf_xdp_adjust_tail: the packet ends `delta` bytes later; what is new is zero. */
  adjustTail(delta: number): Errno | undefined {
    const end = this.end + delta
    if (end > this.#hardEnd || end < this.data + ETH_HLEN) return 'EINVAL'
    if (end > this.end) this.#memory.bytes.fill(0, this.end, end)
    this.end = end
    this.#expose()
    return undefined
  }

  /** bpf_xdp_adjust_meta: the metadata before the packet begins `delta` bytes later. */
  adjustMeta(delta: number): Errno | undefined {
    const meta = this.meta + delta
    if (meta < this.#hardStart + XDP_FRAME || meta > this.data) return 'EINVAL'
    const length = this.data - meta
    if (length % 4 !== 0 || length > MAX_META) return 'EACCES'
    this.meta = meta
    this.#expose()
    return undefined
  }

  /** Takes `remove` bytes out at offset `at` and puts `insert` zeros there, in a packet that its program sees all of. */
  splice(at: number, remove: number, insert: number): void {
    const old = this.bytes()
    if (at + remove > old.length) throw noPacket(at + remove, old.length)
    const bytes = new Uint8Array(old.length - remove + insert)
    bytes.set(old.subarray(0, at))
    bytes.set(old.subarray(at + remove), at + insert)
    this.fill(bytes, this.#region.writable)
  }

  #expose(): void {
    this.#region.start = this.meta
    this.#region.end = this.end
    const length = this.end - this.meta
    this.#memory.putSpan(SPAN.packet, this.meta, length, this.#region.writable ? length : 0)
  }

  #room(size: number): Region {
    const region = this.#memory.allocate({ name: 'the packet', size })
    this.#hardStart = region.start
    this.#hardEnd = region.start + size - TAIL_RESERVED
    region.end = region.start
    return region
  }
}

const noPacket = (needed: number, length: number): Diagnostic =>
  new Diagnostic({
    code: 'user/fault',
    message: `the program reshapes the first ${needed} bytes of a packet that has ${length}`,
  })
