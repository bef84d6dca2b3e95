// A map in the kernel, by its bytes. Look-ups and updates go through bpf(2) with one attribute and one pair of
// buffers for the map's life, so that a call costs no more than its system call. Per-CPU maps give and take the
// values of all possible CPUs in a row, each at a multiple of 8 bytes, as bpf(2) has it.

import { readFileSync } from 'node:fs'
import { Diagnostic } from '../../diag/diagnostic.ts'
import type { MapSpec } from '../../object/spec.ts'
import { ATTR, FLAGS } from '../../spec/gen/uapi.ts'
import type { MapTypeName } from '../../spec/names.ts'
import type { BpfMap, EventSource, UpdateFlag } from '../engine.ts'
import type { Attr, Bpf } from './bpf.ts'
import { isErrno, refusal } from './errors.ts'
import { RingbufSource } from './ringbuf.ts'

const PERCPU: ReadonlySet<MapTypeName> = new Set<MapTypeName>(['percpu_hash', 'percpu_array', 'lru_percpu_hash'])

/** Bytes of keys and values to ask for in one batch look-up. */
const BATCH_BYTES = 256 * 1024

type BatchStep = 'done' | 'more' | 'unsupported' | 'grow'

export class KernelMap implements BpfMap {
  readonly spec: MapSpec
  readonly #bpf: Bpf
  readonly #key: Uint8Array
  readonly #value: Uint8Array
  readonly #element: Attr<typeof ATTR.map_elem>
  readonly #keyOnly: Attr<typeof ATTR.map_elem>
  #fd: number
  #lost: (() => bigint) | undefined
  #source: RingbufSource | undefined

  /** Takes over the fd: it is closed with the map. */
  constructor(bpf: Bpf, spec: MapSpec, fd: number) {
    this.spec = spec
    this.#bpf = bpf
    this.#fd = fd
    this.#key = new Uint8Array(spec.keySize)
    this.#value = new Uint8Array(valueBytes(spec))
    this.#element = bpf.attr(ATTR.map_elem, { map_fd: fd, key: this.#key, value: this.#value, flags: 0 })
    // The kernel wants everything after the last field that a command uses to be zero: deletion has no value.
    this.#keyOnly = bpf.attr(ATTR.map_elem, { map_fd: fd, key: this.#key })
  }

  /** Negative after `close`. */
  get fd(): number {
    return this.#fd
  }

  /** Where `MapSpec.lost` is to be read. */
  countLost(lost: () => bigint): void {
    this.#lost = lost
  }

  get(key: Uint8Array): Uint8Array | undefined {
    this.#fill(this.#key, key, 'key')
    this.#element.setU64('flags', 0)
    const result = this.#bpf.call('map_lookup_elem', this.#element)
    if (result >= 0) return this.#value.slice()
    if (isErrno(result, 'ENOENT')) return undefined
    throw this.#refused('map_lookup_elem', result, 'cannot be read')
  }

  set(key: Uint8Array, value: Uint8Array, flag: UpdateFlag = 'any'): void {
    this.#fill(this.#key, key, 'key')
    this.#fill(this.#value, value, 'value')
    this.#element.setU64('flags', FLAGS[flag])
    const result = this.#bpf.call('map_update_elem', this.#element)
    if (result < 0) throw this.#refused('map_update_elem', result, 'does not take the element')
  }

  delete(key: Uint8Array): boolean {
    this.#fill(this.#key, key, 'key')
    const result = this.#bpf.call('map_delete_elem', this.#keyOnly)
    if (result >= 0) return true
    if (isErrno(result, 'ENOENT')) return false
    throw this.#refused('map_delete_elem', result, 'does not give up the element')
  }

  /** In batches where the kernel has them for this type (hashes and arrays, Linux 5.6), otherwise key by key. */
  *entries(): Generator<[key: Uint8Array, value: Uint8Array]> {
    const { keySize, maxEntries } = this.spec
    const elementBytes = keySize + this.#value.length
    let count = Math.max(1, Math.min(maxEntries, Math.floor(BATCH_BYTES / Math.max(1, elementBytes))))
    const cursor = new Uint8Array(Math.max(4, keySize))
    let from: Uint8Array | undefined
    for (;;) {
      const { step, found } = this.#batch(cursor, from, count)
      if (step === 'unsupported') {
        yield* this.#byKeys()
        return
      }
      yield* found
      if (step === 'done') return
      if (step === 'grow') count *= 2
      else from = cursor
    }
  }

  events(): EventSource {
    if (this.spec.type !== 'ringbuf') {
      const what = `map "${this.spec.name}" of type ${this.spec.type} holds no events`
      throw new Diagnostic({
        code: 'kernel/no-events',
        message: what,
        errno: 'EINVAL',
        help: 'Events come out of a ringbuf.',
      })
    }
    if (this.#source?.open) {
      const message = `the events of map "${this.spec.name}" are being read already`
      throw new Diagnostic({ code: 'kernel/events-busy', message, errno: 'EBUSY', help: 'Close the first reader.' })
    }
    this.#source = new RingbufSource(this.#bpf.sys, this.spec, this.#fd, this.#lost)
    return this.#source
  }

