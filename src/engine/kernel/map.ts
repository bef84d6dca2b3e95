// A map in the kernel, by its bytes. Look-ups and updates go through bpf(2) with one attribute and one pair of
// buffers for the map's life, so that a call costs no more than its system call. Per-CPU maps give and take the
// values of all possible CPUs in a row, each at a multiple of 8 bytes, as bpf(2) has it.

import { readFileSync } from 'node:fs'
import { Diagnostic } from '../../diag/diagnostic.ts'
import type { MapSpec } from '../../object/spec.ts'
import { ATTR, FLAGS } from '../../spec/gen/uapi.ts'
import type { MapTypeName } from '../../spec/names.ts'
import type { Batch, BatchCursor, BatchDone, BpfMap, EventSource, UpdateFlag } from '../engine.ts'
import type { Attr, Bpf } from './bpf.ts'
import { errnoName, isErrno, refusal } from './errors.ts'
import { PerfSource } from './perfbuf.ts'
import { RingbufSource } from './ringbuf.ts'
import { UserRingbufProducer } from './user-ringbuf.ts'

const PERCPU: ReadonlySet<MapTypeName> = new Set<MapTypeName>(['percpu_hash', 'percpu_array', 'lru_percpu_hash'])

/** What the kernel says of a closed descriptor (asm-generic/errno-base.h). */
const EBADF = 9
/** Bytes of keys and values to ask for in one batch look-up. */
const BATCH_BYTES = 256 * 1024

/** Maps that refer to maps or programs: by name here, by file descriptor and id in bpf(2). */
const REFERRING: ReadonlySet<MapTypeName> = new Set<MapTypeName>(['prog_array', 'array_of_maps', 'hash_of_maps'])

/** The programs and maps of a collection, as a map of theirs refers to them. */
export interface Referents {
  /** The file descriptor of what has this name. */
  fd(kind: 'program' | 'map', name: string): number | undefined
  /** The name of what has this id. */
  name(kind: 'program' | 'map', id: number): string | undefined
}

/** The kernel's own notion of where a pass stands. */
class KernelCursor implements BatchCursor {
  readonly engine = 'kernel'
  readonly bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }
}

