// stack_trace (kernel/bpf/stackmap.c): stacks by a number that comes of their hash, each once. Programs write to it with
// bpf_get_stackid, and only user space reads it.

import type { MapSpec } from '../../../object/spec.ts'
import type { Errno } from '../errno.ts'
import type { Memory, Region } from '../memory.ts'
import type { UserMap } from './map.ts'

export class StackTraceMap implements UserMap {
  readonly spec: MapSpec
  readonly hostValueSize: number
  readonly #memory: Memory
  readonly #values: Region
  readonly #buckets: number
  /** The hash of what a bucket holds; undefined where it is empty. */
  readonly #hashes: (number | undefined)[]

  constructor(spec: MapSpec, memory: Memory) {
    this.spec = spec
    this.hostValueSize = spec.valueSize
    this.#memory = memory
    this.#buckets = 2 ** Math.ceil(Math.log2(spec.maxEntries))
    this.#hashes = new Array(this.#buckets).fill(undefined)
    const size = this.#buckets * spec.valueSize
    this.#values = memory.allocate({ name: `the stacks of map ${spec.name}`, size, readable: false, writable: false })
  }

  lookup(key: number): number {
    const id = this.#memory.view.getUint32(key, true)
    return this.#hashes[id] === undefined ? 0 : this.#at(id)
  }

  update(): Errno {
    return 'EINVAL'
  }

  delete(key: number): Errno | undefined {
    const id = this.#memory.view.getUint32(key, true)
    if (id >= this.#buckets) return 'E2BIG'
    if (this.#hashes[id] === undefined) return 'ENOENT'
    this.#hashes[id] = undefined
    return undefined
  }

  *keys(scratch: number): Iterable<number> {
    for (let id = 0; id < this.#buckets; id++) {
      if (this.#hashes[id] === undefined) continue
      this.#memory.view.setUint32(scratch, id, true)
      yield scratch
    }
  }

  /** The id of a stack. `fast`: two with one hash count as one; `reuse`: another in its place is dropped. */
  add(stack: readonly bigint[], fast: boolean, reuse: boolean): number | Errno {
    const depth = this.spec.valueSize / 8
    const shown = stack.slice(0, depth)
    const hash = hashOf(shown)
    const id = hash & (this.#buckets - 1)
    const known = this.#hashes[id]
    if (known === hash && (fast || this.#same(id, shown))) return id
    if (known !== undefined && !reuse) return 'EEXIST'
    this.#hashes[id] = hash
    const at = this.#at(id)
    this.#memory.bytes.fill(0, at, at + this.spec.valueSize)
    shown.forEach((ip, i) => void this.#memory.view.setBigUint64(at + 8 * i, ip, true))
    return id
  }

  #same(id: number, stack: readonly bigint[]): boolean {
    const at = this.#at(id)
    const { view } = this.#memory
    for (let i = 0; i < this.spec.valueSize / 8; i++) {
      if (view.getBigUint64(at + 8 * i, true) !== (stack[i] ?? 0n)) return false
    }
    return true
  }

  #at(id: number): number {
    return this.#values.start + id * this.spec.valueSize
  }
}

/** FNV-1a over the 32-bit halves. */
function hashOf(stack: readonly bigint[]): number {
  let hash = 0x811c9dc5
  for (const ip of stack) {
    hash = Math.imul(hash ^ Number(ip & 0xffff_ffffn), 0x01000193)
    hash = Math.imul(hash ^ Number((ip >> 32n) & 0xffff_ffffn), 0x01000193)
  }
  return (hash ^ (hash >>> 15)) >>> 0
}
