// Bloom filter (kernel/bpf/bloom_filter.c, Documentation/bpf/map_bloom_filter.rst): says of a value that it has
// certainly not been pushed, or that it may have been. It has neither keys nor memory that a program could reach.

import type { MapSpec } from '../../../object/spec.ts'
import type { Errno } from '../errno.ts'
import type { Memory } from '../memory.ts'
import type { UserMap } from './map.ts'

/** Hash functions where map_extra does not say how many. */
const DEFAULT_HASHES = 5
/** No filter has fewer bits, and the kernel stops at 2^32; this engine at 64 MiB of them. */
const LEAST_BITS = 64
const MOST_BITS = 2 ** 29

export class BloomFilter implements UserMap {
  readonly spec: MapSpec
  readonly hostValueSize: number
  readonly #memory: Memory
  readonly #seed: number
  readonly #hashes: number
  readonly #bits: Uint32Array
  readonly #mask: number

  constructor(spec: MapSpec, memory: Memory, seed: number) {
    this.spec = spec
    this.hostValueSize = spec.valueSize
    this.#memory = memory
    this.#seed = seed
    this.#hashes = (spec.extra ?? 0) & 15 || DEFAULT_HASHES
    // As the kernel sizes it: entries × hashes / ln 2, with 7/5 for the quotient, rounded up to a power of two.
    const wanted = Math.max(LEAST_BITS, Math.ceil((spec.maxEntries * this.#hashes * 7) / 5))
    const bits = Math.min(MOST_BITS, 2 ** Math.ceil(Math.log2(wanted)))
    this.#bits = new Uint32Array(bits / 32)
    this.#mask = bits - 1
  }

  lookup(): number {
    return 0
  }

  update(): Errno {
    return 'EINVAL'
  }

  delete(): Errno {
    return 'EOPNOTSUPP'
  }

  *keys(): Iterable<number> {}

  push(value: number, flags: bigint): Errno | undefined {
    if (flags !== 0n) return 'EINVAL'
    for (let i = 0; i < this.#hashes; i++) {
      const bit = this.#hash(value, i)
      this.#bits[bit >>> 5] |= 1 << (bit & 31)
    }
    return undefined
  }

  pop(): Errno {
    return 'EOPNOTSUPP'
  }

  /** Whether the value at this address may be there. */
  peek(value: number): Errno | undefined {
    for (let i = 0; i < this.#hashes; i++) {
      const bit = this.#hash(value, i)
      if ((this.#bits[bit >>> 5] & (1 << (bit & 31))) === 0) return 'ENOENT'
    }
    return undefined
  }

  /** FNV-1a with a final mix, once for each hash function. */
  #hash(value: number, index: number): number {
    const { bytes } = this.#memory
    let hash = this.#seed ^ Math.imul(index + 1, 0x9e3779b1)
    for (let at = value; at < value + this.spec.valueSize; at++) hash = Math.imul(hash ^ bytes[at], 0x01000193)
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
    return (hash ^ (hash >>> 16)) & this.#mask
  }
}
