// Queue and stack (kernel/bpf/queue_stack_maps.c, Documentation/bpf/map_queue_stack.rst): values without keys in a
// ring of one more place than they may be. A push with BPF_EXIST into a full one drops the oldest.

import type { MapSpec } from '../../../object/spec.ts'
import type { Errno } from '../errno.ts'
import type { Memory, Region } from '../memory.ts'
import { access, insideItem, roundUp, UPDATE, type UserMap } from './map.ts'

export class QueueMap implements UserMap {
  readonly spec: MapSpec
  readonly hostValueSize: number
  readonly #memory: Memory
  readonly #values: Region
  readonly #stride: number
  readonly #places: number
  /** Where the next value goes, and where the oldest is. */
  #head = 0
  #tail = 0

  constructor(spec: MapSpec, memory: Memory) {
    this.spec = spec
    this.hostValueSize = spec.valueSize
    this.#memory = memory
    this.#stride = roundUp(spec.valueSize, 8)
    this.#places = spec.maxEntries + 1
    const values: Region = memory.allocate({
      name: `a value of map ${spec.name}`,
      size: this.#stride * this.#places,
      inside: insideItem(() => values.start, this.#stride, spec.valueSize),
      ...access(spec),
    })
    this.#values = values
  }

  lookup(): number {
    return 0
  }

  update(): Errno {
    return 'EINVAL'
  }

  delete(): Errno {
    return 'EINVAL'
  }

  *keys(): Iterable<number> {}

  push(value: number, flags: bigint): Errno | undefined {
    if (flags > UPDATE.exist || flags === BigInt(UPDATE.noexist)) return 'EINVAL'
    const head = (this.#head + 1) % this.#places
    if (head === this.#tail) {
      if (flags !== BigInt(UPDATE.exist)) return 'E2BIG'
      this.#tail = (this.#tail + 1) % this.#places
    }
    this.#memory.bytes.copyWithin(this.#at(this.#head), value, value + this.spec.valueSize)
    this.#head = head
    return undefined
  }

  pop(to: number): Errno | undefined {
    return this.#read(to, true)
  }

  peek(to: number): Errno | undefined {
    return this.#read(to, false)
  }

  #read(to: number, remove: boolean): Errno | undefined {
    const { valueSize, type } = this.spec
    if (this.#head === this.#tail) {
      this.#memory.bytes.fill(0, to, to + valueSize)
      return 'ENOENT'
    }
    const newest = (this.#head + this.#places - 1) % this.#places
    const from = this.#at(type === 'stack' ? newest : this.#tail)
    this.#memory.bytes.copyWithin(to, from, from + valueSize)
    if (!remove) return undefined
    if (type === 'stack') this.#head = newest
    else this.#tail = (this.#tail + 1) % this.#places
    return undefined
  }

  #at(place: number): number {
    return this.#values.start + place * this.#stride
  }
}
