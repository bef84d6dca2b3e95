// Producer of a user ring buffer (kernel/bpf/ringbuf.c). The kernel maps one page with the consumer's position, which
// is its own, and behind it one with the producer's, which is ours, and the data twice in a row. A record is an 8-byte
// header with its length, and the bytes, padded to 8.

import { Diagnostic } from '../../diag/diagnostic.ts'
import type { MapSpec } from '../../object/spec.ts'
import { refusal } from './errors.ts'
import type { Mapping, Sys } from './sys.ts'

const HEADER = 8

export class UserRingbufProducer {
  readonly #spec: MapSpec
  readonly #mappings: readonly Mapping[]
  readonly #consumer: BigUint64Array
  readonly #producer: BigUint64Array
  readonly #data: Uint8Array
  readonly #view: DataView
  #open = true

  /** Throws a Diagnostic if the buffer cannot be mapped. The fd stays the map's. */
  constructor(sys: Sys, spec: MapSpec, fd: number) {
    this.#spec = spec
    const page = sys.pageSize()
    const theirs = mapped(spec, sys.mmap(fd, page, 0, false))
    const ours = sys.mmap(fd, page + 2 * spec.maxEntries, page, true)
    if (typeof ours !== 'object') theirs.unmap()
    this.#mappings = [theirs, mapped(spec, ours)]
    this.#consumer = new BigUint64Array(theirs.bytes, 0, 1)
    const { bytes } = this.#mappings[1]
    this.#producer = new BigUint64Array(bytes, 0, 1)
    this.#data = new Uint8Array(bytes, page)
    this.#view = new DataView(bytes, page)
  }

  /** Throws a Diagnostic (ENOSPC, E2BIG) where there is no room. */
  submit(record: Uint8Array): void {
    const { maxEntries } = this.#spec
    const length = HEADER + Math.ceil(record.length / 8) * 8
    if (length > maxEntries) throw this.#noRoom('E2BIG')
    const position = Number(Atomics.load(this.#producer, 0))
    if (position + length - Number(Atomics.load(this.#consumer, 0)) > maxEntries) throw this.#noRoom('ENOSPC')
    const at = position % maxEntries
    this.#view.setUint32(at, record.length, true)
    this.#view.setUint32(at + 4, 0, true)
    this.#data.set(record, at + HEADER)
    Atomics.store(this.#producer, 0, BigInt(position + length))
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    for (const mapping of this.#mappings) mapping.unmap()
  }

  #noRoom(errno: 'E2BIG' | 'ENOSPC'): Diagnostic {
    const why = errno === 'E2BIG' ? 'is larger than that' : 'has no room there now'
    const message = `a record for user ring buffer "${this.#spec.name}" of ${this.#spec.maxEntries} bytes ${why}`
    return new Diagnostic({ code: 'kernel/user-ringbuf', message, errno })
  }
}

function mapped(spec: MapSpec, mapping: Mapping | number): Mapping {
  if (typeof mapping === 'object') return mapping
  throw refusal({ call: 'mmap', errno: mapping, what: `user ring buffer "${spec.name}" cannot be mapped` })
}
