// Consumer of a BPF ring buffer (Documentation/bpf/ringbuf.rst). The kernel maps one page with the consumer's
// position, which we write, and one with the producer's, which is followed by the data twice in a row, so that a
// record that wraps round reads as one piece. A record is an 8-byte header (length, with two bits for "still being
// written" and "discarded") and the bytes, padded to 8.

import type { MapSpec } from '../../object/spec.ts'
import type { EventSource } from '../engine.ts'
import { refusal } from './errors.ts'
import type { Mapping, Sys, Watch } from './sys.ts'

/** BPF_RINGBUF_BUSY_BIT is the sign of the header's first word, so a busy record is a negative one. */
const DISCARD = 1 << 30
const LENGTH = DISCARD - 1
const HEADER = 8

/** Records taken in one go: after as many the event loop gets its turn, so that a flood cannot hold up Ctrl-C. */
const BATCH = 1024

/** How long to wait for a record that is being written, in milliseconds. */
const BUSY_PAUSE = 1

export class RingbufSource implements EventSource {
  readonly #sys: Sys
  readonly #fd: number
  readonly #readLost: (() => bigint) | undefined
  readonly #size: number
  readonly #mappings: readonly Mapping[]
  readonly #consumer: BigUint64Array
  readonly #producer: BigUint64Array
  /** The data as 32-bit words, for headers, and as bytes. */
  readonly #words: Int32Array
  readonly #bytes: Uint8Array
  #position: number
  #open = true
  /** Taken out of the ring; those before `next` are handed out. */
  #pending: Uint8Array[] = []
  #next = 0
  #received = 0
  #lastLost: bigint | undefined
  #watch: Watch | undefined
  #wake: (() => void) | undefined
  #waiting: Promise<void> | undefined

  /** Throws a Diagnostic if the buffer cannot be mapped. The fd stays the map's. */
  constructor(sys: Sys, spec: MapSpec, fd: number, lost: (() => bigint) | undefined) {
    this.#sys = sys
    this.#fd = fd
    this.#readLost = lost
    this.#size = spec.maxEntries
    const page = sys.pageSize()
    const own = map(sys, spec, fd, page, 0, true)
    const theirs = mapOrUndo(own, () => map(sys, spec, fd, page + 2 * spec.maxEntries, page, false))
    this.#mappings = [own, theirs]
    this.#consumer = new BigUint64Array(own.bytes, 0, 1)
    this.#producer = new BigUint64Array(theirs.bytes, 0, 1)
    this.#words = new Int32Array(theirs.bytes, page)
    this.#bytes = new Uint8Array(theirs.bytes, page)
    this.#position = Number(Atomics.load(this.#consumer, 0))
  }

  get open(): boolean {
    return this.#open
  }

  get received(): number {
    return this.#received
  }

  get lost(): bigint | undefined {
    return this.#open ? this.#readLost?.() : this.#lastLost
  }

  drain(): Uint8Array[] {
    if (!this.#open) return []
    this.#take(Number.POSITIVE_INFINITY)
    const records = this.#pending.slice(this.#next)
    this.#next = this.#pending.length
    this.#received += records.length
    return records
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    while (this.#open) {
      const busy = this.#take(BATCH)
      if (this.#pending.length === 0) {
        await (busy ? pause() : this.#readable())
        continue
      }
      while (this.#next < this.#pending.length) {
        this.#received++
        yield this.#pending[this.#next++]
      }
      await turn()
    }
  }

  close(): void {
    if (!this.#open) return
    this.#lastLost = this.#readLost?.()
    this.#open = false
    this.#pending = []
    this.#next = 0
    this.#watch?.close()
    this.#wake?.()
    for (const mapping of this.#mappings) mapping.unmap()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** Moves at most `limit` records out of the ring and tells the kernel. Whether it stopped at one that is being written. */
  #take(limit: number): boolean {
    this.#pending = this.#pending.slice(this.#next)
    this.#next = 0
    const end = Number(Atomics.load(this.#producer, 0))
    let busy = false
    while (this.#position < end && this.#pending.length < limit) {
      const at = this.#position % this.#size
      const header = Atomics.load(this.#words, at / 4)
      busy = header < 0
      if (busy) break
      const length = header & LENGTH
      if ((header & DISCARD) === 0) this.#pending.push(this.#bytes.slice(at + HEADER, at + HEADER + length))
      this.#position += Math.ceil((HEADER + length) / 8) * 8
    }
    Atomics.store(this.#consumer, 0, BigInt(this.#position))
    return busy
  }

  /**
   * Until there is a record or the source is closed. The kernel looks at the positions when the watch starts, so a
   * record that came just before is not slept over.
   */
  #readable(): Promise<void> {
    this.#waiting ??= new Promise((resolve) => {
      this.#wake = () => {
        this.#waiting = undefined
        this.#wake = undefined
        resolve()
      }
      this.#watch ??= this.#sys.watch(this.#fd)
      this.#watch.start(() => {
        if (!this.#open) return
        this.#watch?.stop()
        this.#wake?.()
      })
    })
    return this.#waiting
  }
}

function map(sys: Sys, spec: MapSpec, fd: number, length: number, offset: number, writable: boolean): Mapping {
  const mapping = sys.mmap(fd, length, offset, writable)
  if (typeof mapping === 'object') return mapping
  throw refusal({ call: 'mmap', errno: mapping, what: `ring buffer "${spec.name}" cannot be mapped` })
}

function mapOrUndo(first: Mapping, second: () => Mapping): Mapping {
  try {
    return second()
  } catch (error) {
    first.unmap()
    throw error
  }
}

/** One turn of the event loop. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, BUSY_PAUSE))
