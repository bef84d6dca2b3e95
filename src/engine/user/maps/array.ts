// Arrays: array and percpu_array. Values stand one after another in the linear memory, 8-byte aligned, as in
// the kernel (kernel/bpf/arraymap.c has the error numbers). The user engine has one CPU, so a per-CPU
// array is an array whose values the host sees padded to 8 bytes.

import type { MapSpec } from '../../../object/spec.ts'
import type { Errno } from '../errno.ts'
import type { Memory, Region } from '../memory.ts'
import { access, type Layout, roundUp, UPDATE, type UserMap } from './map.ts'

export class ArrayMap implements UserMap {
  readonly spec: MapSpec
  readonly hostValueSize: number
  readonly layout: Layout
  readonly #memory: Memory
  readonly #values: Region
  readonly #stride: number

  constructor(spec: MapSpec, memory: Memory) {
    this.spec = spec
    this.#memory = memory
    this.#stride = roundUp(spec.valueSize, 8)
    this.hostValueSize = spec.type === 'percpu_array' ? this.#stride : spec.valueSize
    this.#values = memory.allocate({
      name: `a value of map ${spec.name}`,
      size: this.#stride * spec.maxEntries,
      items: { stride: this.#stride, size: spec.valueSize },
      ...access(spec),
    })
    this.layout = { kind: 'array', values: this.#values.start, stride: this.#stride, entries: spec.maxEntries }
  }

  lookup(key: number): number {
    const index = this.#memory.view.getUint32(key, true)
    return index < this.spec.maxEntries ? this.#values.start + index * this.#stride : 0
  }

  update(key: number, value: number, size: number, flags: bigint): Errno | undefined {
    if (flags > UPDATE.exist) return 'EINVAL'
    const to = this.lookup(key)
    if (to === 0) return 'E2BIG'
    if (flags === BigInt(UPDATE.noexist)) return 'EEXIST'
    this.#memory.bytes.copyWithin(to, value, value + size)
    return undefined
  }

  delete(): Errno {
    return 'EINVAL'
  }

  *keys(scratch: number): Iterable<number> {
    for (let index = 0; index < this.spec.maxEntries; index++) {
      this.#memory.view.setUint32(scratch, index, true)
      yield scratch
    }
  }
}
