// perf_event_array (kernel/bpf/arraymap.c, kernel/events/ring_buffer.c): one ring a CPU, of which this engine has one.
// A record takes what it takes in the kernel's pages: an 8-byte header, the u32 length of a raw sample and
// the data, padded so that all of it is a multiple of 8. What did not fit is counted, and the count becomes a
// record of its own (PERF_RECORD_LOST) as soon as there is room: `lost` is the sum of those that were read.

import { Diagnostic } from '../../../diag/diagnostic.ts'
import type { MapSpec } from '../../../object/spec.ts'
import type { EventSource } from '../../engine.ts'
import type { Errno } from '../errno.ts'
import type { Memory } from '../memory.ts'
import { roundUp, type UserMap } from './map.ts'
import { RingSource } from './ringbuf.ts'

/** Bytes of a CPU's ring: 64 pages, as the kernel engine maps. */
export const PERF_RING = 64 * 4096
/** struct perf_event_header, and the length of a raw sample behind it. */
const HEADER = 8
const RAW_SIZE = 4
/** A PERF_RECORD_LOST: header, id, count. */
const LOST_RECORD = 24

interface PerfRecord {
  /** Bytes in the ring. */
  readonly size: number
  /** Absent for a count of losses. */
  readonly data?: Uint8Array
  readonly lost: number
}

export class PerfEventArray implements UserMap {
  readonly spec: MapSpec
  readonly hostValueSize = 4
  readonly #memory: Memory
  #source: RingSource | undefined
  #records: PerfRecord[] = []
  #used = 0
  /** Not yet written down. */
  #lost = 0
  #lostSeen = 0n

  constructor(spec: MapSpec, memory: Memory) {
    this.spec = spec
    this.#memory = memory
  }

  lookup(): number {
    return 0
  }

  update(key: number, _value: number, _size: number, flags: bigint): Errno {
    if (flags !== 0n) return 'EINVAL'
    return this.#memory.view.getUint32(key, true) >= this.spec.maxEntries ? 'E2BIG' : 'EBADF'
  }

  delete(key: number): Errno {
    return this.#memory.view.getUint32(key, true) >= this.spec.maxEntries ? 'E2BIG' : 'ENOENT'
  }

  *keys(scratch: number): Iterable<number> {
    for (let index = 0; index < this.spec.maxEntries; index++) {
      this.#memory.view.setUint32(scratch, index, true)
      yield scratch
    }
  }

  /** bpf_perf_event_output to the ring of CPU `index`. Without a reader there is none: ENOENT. */
  output(index: number, parts: readonly Uint8Array[]): Errno | undefined {
    if (index >= this.spec.maxEntries) return 'E2BIG'
    if (!this.#source || index !== 0) return 'ENOENT'
    const length = parts.reduce((sum, part) => sum + part.length, 0)
    const raw = roundUp(length + RAW_SIZE, 8) - RAW_SIZE
    const size = HEADER + RAW_SIZE + raw
    const wanted = size + (this.#lost > 0 ? LOST_RECORD : 0)
    if (this.#used + wanted > PERF_RING - 1) {
      this.#lost++
      return 'ENOSPC'
    }
    if (this.#lost > 0) this.#records.push({ size: LOST_RECORD, lost: this.#lost })
    this.#lost = 0
    const data = new Uint8Array(raw)
    let at = 0
    for (const part of parts) {
      data.set(part, at)
      at += part.length
    }
    this.#records.push({ size, data, lost: 0 })
    this.#used += wanted
    this.#source.wake()
    return undefined
  }

  events(): EventSource {
    if (this.#source) throw busy(this.spec.name)
    const release = (): void => {
      this.#source = undefined
      this.#records = []
      this.#used = 0
      this.#lost = 0
    }
    this.#lostSeen = 0n
    this.#source = new RingSource(
      () => this.#take(),
      () => this.#lostSeen,
      release,
    )
    return this.#source
  }

  #take(): Uint8Array | undefined {
    for (let record = this.#records.shift(); record; record = this.#records.shift()) {
      this.#used -= record.size
      if (record.data) return record.data
      this.#lostSeen += BigInt(record.lost)
    }
    return undefined
  }
}

const busy = (map: string): Diagnostic =>
  new Diagnostic({
    code: 'user/map',
    message: `the events of map ${map} are being read already`,
    help: 'close the first event source before you open another',
    errno: 'EBUSY',
  })
