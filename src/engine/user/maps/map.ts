// What every map of the user engine offers, to programs (by address, with the error numbers of the kernel's
// map operations) and to the host (BpfMap of engine.ts, by bytes). The numbers are those of map_*_elem in
// bpf(2) and of the kernel's map implementations.

import { Diagnostic } from '../../../diag/diagnostic.ts'
import type { MapSpec } from '../../../object/spec.ts'
import type { Batch, BatchCursor, BatchDone, BpfMap, EventSource, UpdateFlag } from '../../engine.ts'
import type { Errno } from '../errno.ts'
import { ERRNO } from '../errno.ts'
import type { Memory, Region } from '../memory.ts'
import { type Batching, batching, UserCursor } from './batch.ts'
import { isRefMap, noSuchRef, type Referent } from './refs.ts'

/** Flags of map_update_elem: BPF_ANY, BPF_NOEXIST, BPF_EXIST. */
export const UPDATE = { any: 0, noexist: 1, exist: 2 } as const satisfies Record<UpdateFlag, number>

/** Flags of map creation (map_flags in union bpf_attr). */
export const MAP_FLAG = {
  NO_PREALLOC: 1,
  NO_COMMON_LRU: 2,
  NUMA_NODE: 4,
  RDONLY: 8,
  WRONLY: 16,
  ZERO_SEED: 64,
  RDONLY_PROG: 128,
  WRONLY_PROG: 256,
  MMAPABLE: 1024,
  PRESERVE_ELEMS: 2048,
  INNER_MAP: 4096,
} as const

/** Where the elements of a map stand, for look-ups that are compiled into programs. */
export type Layout =
  | { readonly kind: 'array'; readonly values: number; readonly stride: number; readonly entries: number }
  /** `table` is the address of the words of hash.ts. */
  | { readonly kind: 'hash'; readonly table: number; readonly seed: number }

/** Keys and values are passed by their address in the linear memory, already checked. */
export interface UserMap {
  readonly spec: MapSpec
  /** Bytes of a value as the host sees it: the padded values of all CPUs where the map has one for each. */
  readonly hostValueSize: number
  /** Where a look-up may be compiled: it then is what `lookup` does, every value it gives is memory for good, and no use is noted. */
  readonly layout?: Layout
  /** Address of the value, or 0. `touch`: whether it counts as a use (for LRU): a program's look-up does. */
  lookup(key: number, touch: boolean): number
  /** Copies `size` bytes of value. Undefined is success. */
  update(key: number, value: number, size: number, flags: bigint): Errno | undefined
  /** As `update`, for callers that have the flags as a number: making a bigint costs as much as the rest. */
  put?(key: number, value: number, size: number, flags: number): Errno | undefined
  delete(key: number): Errno | undefined
  /** Addresses of the keys that are there now; `array` keys are made at `scratch`, four writable bytes. */
  keys(scratch: number): Iterable<number>
  /** Maps without keys: queue, stack, bloom filter. The value is read from, or written to, the address. */
  push?(value: number, flags: bigint): Errno | undefined
  pop?(to: number): Errno | undefined
  peek?(value: number): Errno | undefined
  /** Blanks what user space must not see of a value. */
  hide?(value: Uint8Array): Uint8Array
  /** User ring buffers only. */
  submit?(record: Uint8Array): Errno | undefined
  /** Ring buffers and perf_event_arrays only. */
  events?(lost: () => bigint | undefined): EventSource
}

export const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to

/** Whether programs may read and write the values, from the map's flags. */
export const access = (spec: MapSpec): { readable: boolean; writable: boolean } => ({
  readable: (spec.flags & MAP_FLAG.WRONLY_PROG) === 0,
  writable: (spec.flags & MAP_FLAG.RDONLY_PROG) === 0,
})

/** A test for `Region.inside`: `size` bytes do not leave the item of `itemSize` bytes that they begin in. */
export const insideItem = (start: () => number, stride: number, itemSize: number) => (address: number, size: number) =>
  ((address - start()) % stride) + size <= itemSize

/** Types whose elements bpf(2) takes out one by one (BPF_MAP_LOOKUP_AND_DELETE_ELEM). */
const TAKEN: ReadonlySet<string> = new Set(['queue', 'stack', 'hash', 'percpu_hash', 'lru_hash', 'lru_percpu_hash'])
/** Types that user space cannot read by key. */
const UNREAD: ReadonlySet<string> = new Set(['perf_event_array', 'xskmap'])

/** What a map of maps or a prog_array may refer to, by name. */
export type Resolve = (name: string, kind: Referent['kind']) => Referent | undefined

/** The host's side of a map. */
export class HostMap implements BpfMap {
  readonly spec: MapSpec
  readonly #map: UserMap
  readonly #memory: Memory
  /** Where the host's keys and values are put so that the map finds them. */
  readonly #key: Region
  readonly #value: Region
  readonly #lost: () => bigint | undefined
  readonly #resolve: Resolve