type BatchLookup = 'map_lookup_batch' | 'map_lookup_and_delete_batch'
type BatchInput = { readonly keys: Uint8Array; readonly values?: Uint8Array; readonly elem_flags: number }
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
  #referents: Referents | undefined
  #producer: UserRingbufProducer | undefined
  #source: RingbufSource | PerfSource | undefined

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

  /** What `setRef` and `getRef` go by. */
  refersTo(referents: Referents): void {
    this.#referents = referents
  }

  get(key: Uint8Array): Uint8Array | undefined {
    if (this.spec.type === 'bloom_filter') throw this.#misused('is asked with has()')
    this.#fill(this.#key, key, 'key')
    return this.#lookup()
  }

  /** A bloom filter looks up what stands in the place of the value. */
  has(value: Uint8Array): boolean {
    if (this.spec.type !== 'bloom_filter') throw this.#misused('is asked by key: only a bloom filter is by value')
    this.#fill(this.#value, value, 'value')
    return this.#lookup() !== undefined
  }

  #lookup(): Uint8Array | undefined {
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

  submit(record: Uint8Array): void {
    if (this.spec.type !== 'user_ringbuf') throw this.#misused('takes no records: only a user_ringbuf does')
    // The memory that the records go to is gone with the map.
    if (this.#fd < 0) throw this.#refused('map_update_elem', EBADF, 'takes no record')
    this.#producer ??= new UserRingbufProducer(this.#bpf.sys, this.spec, this.#fd)
    this.#producer.submit(record)
  }

  lookupAndDelete(key: Uint8Array): Uint8Array | undefined {
    this.#fill(this.#key, key, 'key')
    this.#element.setU64('flags', 0)
    const result = this.#bpf.call('map_lookup_and_delete_elem', this.#element)
    if (result >= 0) return this.#value.slice()
    if (isErrno(result, 'ENOENT')) return undefined
    throw this.#refused('map_lookup_and_delete_elem', result, 'does not give up an element')
  }

  setRef(key: Uint8Array, name: string, flag: UpdateFlag = 'any'): void {
    const fd = this.#refers().fd(this.#refersKind, name)
    if (fd === undefined) {
      const message = `map "${this.spec.name}" can't refer to ${name}: the object has no ${this.#refersKind} of that name`
      throw new Diagnostic({ code: 'kernel/no-such-ref', message, errno: 'EBADF' })
    }
    this.set(key, u32Bytes(fd), flag)
  }

  getRef(key: Uint8Array): string | undefined {
    const referents = this.#refers()
    const id = this.get(key)
    return id && referents.name(this.#refersKind, new DataView(id.buffer).getUint32(0, true))
  }

  getBatch(count: number, from?: BatchCursor): Batch {
    return this.#inBatch('map_lookup_batch', count, from)
  }

  takeBatch(count: number, from?: BatchCursor): Batch {
    return this.#inBatch('map_lookup_and_delete_batch', count, from)
  }

  setBatch(keys: readonly Uint8Array[], values: readonly Uint8Array[]): BatchDone {
    return this.#putBatch(
      'map_update_batch',
      { keys: this.#concat(keys, 'key'), values: this.#concat(values, 'value', keys.length), elem_flags: 0 },
      keys.length,
    )
  }

  deleteBatch(keys: readonly Uint8Array[]): BatchDone {
    return this.#putBatch('map_delete_batch', { keys: this.#concat(keys, 'key'), elem_flags: 0 }, keys.length)
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
      const { step, found } = this.#batch('map_lookup_batch', cursor, from, count)
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
    const { type } = this.spec
    if (type !== 'ringbuf' && type !== 'perf_event_array') {
      const what = `map "${this.spec.name}" of type ${this.spec.type} holds no events`
      throw new Diagnostic({
        code: 'kernel/no-events',
        message: what,
        errno: 'EINVAL',
        help: 'Events come out of a ringbuf or a perf_event_array.',
      })
    }
    if (this.#source?.open) {
      const message = `the events of map "${this.spec.name}" are being read already`
      throw new Diagnostic({ code: 'kernel/events-busy', message, errno: 'EBUSY', help: 'Close the first reader.' })
    }
    this.#source =
      type === 'ringbuf'
        ? new RingbufSource(this.#bpf.sys, this.spec, this.#fd, this.#lost)
        : new PerfSource(this.#bpf, this.spec, this.#fd)
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
    this.#producer?.close()
    this.#bpf.sys.close(this.#fd)
    this.#fd = -1
    // The number may soon be that of another file.
    this.#element.setU32('map_fd', this.#fd)
    this.#keyOnly.setU32('map_fd', this.#fd)
  }

  #inBatch(command: BatchLookup, wanted: number, from: BatchCursor | undefined): Batch {
    const start = from instanceof KernelCursor ? from.bytes : undefined
    for (let count = Math.max(1, wanted); ; count *= 2) {
      const cursor = new Uint8Array(Math.max(4, this.spec.keySize))
      const { step, found, result } = this.#batch(command, cursor, start, count)
      if (step === 'unsupported') throw this.#refused(command, result, 'cannot be gone through in batches')
      if (step === 'done') return { elements: [...found] }
      if (step === 'more') return { elements: [...found], next: new KernelCursor(cursor) }
    }
  }

  #putBatch(command: 'map_update_batch' | 'map_delete_batch', values: BatchInput, count: number): BatchDone {
    const attr = this.#bpf.attr(ATTR.batch, { ...values, count, map_fd: this.#fd })
    const result = this.#bpf.call(command, attr)
    if (result >= 0) return { done: attr.u32('count') }
    // Before the first element the kernel leaves the count as it was.
    if (isErrno(result, 'ENOTSUPP')) throw this.#refused(command, result, 'cannot be changed in batches')
    const before = isErrno(result, 'EINVAL') && attr.u32('count') === count
    return { done: before ? 0 : attr.u32('count'), errno: errnoName(result) }
  }

  #refers(): Referents {
    if (this.#referents && REFERRING.has(this.spec.type)) return this.#referents
    throw this.#misused('does not refer to anything: only a map of maps or a prog_array does')
  }

  get #refersKind(): 'program' | 'map' {
    return this.spec.type === 'prog_array' ? 'program' : 'map'
  }

  #misused(what: string): Diagnostic {
    const message = `map "${this.spec.name}" of type ${this.spec.type} ${what}`
    return new Diagnostic({ code: 'kernel/map-use', message, errno: 'EINVAL' })
  }

  #batch(command: BatchLookup, cursor: Uint8Array, from: Uint8Array | undefined, count: number) {
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
    const result = this.#bpf.call(command, attr)
    const step = this.#batchStep(result, from !== undefined)
    const got = step === 'done' || step === 'more' ? attr.u32('count') : 0
    return { step, result, found: this.#split(keys, values, got) }
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
    this.#sized(from, to.length, what)
    to.set(from)
  }

  #sized(bytes: Uint8Array, size: number, what: 'key' | 'value'): void {
    if (bytes.length === size) return
    const message = `a ${what} of map "${this.spec.name}" has ${size} bytes, and this one has ${bytes.length}`
    throw new Diagnostic({ code: `kernel/${what}-size`, message, errno: 'EINVAL' })
  }

  /** One behind the other, `count` of them. */
  #concat(parts: readonly Uint8Array[], what: 'key' | 'value', count = parts.length): Uint8Array {
    const { length } = what === 'key' ? this.#key : this.#value
    const out = new Uint8Array(length * count)
    for (let i = 0; i < count; i++) {
      const part = parts[i] ?? new Uint8Array(0)
      this.#sized(part, length, what)
      out.set(part, i * length)
    }
    return out
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

const u32Bytes = (value: number): Uint8Array => new Uint8Array(new Uint32Array([value]).buffer)
