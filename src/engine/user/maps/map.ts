// What every map of the user engine offers, to programs (by address, with the error numbers of the kernel's
// map operations) and to the host (BpfMap of engine.ts, by bytes). The numbers are those of map_*_elem in
// bpf(2) and of the kernel's map implementations.

import { Diagnostic } from '../../../diag/diagnostic.ts'
import type { MapSpec } from '../../../object/spec.ts'
import type { BpfMap, EventSource, UpdateFlag } from '../../engine.ts'
import type { Errno } from '../errno.ts'
import { ERRNO } from '../errno.ts'
import type { Memory, Region } from '../memory.ts'

/** Flags of map_update_elem: BPF_ANY, BPF_NOEXIST, BPF_EXIST. */
export const UPDATE = { any: 0, noexist: 1, exist: 2 } as const satisfies Record<UpdateFlag, number>

/** Flags of map creation (map_flags in union bpf_attr). */
export const MAP_FLAG = {
  NO_PREALLOC: 1,
  NUMA_NODE: 4,
  RDONLY: 8,
  WRONLY: 16,
  ZERO_SEED: 64,
  RDONLY_PROG: 128,
  WRONLY_PROG: 256,
  MMAPABLE: 1024,
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
  /** Ring buffers only. */
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

/** The host's side of a map. */
export class HostMap implements BpfMap {
  readonly spec: MapSpec
  readonly #map: UserMap
  readonly #memory: Memory
  /** Where the host's keys and values are put so that the map finds them. */
  readonly #key: Region
  readonly #value: Region
  readonly #lost: () => bigint | undefined

  /** `lost` reads the counter that `spec.lost` names. */
  constructor(map: UserMap, memory: Memory, lost: () => bigint | undefined) {
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
  }

  get(key: Uint8Array): Uint8Array | undefined {
    this.#keyed('look up')
    if (this.spec.flags & MAP_FLAG.WRONLY) throw this.#refuse('look up', 'EPERM')
    const address = this.#map.lookup(this.#putKey(key), false)
    return address === 0 ? undefined : this.#memory.bytes.slice(address, address + this.#map.hostValueSize)
  }

  set(key: Uint8Array, value: Uint8Array, flag: UpdateFlag = 'any'): void {
    if (this.spec.frozen || this.spec.flags & MAP_FLAG.RDONLY) throw this.#refuse('update', 'EPERM')
    this.fill(key, value, flag)
  }

  /** As `set`, also for a map that is frozen once it is filled. */
  fill(key: Uint8Array, value: Uint8Array, flag: UpdateFlag = 'any'): void {
    this.#keyed('update')
    const { hostValueSize } = this.#map
    const at = this.#putKey(key)
    if (value.length !== hostValueSize) throw this.#size('value', value.length, hostValueSize)
    this.#memory.bytes.set(value, this.#value.start)
    const errno = this.#map.update(at, this.#value.start, hostValueSize, BigInt(UPDATE[flag]))
    if (errno) throw this.#refuse('update', errno)
  }

  delete(key: Uint8Array): boolean {
    this.#keyed('delete from')
    if (this.spec.frozen || this.spec.flags & MAP_FLAG.RDONLY) throw this.#refuse('delete from', 'EPERM')
    const errno = this.#map.delete(this.#putKey(key))
    if (errno && errno !== 'ENOENT') throw this.#refuse('delete from', errno)
    return errno === undefined
  }

  *entries(): Iterable<[key: Uint8Array, value: Uint8Array]> {
    this.#keyed('walk through')
    const { keySize } = this.spec
    const keys = Array.from(this.#map.keys(this.#key.start), (at) => this.#memory.bytes.slice(at, at + keySize))
    for (const key of keys) {
      const value = this.get(key)
      if (value) yield [key, value]
    }
  }

  events(): EventSource {
    if (!this.#map.events) throw this.#refuse('read events from', 'EINVAL', 'only a ring buffer has events')
    return this.#map.events(this.#lost)
  }

  #putKey(key: Uint8Array): number {
    if (key.length !== this.spec.keySize) throw this.#size('key', key.length, this.spec.keySize)
    this.#memory.bytes.set(key, this.#key.start)
    return this.#key.start
  }

  #keyed(doing: string): void {
    if (this.spec.keySize === 0) throw this.#refuse(doing, 'ENOTSUPP', `a ${this.spec.type} has no keys: use events()`)
  }

  #size(what: string, given: number, wanted: number): Diagnostic {
    return new Diagnostic({
      code: 'user/map-size',
      message: `map ${this.spec.name}: a ${what} of ${given} bytes, where the map's ${what}s have ${wanted}`,
      errno: 'EINVAL',
    })
  }

  #refuse(doing: string, errno: Errno, why = WHY[errno]): Diagnostic {
    const message = `can't ${doing} map ${this.spec.name}: ${why ?? `error ${ERRNO[errno]}`} (${errno})`
    return new Diagnostic({ code: 'user/map', message, errno })
  }
}

const WHY: Partial<Record<Errno, string>> = {
  E2BIG: 'it is full, or the index is past its end',
  EEXIST: 'there is such a key already',
  ENOENT: 'there is no such key',
  EINVAL: 'its type does not do that',
  EPERM: 'it is read-only, write-only or frozen',
  ENOMEM: 'the memory of the engine is used up',
}
