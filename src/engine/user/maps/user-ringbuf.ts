// User ring buffer (kernel/bpf/ringbuf.c, bpf_user_ringbuf_drain): the other way round, user space writes records and
// programs read them, each through a dynptr. Room is counted as in the kernel's pages: an 8-byte header, and the
// record rounded up to 8.

import type { MapSpec } from '../../../object/spec.ts'
import type { Errno } from '../errno.ts'
import type { Memory, Region } from '../memory.ts'
import { roundUp, type UserMap } from './map.ts'

/** BPF_RINGBUF_HDR_SZ. */
const HEADER = 8

export class UserRingBuffer implements UserMap {
  readonly spec: MapSpec
  readonly hostValueSize = 0
  readonly #memory: Memory
  readonly #data: Region
  readonly #records: { readonly at: number; readonly size: number }[] = []
  #draining = false
  #produced = 0
  #consumed = 0

  constructor(spec: MapSpec, memory: Memory) {
    this.spec = spec
    this.#memory = memory
    // As in the kernel, where the pages are mapped twice in a row: a record that wraps is in one piece.
    this.#data = memory.allocate({
      name: `a record of user ring buffer ${spec.name}`,
      size: spec.maxEntries * 2,
      writable: false,
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

  submit(record: Uint8Array): Errno | undefined {
    const length = HEADER + roundUp(record.length, 8)
    if (length > this.spec.maxEntries) return 'E2BIG'
    if (this.#produced + length - this.#consumed > this.spec.maxEntries) return 'ENOSPC'
    const at = this.#data.start + (this.#produced % this.spec.maxEntries) + HEADER
    this.#memory.bytes.set(record, at)
    this.#records.push({ at, size: record.length })
    this.#produced += length
    return undefined
  }

  /** Hands at most `limit` records to `each`, until that gives something else than 0. How many there were. */
  drain(limit: number, each: (at: number, size: number) => bigint): number | Errno {
    if (this.#draining) return 'EBUSY'
    this.#draining = true
    try {
      return this.#drain(limit, each)
    } finally {
      this.#draining = false
    }
  }

  #drain(limit: number, each: (at: number, size: number) => bigint): number {
    for (let drained = 1; drained <= limit; drained++) {
      const record = this.#records[0]
      if (!record) return drained - 1
      const stop = each(record.at, record.size) !== 0n
      this.#records.shift()
      this.#consumed += HEADER + roundUp(record.size, 8)
      if (stop) return drained
    }
    return limit
  }
}