  /** `lost` reads the counter that `spec.lost` names. */
  constructor(map: UserMap, memory: Memory, lost: () => bigint | undefined, resolve: Resolve = () => undefined) {
    this.spec = map.spec
    this.#map = map
    this.#memory = memory
    const hidden = { readable: false, writable: false }
    this.#key = memory.allocate({ name: `the host's key of map ${map.spec.name}`, size: map.spec.keySize, ...hidden })
    this.#value = memory.allocate({
      name: `the host's value of map ${map.spec.name}`,
      size: map.hostValueSize,
      ...hidden,
    })
    this.#lost = lost
    this.#resolve = resolve
  }

  get(key: Uint8Array): Uint8Array | undefined {
    this.#keyed('look up')
    this.#mayRead('look up')
    const at = this.#putKey(key)
    if (this.#map.push) return this.#peek()
    if (UNREAD.has(this.spec.type)) throw this.#refuse('look up', 'ENOTSUPP')
    if (isRefMap(this.#map)) return idBytes(this.#map.refAt(at))
    const address = this.#map.lookup(at, false)
    return address === 0 ? undefined : this.#read(address)
  }

  set(key: Uint8Array, value: Uint8Array, flag: UpdateFlag = 'any'): void {
    this.#mayWrite('update')
    this.fill(key, value, flag)
  }

  /** As `set`, also for a map that is frozen once it is filled. */
  fill(key: Uint8Array, value: Uint8Array, flag: UpdateFlag = 'any'): void {
    this.#keyed('update')
    const at = this.#putKey(key)
    this.#putValue(value)
    const flags = BigInt(UPDATE[flag])
    const { start } = this.#value
    const errno = this.#map.push
      ? this.#map.push(start, flags)
      : this.#map.update(at, start, this.#map.hostValueSize, flags)
    if (errno) throw this.#refuse('update', errno)
  }

  delete(key: Uint8Array): boolean {
    this.#keyed('delete from')
    this.#mayWrite('delete from')
    const errno = this.#map.delete(this.#putKey(key))
    if (errno && errno !== 'ENOENT') throw this.#refuse('delete from', errno)
    return errno === undefined
  }

  *entries(): Iterable<[key: Uint8Array, value: Uint8Array]> {
    this.#keyed('walk through')
    if (this.#map.push) throw this.#refuse('walk through', this.spec.type === 'bloom_filter' ? 'EOPNOTSUPP' : 'EINVAL')
    for (const key of this.#keys()) {
      const value = this.get(key)
      if (value) yield [key, value]
    }
  }

  events(): EventSource {
    if (!this.#map.events) throw this.#refuse('read events from', 'EINVAL', NO_EVENTS)
    return this.#map.events(this.#lost)
  }

  submit(record: Uint8Array): void {
    if (!this.#map.submit) throw this.#refuse('submit records to', 'EINVAL', 'only a user_ringbuf takes records')
    const errno = this.#map.submit(record)
    if (errno) throw this.#refuse('submit a record to', errno)
  }

  lookupAndDelete(key: Uint8Array): Uint8Array | undefined {
    this.#mayRead('take from')
    this.#mayWrite('take from')
    const at = this.#putKey(key)
    if (!TAKEN.has(this.spec.type)) throw this.#refuse('take from', 'ENOTSUPP')
    if (this.#map.pop) {
      const errno = this.#map.pop(this.#value.start)
      if (errno === 'ENOENT') return undefined
      if (errno) throw this.#refuse('take from', errno)
      return this.#read(this.#value.start)
    }
    const address = this.#map.lookup(at, false)
    if (address === 0) return undefined
    const value = this.#read(address)
    this.#map.delete(at)
    return value
  }

  has(value: Uint8Array): boolean {
    if (this.spec.type !== 'bloom_filter')
      throw this.#refuse('ask', 'EINVAL', 'only a bloom filter is asked for values')
    this.#mayRead('ask')
    this.#putValue(value)
    return this.#map.peek?.(this.#value.start) === undefined
  }

  setRef(key: Uint8Array, name: string, flag: UpdateFlag = 'any'): void {
    this.#mayWrite('update')
    this.fillRef(key, name, flag)
  }

  /** As `setRef`, also for a map that is frozen once it is filled. */
  fillRef(key: Uint8Array, name: string, flag: UpdateFlag = 'any'): void {
    const map = this.#map
    if (!isRefMap(map)) throw this.#refuse('make a reference in', 'EINVAL', NO_REFS)
    const at = this.#putKey(key)
    const to = this.#resolve(name, this.spec.type === 'prog_array' ? 'program' : 'map')
    if (!to) throw noSuchRef(this.spec.name, name, 'name a map or program of the same object')
    const errno = map.setRef(at, to, BigInt(UPDATE[flag]))
    if (errno) throw this.#refuse('update', errno)
  }

  getRef(key: Uint8Array): string | undefined {
    const map = this.#map
    if (!isRefMap(map)) throw this.#refuse('follow a reference in', 'EINVAL', NO_REFS)
    this.#mayRead('look up')
    return map.refAt(this.#putKey(key))?.spec.name
  }

  getBatch(count: number, from?: BatchCursor): Batch {
    return this.#batch('lookup', count, from)
  }

  takeBatch(count: number, from?: BatchCursor): Batch {
    this.#mayWrite('take from')
    return this.#batch('take', count, from)
  }

  setBatch(keys: readonly Uint8Array[], values: readonly Uint8Array[]): BatchDone {
    this.#batches('update')
    for (const [i, key] of keys.entries()) {
      this.#sized('key', key, this.spec.keySize)
      this.#sized('value', values[i] ?? new Uint8Array(0), this.#map.hostValueSize)
    }
    return this.#each(keys, (key, i) => this.set(key, values[i]))
  }

  deleteBatch(keys: readonly Uint8Array[]): BatchDone {
    this.#batches('delete')
    for (const key of keys) this.#sized('key', key, this.spec.keySize)
    return this.#each(keys, (key) => {
      if (!this.delete(key)) throw this.#refuse('delete from', 'ENOENT')
    })
  }

  #each(keys: readonly Uint8Array[], act: (key: Uint8Array, index: number) => void): BatchDone {
    for (const [done, key] of keys.entries()) {
      try {
        act(key, done)
      } catch (error) {
        if (error instanceof Diagnostic && error.errno) return { done, errno: error.errno }
        throw error
      }
    }
    return { done: keys.length }
  }

  #batch(what: 'lookup' | 'take', count: number, from: BatchCursor | undefined): Batch {
    this.#batches(what)
    this.#mayRead('look up')
    const cursor = from instanceof UserCursor ? from : new UserCursor(this.#keys())
    const elements: [Uint8Array, Uint8Array][] = []
    while (elements.length < count) {
      const key = cursor.next()
      if (!key) return { elements }
      const value = this.get(key)
      if (!value) continue
      elements.push([key, value])
      if (what === 'take') this.#map.delete(this.#putKey(key))
    }
    return cursor.done ? { elements } : { elements, next: cursor }
  }

  #batches(what: keyof Batching): void {
    if (!batching(this.spec.type)[what]) throw this.#refuse('go in batches through', 'ENOTSUPP')
  }

  #keys(): Uint8Array[] {
    const { keySize } = this.spec
    return Array.from(this.#map.keys(this.#key.start), (at) => this.#memory.bytes.slice(at, at + keySize))
  }

  /** The front of a queue, the top of a stack. */
  #peek(): Uint8Array | undefined {
    if (this.spec.type === 'bloom_filter') throw this.#refuse('look up', 'EINVAL', 'ask a bloom filter with has()')
    return this.#map.peek?.(this.#value.start) ? undefined : this.#read(this.#value.start)
  }

  #read(address: number): Uint8Array {
    const value = this.#memory.bytes.slice(address, address + this.#map.hostValueSize)
    return this.#map.hide?.(value) ?? value
  }

  #mayRead(doing: string): void {
    if (this.spec.flags & MAP_FLAG.WRONLY) throw this.#refuse(doing, 'EPERM')
  }

  #mayWrite(doing: string): void {
    if (this.spec.frozen || this.spec.flags & MAP_FLAG.RDONLY) throw this.#refuse(doing, 'EPERM')
  }

  #putKey(key: Uint8Array): number {
    this.#sized('key', key, this.spec.keySize)
    this.#memory.bytes.set(key, this.#key.start)
    return this.#key.start
  }

  #putValue(value: Uint8Array): void {
    this.#sized('value', value, this.#map.hostValueSize)
    this.#memory.bytes.set(value, this.#value.start)
  }

  #keyed(doing: string): void {
    if (this.spec.keySize !== 0 || this.#map.push) return
    throw this.#refuse(doing, 'ENOTSUPP', `a ${this.spec.type} has no keys: use events()`)
  }

  #sized(what: string, given: Uint8Array, wanted: number): void {
    if (given.length === wanted) return
    throw new Diagnostic({
      code: 'user/map-size',
      message: `map ${this.spec.name}: a ${what} of ${given.length} bytes, where the map's ${what}s have ${wanted}`,
      errno: 'EINVAL',
    })
  }

  #refuse(doing: string, errno: Errno, why = WHY[errno]): Diagnostic {
    const message = `can't ${doing} map ${this.spec.name}: ${why ?? `error ${ERRNO[errno]}`} (${errno})`
    return new Diagnostic({ code: 'user/map', message, errno })
  }
}

const NO_EVENTS = 'only a ringbuf or a perf_event_array has events'
const NO_REFS = 'only a map of maps or a prog_array refers to things'

const idBytes = (ref: Referent | undefined): Uint8Array | undefined =>
  ref && new Uint8Array(new Uint32Array([ref.id]).buffer)

const WHY: Partial<Record<Errno, string>> = {
  E2BIG: 'it is full, or the index is past its end',
  EEXIST: 'there is such a key already',
  ENOENT: 'there is no such key',
  EINVAL: 'its type does not do that',
  EPERM: 'it is read-only, write-only or frozen',
  EBADF: 'there is no such thing; maps and programs are set by their names, with setRef',
  ENOSPC: 'it is full',
  ENOTSUPP: 'its type does not do that',
  EOPNOTSUPP: 'its type does not do that',
  EOVERFLOW: 'a queue has at most 16384 entries',
  ENOMEM: 'the memory of the engine is used up',
}