  /** Ends whoever reads the events. */
  closeEvents(): void {
    this.#source?.close()
  }

  /** Idempotent. What is asked of the map afterwards is refused with EBADF. */
  close(): void {
    if (this.#fd < 0) return
    this.closeEvents()
    this.#bpf.sys.close(this.#fd)
    this.#fd = -1
    // The number may soon be that of another file.
    this.#element.setU32('map_fd', this.#fd)
    this.#keyOnly.setU32('map_fd', this.#fd)
  }

  #batch(cursor: Uint8Array, from: Uint8Array | undefined, count: number) {
    const { keySize } = this.spec
    const keys = new Uint8Array(keySize * count)
    const values = new Uint8Array(this.#value.length * count)
    const attr = this.#bpf.attr(ATTR.batch, {
      in_batch: from ?? 0,
      out_batch: cursor,
      keys,
      values,
      count,
      map_fd: this.#fd,
    })
    const result = this.#bpf.call('map_lookup_batch', attr)
    const step = this.#batchStep(result, from !== undefined)
    const got = step === 'done' || step === 'more' ? attr.u32('count') : 0
    return { step, found: this.#split(keys, values, got) }
  }

  #batchStep(result: number, started: boolean): BatchStep {
    if (result >= 0) return 'more'
    // The last, short batch says ENOENT and has data nevertheless.
    if (isErrno(result, 'ENOENT')) return 'done'
    if (isErrno(result, 'ENOSPC')) return 'grow'
    if (!started && (isErrno(result, 'EINVAL') || isErrno(result, 'ENOTSUPP'))) return 'unsupported'
    throw this.#refused('map_lookup_batch', result, 'cannot be gone through')
  }

  *#split(keys: Uint8Array, values: Uint8Array, count: number): Generator<[Uint8Array, Uint8Array]> {
    const k = this.spec.keySize
    const v = this.#value.length
    for (let i = 0; i < count; i++) yield [keys.slice(i * k, (i + 1) * k), values.slice(i * v, (i + 1) * v)]
  }

  /**
   * When the current key is deleted meanwhile, the kernel begins again at the first one. What has been seen is skipped
   * then, and a map that is rewritten faster than it can be read is given up with a Diagnostic.
   */
  *#byKeys(): Generator<[Uint8Array, Uint8Array]> {
    const seen = new Set<string>()
    let key: Uint8Array | undefined
    for (let steps = 0; ; steps++) {
      key = this.#nextKey(key)
      if (!key) return
      if (steps > 16 * (this.spec.maxEntries + 64))
        throw this.#refused('map_get_next_key', 4, 'changes too fast to be gone through')
      const name = String.fromCharCode(...key)
      if (seen.has(name)) continue
      seen.add(name)
      const value = this.get(key)
      if (value) yield [key, value]
    }
  }

  #nextKey(key: Uint8Array | undefined): Uint8Array | undefined {
    const next = new Uint8Array(this.spec.keySize)
    const attr = this.#bpf.attr(ATTR.map_elem, { map_fd: this.#fd, key: key ?? 0, next_key: next })
    const result = this.#bpf.call('map_get_next_key', attr)
    if (result >= 0) return next
    if (isErrno(result, 'ENOENT')) return undefined
    throw this.#refused('map_get_next_key', result, 'cannot be gone through')
  }

  #fill(to: Uint8Array, from: Uint8Array, what: 'key' | 'value'): void {
    // No size is right for a map without elements: the kernel says so better.
    if (this.spec.type === 'ringbuf') return
    if (from.length !== to.length) {
      const message = `a ${what} of map "${this.spec.name}" has ${to.length} bytes, and this one has ${from.length}`
      throw new Diagnostic({ code: `kernel/${what}-size`, message, errno: 'EINVAL' })
    }
    to.set(from)
  }

  #refused(call: string, errno: number, what: string): Diagnostic {
    return refusal({ call, errno, what: `map "${this.spec.name}" ${what}` })
  }
}

/** Reads a u64 that a program counts in an element of zero key; summed over the CPUs of a per-CPU map. */
export function readCounter(map: KernelMap, offset: number): bigint {
  const value = map.get(new Uint8Array(map.spec.keySize))
  if (!value) return 0n
  const view = new DataView(value.buffer)
  const stride = PERCPU.has(map.spec.type) ? align8(map.spec.valueSize) : value.length
  let sum = 0n
  for (let at = offset; at + 8 <= value.length; at += stride) sum += view.getBigUint64(at, true)
  return sum
}

const align8 = (n: number): number => Math.ceil(n / 8) * 8

function valueBytes(spec: MapSpec): number {
  return PERCPU.has(spec.type) ? align8(spec.valueSize) * possibleCpus() : spec.valueSize
}

/** How many CPUs a per-CPU value has room for: one more than the highest of `0-3,6`. */
function possibleCpus(): number {
  const ranges = readFileSync('/sys/devices/system/cpu/possible', 'utf8').trim()
  return Number(ranges.split(/[-,]/).at(-1)) + 1
}
