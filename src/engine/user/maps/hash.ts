// Hash maps: hash, lru_hash, percpu_hash and lru_percpu_hash. Elements are slots; a replaced or deleted one is reused, last
// freed first, as in the kernel's preallocated tables (kernel/bpf/hashtab.c has the error numbers).
// Replacing a value in a hash takes a new slot (one is kept spare for it, where the map is full), so a program
// that looked the old value up still holds the old one; the others write in place. The user engine has one
// CPU, so a percpu_hash has one value a key, padded to 8 bytes for the host. An lru_hash drops exactly
// the element that was used longest ago; the kernel's, which batches by CPU, only nearly so.
//
// The index is in the linear memory too, so that look-ups can be compiled into programs (jit/lookup.ts): at
// `layout.table` the words of TABLE, at its `heads` the address of the first node of each bucket; a node is an element's
// words of NODE and its key. 0 ends a bucket.

import type { MapSpec } from '../../../object/spec.ts'
import type { Errno } from '../errno.ts'
import type { Memory } from '../memory.ts'
import { access, type Layout, roundUp, UPDATE, type UserMap } from './map.ts'
import { Pool } from './pool.ts'

/** Offsets of the words at `layout.table`: the address of the heads, and their number less 1. */
export const TABLE = { heads: 0, mask: 4, size: 8 } as const
/** Offsets in a node. */
export const NODE = { next: 0, hash: 4, value: 8, slot: 12, key: 16 } as const
/** The steps of the hash: each 32-bit word of the key, then the mix that lets all its bits choose the bucket. */
export const HASH = { prime: 0x01000193, shift: 15, mix: 0x2c1b3c6d, last: 13 } as const
const MIN_HEADS = 16
/** So many heads a map has at once if it may hold as many elements; more it gets when it holds them. */
const MAX_FIRST_HEADS = 1024

const NONE = -1

export class HashMap implements UserMap {
  readonly spec: MapSpec
  readonly hostValueSize: number
  readonly layout: Layout | undefined
  readonly #memory: Memory
  readonly #keySize: number
  readonly #keys: Pool
  readonly #values: Pool
  readonly #seed: number
  readonly #replaces: boolean
  readonly #uses: UseList | undefined
  /** Address of the words of TABLE. */
  readonly #table: number
  #heads = 0
  #mask = 0
  /** Whether a slot is in the table. */
  #live = new Uint8Array(16)
  #free: number[] = []
  #used = 0
  #count = 0

