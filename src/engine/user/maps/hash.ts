// Hash maps: hash, lru_hash, percpu_hash and lru_percpu_hash. Elements are slots; a replaced or deleted one is reused, last
// freed first, as in the kernel's preallocated tables (kernel/bpf/hashtab.c has the error numbers).
// Replacing a value in a hash takes a new slot (one is kept spare for it, where the map is full), so a program
// that looked the old value up still holds the old one; the others write in place. The user engine has one
// CPU, so a percpu_hash has one value a key, padded to 8 bytes for the host. An lru_hash drops exactly
// the element that was used longest ago; the kernel's, which batches by CPU, only nearly so.

import type { MapSpec } from '../../../object/spec.ts'
import type { Errno } from '../errno.ts'
import type { Memory } from '../memory.ts'
import { access, roundUp, UPDATE, type UserMap } from './map.ts'
import { Pool } from './pool.ts'

const NONE = -1

export class HashMap implements UserMap {
  readonly spec: MapSpec
  readonly hostValueSize: number
  readonly #memory: Memory
  readonly #keys: Pool
  readonly #values: Pool
  readonly #seed: number
  readonly #replaces: boolean
  readonly #uses: UseList | undefined
  /** First slot of each bucket, then the next one of each slot. */
  #heads = new Int32Array(16).fill(NONE)
  #next = new Int32Array(16)
  /** The hash of each slot's key; bit 0 of `#live` says whether the slot is in the table. */
  #hashes = new Uint32Array(16)
  #live = new Uint8Array(16)
  #free: number[] = []
  #used = 0
  #count = 0

  /** `seed` makes the order in buckets unpredictable to whoever chooses the keys. */
  constructor(spec: MapSpec, memory: Memory, seed: number) {
    this.spec = spec
    this.#memory = memory
    this.#seed = seed
    const percpu = spec.type === 'percpu_hash' || spec.type === 'lru_percpu_hash'
    this.#replaces = spec.type === 'hash'
    this.#uses = spec.type === 'lru_hash' || spec.type === 'lru_percpu_hash' ? new UseList() : undefined
    this.hostValueSize = percpu ? roundUp(spec.valueSize, 8) : spec.valueSize
    const count = spec.maxEntries + (this.#replaces ? 1 : 0)
    const { name, keySize, valueSize } = spec
    this.#keys = new Pool(memory, {
      name: `a key of map ${name}`,
      itemSize: keySize,
      count,
      readable: true,
      writable: false,
    })
    this.#values = new Pool(memory, { name: `a value of map ${name}`, itemSize: valueSize, count, ...access(spec) })
  }

  lookup(key: number, touch: boolean): number {
    const slot = this.#find(key, this.#hash(key))
    if (slot === NONE) return 0
    if (touch) this.#uses?.touch(slot)
    return this.#values.at(slot)
  }

  update(key: number, value: number, size: number, flags: bigint): Errno | undefined {
    if (flags > UPDATE.exist) return 'EINVAL'
    const hash = this.#hash(key)
    const old = this.#find(key, hash)
    if (old !== NONE && flags === BigInt(UPDATE.noexist)) return 'EEXIST'
    if (old === NONE && flags === BigInt(UPDATE.exist)) return 'ENOENT'
    if (old !== NONE && !this.#replaces) {
      this.#write(this.#values.at(old), value, size)
      this.#uses?.touch(old)
      return undefined
    }
    if (old === NONE && this.#count === this.spec.maxEntries) {
      if (!this.#uses) return 'E2BIG'
      this.#remove(this.#uses.oldest)
    }
    const slot = this.#take()
    this.#write(this.#keys.at(slot), key, this.spec.keySize)
    this.#write(this.#values.at(slot), value, size)
    if (old !== NONE) this.#remove(old)
    this.#insert(slot, hash)
    return undefined
  }

  delete(key: number): Errno | undefined {
    const slot = this.#find(key, this.#hash(key))
    if (slot === NONE) return 'ENOENT'
    this.#remove(slot)
    return undefined
  }

  *keys(): Iterable<number> {
    for (let slot = 0; slot < this.#used; slot++) if (this.#live[slot]) yield this.#keys.at(slot)
  }

  #write(to: number, from: number, size: number): void {
    this.#memory.bytes.copyWithin(to, from, from + size)
  }

  /** FNV-1a by 32-bit words, then by bytes, with a final mix (the low bits choose the bucket). */
  #hash(key: number): number {
    const { view } = this.#memory
    const end = key + this.spec.keySize
    let hash = this.#seed
    let at = key
    for (; at + 4 <= end; at += 4) hash = Math.imul(hash ^ view.getUint32(at, true), 0x01000193)
    for (; at < end; at++) hash = Math.imul(hash ^ view.getUint8(at), 0x01000193)
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
    return (hash ^ (hash >>> 13)) >>> 0
  }

  #find(key: number, hash: number): number {
    let slot = this.#heads[hash & (this.#heads.length - 1)]
    while (slot !== NONE && !(this.#hashes[slot] === hash && this.#sameKey(this.#keys.at(slot), key))) {
      slot = this.#next[slot]
    }
    return slot
  }

  #sameKey(a: number, b: number): boolean {
    const { bytes } = this.#memory
    for (let i = 0; i < this.spec.keySize; i++) if (bytes[a + i] !== bytes[b + i]) return false
    return true
  }

  #take(): number {
    const slot = this.#free.pop() ?? this.#used++
    if (slot >= this.#next.length) this.#widen()
    return slot
  }

  #insert(slot: number, hash: number): void {
    this.#hashes[slot] = hash
    this.#live[slot] = 1
    this.#count++
    this.#uses?.add(slot)
    if (this.#count > this.#heads.length) this.#rehash()
    else this.#link(slot)
  }

  #remove(slot: number): void {
    const bucket = this.#hashes[slot] & (this.#heads.length - 1)
    if (this.#heads[bucket] === slot) this.#heads[bucket] = this.#next[slot]
    else {
      let before = this.#heads[bucket]
      while (this.#next[before] !== slot) before = this.#next[before]
      this.#next[before] = this.#next[slot]
    }
    this.#live[slot] = 0
    this.#count--
    this.#uses?.drop(slot)
    this.#free.push(slot)
  }

  #link(slot: number): void {
    const bucket = this.#hashes[slot] & (this.#heads.length - 1)
    this.#next[slot] = this.#heads[bucket]
    this.#heads[bucket] = slot
  }

  #rehash(): void {
    this.#heads = new Int32Array(this.#heads.length * 2).fill(NONE)
    for (let slot = 0; slot < this.#used; slot++) if (this.#live[slot]) this.#link(slot)
  }

  #widen(): void {
    const length = this.#next.length * 2
    this.#next = widened(this.#next, new Int32Array(length))
    this.#hashes = widened(this.#hashes, new Uint32Array(length))
    this.#live = widened(this.#live, new Uint8Array(length))
  }
}

const widened = <T extends Int32Array | Uint32Array | Uint8Array>(old: T, wide: T): T => {
  wide.set(old)
  return wide
}

/** Slots in the order of their last use: a JavaScript Set keeps the order of insertion. */
class UseList {
  readonly #order = new Set<number>()

  add(slot: number): void {
    this.#order.add(slot)
  }

  touch(slot: number): void {
    this.#order.delete(slot)
    this.#order.add(slot)
  }

  drop(slot: number): void {
    this.#order.delete(slot)
  }

  /** NONE if empty. */
  get oldest(): number {
    for (const slot of this.#order) return slot
    return NONE
  }
}
