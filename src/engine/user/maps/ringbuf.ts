// The ring buffer (Documentation/bpf/ringbuf.rst, kernel/bpf/ringbuf.c): 8-byte headers, records rounded up
// to 8 bytes, a producer that fails when the ring is full, records handed out in the order of their
// reservation and not before they are submitted. The kernel maps the data pages twice in a row, so that a
// record that wraps is contiguous; here the second half is memory of its own, which comes to the same, for
// a record is read where it was written.

import { Diagnostic } from '../../../diag/diagnostic.ts'
import type { MapSpec } from '../../../object/spec.ts'
import type { EventSource } from '../../engine.ts'
import type { Errno } from '../errno.ts'
import type { Memory, Region } from '../memory.ts'
import { roundUp, type UserMap } from './map.ts'

/** BPF_RINGBUF_HDR_SZ: u32 length with two flag bits, u32 page offset. */
const HEADER = 8
const BUSY = 0x8000_0000
const DISCARD = 0x4000_0000
/** RINGBUF_MAX_RECORD_SZ is UINT_MAX / 4. */
const MAX_RECORD = 0x3fff_ffffn
/** BPF_RB_NO_WAKEUP, BPF_RB_FORCE_WAKEUP. */
const NO_WAKEUP = 1n
const FORCE_WAKEUP = 2n

export class RingBuffer implements UserMap {
  readonly spec: MapSpec
  readonly hostValueSize = 0
  readonly #memory: Memory
  readonly #data: Region
  /** Bytes ever produced and consumed, headers included. */
  #produced = 0
  #consumed = 0
  /** Reserved and not yet given back: address of the payload to its size. */
  readonly #reserved = new Map<number, number>()
  #consumer: RingSource | undefined

  constructor(spec: MapSpec, memory: Memory) {
    this.spec = spec
    this.#memory = memory
    this.#data = memory.allocate({
      name: `a record of ring buffer ${spec.name}`,
      size: spec.maxEntries * 2,
      inside: (address, size) => this.#inReserved(address, size),
    })
  }

  lookup(): number {
    return 0
  }

  update(): Errno {
    return 'ENOTSUPP'
  }

  delete(): Errno {
    return 'ENOTSUPP'
  }

  *keys(): Iterable<number> {}

  /** Address of `size` bytes, or 0: flags that are not 0, a size that can never fit, or a full ring. */
  reserve(size: bigint, flags: bigint): number {
    if (flags !== 0n || size > MAX_RECORD) return 0
    const bytes = Number(size)
    const length = roundUp(bytes + HEADER, 8)
    const mask = this.spec.maxEntries - 1
    if (this.#produced + length - this.#consumed > mask) return 0
    const header = this.#at(this.#produced)
    this.#memory.view.setUint32(header, (bytes | BUSY) >>> 0, true)
    this.#memory.view.setUint32(header + 4, 0, true)
    this.#produced += length
    this.#reserved.set(header + HEADER, bytes)
    return header + HEADER
  }

  /** Whether `address` is a record that was reserved and not yet given back. */
  holds(address: number): boolean {
    return this.#reserved.has(address)
  }

  /** Gives a reserved record to the consumer, or drops it; nothing if `address` is none. */
  commit(address: number, flags: bigint, discard: boolean): void {
    const size = this.#reserved.get(address)
    if (size === undefined) return
    this.#reserved.delete(address)
    this.#memory.view.setUint32(address - HEADER, discard ? size | DISCARD : size, true)
    if ((flags & NO_WAKEUP) === 0n || (flags & FORCE_WAKEUP) !== 0n) this.#consumer?.wake()
  }

  /** Copies `size` bytes at `from` into a record of their own. */
  output(from: number, size: bigint, flags: bigint): Errno | undefined {
    if ((flags & ~(NO_WAKEUP | FORCE_WAKEUP)) !== 0n) return 'EINVAL'
    const to = this.reserve(size, 0n)
    if (to === 0) return 'EAGAIN'
    this.#memory.bytes.copyWithin(to, from, from + Number(size))
    this.commit(to, flags, false)
    return undefined
  }

  /** bpf_ringbuf_query: BPF_RB_AVAIL_DATA, BPF_RB_RING_SIZE, BPF_RB_CONS_POS, BPF_RB_PROD_POS. */
  query(what: bigint): bigint {
    const answers = [this.#produced - this.#consumed, this.spec.maxEntries, this.#consumed, this.#produced]
    return BigInt(answers[Number(what)] ?? 0)
  }

  /** Drops what a program reserved before it faulted; otherwise the ring would stand still for ever. */
  abandon(): void {
    for (const address of [...this.#reserved.keys()]) this.commit(address, NO_WAKEUP, true)
  }

  events(lost: () => bigint | undefined): EventSource {
    if (this.#consumer) throw secondConsumer(this.spec.name)
    this.#consumer = new RingSource(
      () => this.#take(),
      lost,
      () => {
        this.#consumer = undefined
      },
    )
    return this.#consumer
  }

  /** The next submitted record, copied; undefined if there is none or the oldest is still being written. */
  #take(): Uint8Array | undefined {
    while (this.#consumed < this.#produced) {
      const header = this.#at(this.#consumed)
      const word = this.#memory.view.getUint32(header, true)
      if (word & BUSY) return undefined
      const size = word & ~DISCARD
      this.#consumed += roundUp(size + HEADER, 8)
      if ((word & DISCARD) === 0) return this.#memory.bytes.slice(header + HEADER, header + HEADER + size)
    }
    return undefined
  }

  #at(position: number): number {
    return this.#data.start + (position % this.spec.maxEntries)
  }

  #inReserved(address: number, size: number): boolean {
    for (const [start, length] of this.#reserved) {
      if (address >= start && address + size <= start + length) return true
    }
    return false
  }
}

/** The one consumer of a ring. */
export class RingSource implements EventSource {
  received = 0
  readonly #take: () => Uint8Array | undefined
  readonly #lost: () => bigint | undefined
  readonly #release: () => void
  #closed = false
  #waiting: (() => void)[] = []

  constructor(take: () => Uint8Array | undefined, lost: () => bigint | undefined, release: () => void) {
    this.#take = take
    this.#lost = lost
    this.#release = release
  }

  get lost(): bigint | undefined {
    return this.#lost()
  }

  drain(): Uint8Array[] {
    const records: Uint8Array[] = []
    for (let record = this.#next(); record; record = this.#next()) records.push(record)
    return records
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    while (!this.#closed) {
      const record = this.#next()
      if (record) yield record
      else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#release()
    this.wake()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #next(): Uint8Array | undefined {
    const record = this.#closed ? undefined : this.#take()
    if (record) this.received++
    return record
  }
}

const secondConsumer = (map: string): Diagnostic =>
  new Diagnostic({
    code: 'user/map',
    message: `ring buffer ${map} is being read already`,
    help: 'close the first event source before you open another',
    errno: 'EBUSY',
  })