  /** `seed` makes the order in buckets unpredictable to whoever chooses the keys. */
  constructor(spec: MapSpec, memory: Memory, seed: number) {
    this.spec = spec
    this.#memory = memory
    this.#keySize = spec.keySize
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
      header: NODE.key,
    })
    this.#values = new Pool(memory, { name: `a value of map ${name}`, itemSize: valueSize, count, ...access(spec) })
    this.#table = this.#hidden(TABLE.size)
    const heads = 2 ** Math.ceil(Math.log2(Math.min(spec.maxEntries, MAX_FIRST_HEADS)))
    this.#rehash(Math.max(MIN_HEADS, heads))
    this.layout = this.#uses ? undefined : { kind: 'hash', table: this.#table, seed }
  }

  lookup(key: number, touch: boolean): number {
    const node = this.#find(key, this.#hash(key))
    if (node === 0) return 0
    const { view } = this.#memory
    if (touch) this.#uses?.touch(view.getUint32(node + NODE.slot, true))
    return view.getUint32(node + NODE.value, true)
  }

  update(key: number, value: number, size: number, flags: bigint): Errno | undefined {
    return this.put(key, value, size, Number(flags))
  }

  put(key: number, value: number, size: number, flags: number): Errno | undefined {
    if (flags > UPDATE.exist) return 'EINVAL'
    const hash = this.#hash(key)
    const old = this.#find(key, hash)
    if (old !== 0 && flags === UPDATE.noexist) return 'EEXIST'
    if (old === 0 && flags === UPDATE.exist) return 'ENOENT'
    if (old !== 0 && !this.#replaces) {
      const { view } = this.#memory
      this.#memory.bytes.copyWithin(view.getUint32(old + NODE.value, true), value, value + size)
      this.#uses?.touch(view.getUint32(old + NODE.slot, true))
      return undefined
    }
    if (old === 0 && this.#count === this.spec.maxEntries) {
      if (!this.#uses) return 'E2BIG'
      this.#remove(this.#nodeOf(this.#uses.oldest))
    }
    const slot = this.#take()
    const node = this.#nodeOf(slot)
    const to = this.#values.at(slot)
    // Only now: making room may have replaced the bytes.
    const { view } = this.#memory
    this.#copy(node + NODE.key, key, this.#keySize)
    this.#copy(to, value, size)
    view.setUint32(node + NODE.hash, hash, true)
    view.setUint32(node + NODE.value, to, true)
    view.setUint32(node + NODE.slot, slot, true)
    if (old !== 0) this.#remove(old)
    this.#insert(node, slot)
    return undefined
  }

  delete(key: number): Errno | undefined {
    const node = this.#find(key, this.#hash(key))
    if (node === 0) return 'ENOENT'
    this.#remove(node)
    return undefined
  }

  *keys(): Iterable<number> {
    for (let slot = 0; slot < this.#used; slot++) if (this.#live[slot]) yield this.#keys.at(slot)
  }

  /** By 32-bit words as FNV-1a by bytes, then by bytes, with a final mix (the low bits choose the bucket). */
  #hash(key: number): number {
    const { view } = this.#memory
    const end = key + this.#keySize
    let hash = this.#seed
    let at = key
    for (; at + 4 <= end; at += 4) hash = Math.imul(hash ^ view.getUint32(at, true), HASH.prime)
    for (; at < end; at++) hash = Math.imul(hash ^ view.getUint8(at), HASH.prime)
    hash = Math.imul(hash ^ (hash >>> HASH.shift), HASH.mix)
    return (hash ^ (hash >>> HASH.last)) >>> 0
  }

  /** Address of the element's node, or 0. */
  #find(key: number, hash: number): number {
    const { view } = this.#memory
    let node = view.getUint32(this.#headOf(hash), true)
    while (node !== 0 && !(view.getUint32(node + NODE.hash, true) === hash && this.#sameKey(node + NODE.key, key))) {
      node = view.getUint32(node + NODE.next, true)
    }
    return node
  }

  /** Keys and values mostly have few bytes: a loop over words beats copyWithin. */
  #copy(to: number, from: number, size: number): void {
    const { bytes, view } = this.#memory
    if (size > 32) {
      bytes.copyWithin(to, from, from + size)
      return
    }
    const end = to + size
    for (; to + 4 <= end; to += 4, from += 4) view.setUint32(to, view.getUint32(from, true), true)
    for (; to < end; to++, from++) bytes[to] = bytes[from]
  }

  #sameKey(a: number, b: number): boolean {
    const { bytes, view } = this.#memory
    const end = a + this.#keySize
    for (; a + 4 <= end; a += 4, b += 4) if (view.getUint32(a, true) !== view.getUint32(b, true)) return false
    for (; a < end; a++, b++) if (bytes[a] !== bytes[b]) return false
    return true
  }

  #nodeOf(slot: number): number {
    return this.#keys.at(slot) - NODE.key
  }

  #headOf(hash: number): number {
    return this.#heads + (hash & this.#mask) * 4
  }

  #take(): number {
    const slot = this.#free.pop() ?? this.#used++
    if (slot >= this.#live.length) {
      const live = new Uint8Array(this.#live.length * 2)
      live.set(this.#live)
      this.#live = live
    }
    return slot
  }

  #insert(node: number, slot: number): void {
    this.#live[slot] = 1
    this.#count++
    this.#uses?.add(slot)
    if (this.#count > this.#mask + 1) this.#rehash((this.#mask + 1) * 2)
    else this.#link(node)
  }

  #remove(node: number): void {
    const { view } = this.#memory
    const next = view.getUint32(node + NODE.next, true)
    const head = this.#headOf(view.getUint32(node + NODE.hash, true))
    let before = view.getUint32(head, true)
    if (before === node) view.setUint32(head, next, true)
    else {
      while (view.getUint32(before + NODE.next, true) !== node) before = view.getUint32(before + NODE.next, true)
      view.setUint32(before + NODE.next, next, true)
    }
    const slot = view.getUint32(node + NODE.slot, true)
    this.#live[slot] = 0
    this.#count--
    this.#uses?.drop(slot)
    this.#free.push(slot)
  }

  #link(node: number): void {
    const { view } = this.#memory
    const head = this.#headOf(view.getUint32(node + NODE.hash, true))
    view.setUint32(node + NODE.next, view.getUint32(head, true), true)
    view.setUint32(head, node, true)
  }

  #rehash(heads: number): void {
    this.#heads = this.#hidden(heads * 4)
    this.#mask = heads - 1
    const { view } = this.#memory
    view.setUint32(this.#table + TABLE.heads, this.#heads, true)
    view.setUint32(this.#table + TABLE.mask, this.#mask, true)
    for (let slot = 0; slot < this.#used; slot++) if (this.#live[slot]) this.#link(this.#nodeOf(slot))
  }

  /** Address of zeros that programs may not touch. */
  #hidden(size: number): number {
    const name = `the index of map ${this.spec.name}`
    return this.#memory.allocate({ name, size, readable: false, writable: false }).start
  }
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
