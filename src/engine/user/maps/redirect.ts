// Maps of places that a packet can be redirected to: devmap, devmap_hash, cpumap, xskmap, sockmap and sockhash
// (kernel/bpf/devmap.c, cpumap.c, net/xdp/xskmap.c, net/core/sock_map.c). Nothing is sent here: bpf_redirect_map
// reports map and key. What a value means (an interface, a queue's length, a socket) is the host's affair.

import type { MapSpec } from '../../../object/spec.ts'
import type { Errno } from '../errno.ts'
import type { Memory } from '../memory.ts'
import { ArrayMap } from './array.ts'
import { HashMap } from './hash.ts'
import { UPDATE, type UserMap } from './map.ts'

/** Most entries of the queue of one CPU of a cpumap. */
const MAX_QUEUE = 16384

/** Which targets there are. */
export interface Targets {
  /** Whether there is a network interface of this index. */
  hasInterface(ifindex: number): boolean
  /** Whether there is a socket with this number. */
  hasSocket(socket: number): boolean
}

const exist = BigInt(UPDATE.exist)
const noexist = BigInt(UPDATE.noexist)

/** devmap, cpumap, xskmap and sockmap: by index. */
export class TargetArray implements UserMap {
  readonly spec: MapSpec
  readonly hostValueSize: number
  readonly #memory: Memory
  readonly #targets: Targets
  readonly #values: ArrayMap
  readonly #set: Uint8Array

  constructor(spec: MapSpec, memory: Memory, targets: Targets) {
    this.spec = spec
    this.hostValueSize = spec.valueSize
    this.#memory = memory
    this.#targets = targets
    // Programs may read what they look up, not write it.
    this.#values = new ArrayMap({ ...spec, flags: spec.flags | 128 }, memory)
    this.#set = new Uint8Array(spec.maxEntries)
  }

  lookup(key: number): number {
    return this.#set[this.#index(key)] ? this.#values.lookup(key) : 0
  }

  update(key: number, value: number, size: number, flags: bigint): Errno | undefined {
    if (flags > exist) return 'EINVAL'
    const index = this.#index(key)
    if (index >= this.spec.maxEntries) return 'E2BIG'
    const target = this.#memory.view.getUint32(value, true)
    const { type } = this.spec
    const there = this.#set[index] === 1
    if (type === 'devmap' || type === 'cpumap') {
      if (flags === noexist) return 'EEXIST'
      const errno = type === 'devmap' ? this.#wrongDevice(value, target) : wrongQueue(target)
      if (errno) return errno
      // An interface or a queue of 0 empties the place.
      this.#set[index] = target === 0 ? 0 : 1
    } else {
      if (!this.#targets.hasSocket(target)) return 'EBADF'
      if (there && flags === noexist) return 'EEXIST'
      if (!there && flags === exist) return 'ENOENT'
      this.#set[index] = 1
    }
    this.#values.update(key, value, size, 0n)
    return undefined
  }

  delete(key: number): Errno | undefined {
    const index = this.#index(key)
    if (index >= this.spec.maxEntries) return 'EINVAL'
    if (this.spec.type === 'sockmap' && !this.#set[index]) return 'EINVAL'
    this.#set[index] = 0
    return undefined
  }

  keys(scratch: number): Iterable<number> {
    return this.#values.keys(scratch)
  }

  #wrongDevice(value: number, ifindex: number): Errno | undefined {
    if (ifindex !== 0) return this.#targets.hasInterface(ifindex) ? undefined : 'EINVAL'
    const program = this.spec.valueSize === 8 ? this.#memory.view.getInt32(value + 4, true) : 0
    return program > 0 ? 'EINVAL' : undefined
  }

  #index(key: number): number {
    return this.#memory.view.getUint32(key, true)
  }
}

const wrongQueue = (size: number): Errno | undefined => (size > MAX_QUEUE ? 'EOVERFLOW' : undefined)

/** devmap_hash and sockhash: by key. */
export class TargetHash implements UserMap {
  readonly spec: MapSpec
  readonly hostValueSize: number
  readonly #memory: Memory
  readonly #targets: Targets
  readonly #values: HashMap

  constructor(spec: MapSpec, memory: Memory, seed: number, targets: Targets) {
    this.spec = spec
    this.hostValueSize = spec.valueSize
    this.#memory = memory
    this.#targets = targets
    this.#values = new HashMap({ ...spec, type: 'hash', flags: spec.flags | 128 }, memory, seed)
  }

  lookup(key: number): number {
    return this.#values.lookup(key, false)
  }

  update(key: number, value: number, size: number, flags: bigint): Errno | undefined {
    const target = this.#memory.view.getUint32(value, true)
    if (flags > exist) return 'EINVAL'
    if (this.spec.type === 'sockhash') {
      if (!this.#targets.hasSocket(target)) return 'EBADF'
      return this.#values.update(key, value, size, flags)
    }
    if (target === 0) return 'EINVAL'
    if (flags === noexist && this.lookup(key) !== 0) return 'EEXIST'
    if (!this.#targets.hasInterface(target)) return 'EINVAL'
    // The kernel takes BPF_EXIST for a key that is not there.
    return this.#values.update(key, value, size, flags === exist ? 0n : flags)
  }

  delete(key: number): Errno | undefined {
    return this.#values.delete(key)
  }

  keys(): Iterable<number> {
    return this.#values.keys()
  }
}
