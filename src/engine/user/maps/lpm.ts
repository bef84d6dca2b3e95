// LPM trie (kernel/bpf/lpm_trie.c, Documentation/bpf/map_lpm_trie.rst): a key is a u32 prefix length in host order and
// as many bits of data, most significant first; a look-up finds the longest prefix that there is. A
// binary trie whose inner nodes exist only where two prefixes part; nodes without a value hold it together.

import type { MapSpec } from '../../../object/spec.ts'
import type { Errno } from '../errno.ts'
import type { Memory } from '../memory.ts'
import { access, UPDATE, type UserMap } from './map.ts'
import { Pool } from './pool.ts'

const NONE = -1
/** Where a link to a node is kept: in the root, or in a child of a node. */
interface Link {
  readonly parent: number
  readonly side: number
}
const ROOT: Link = { parent: NONE, side: 0 }

interface TrieNode {
  /** Bits. */
  length: number
  /** Whether it has a value, or only holds two others together. */
  live: boolean
  readonly children: [number, number]
}

export class LpmTrie implements UserMap {
  readonly spec: MapSpec
  readonly hostValueSize: number
  readonly #memory: Memory
  readonly #keys: Pool
  readonly #values: Pool
  readonly #nodes: TrieNode[] = []
  readonly #free: number[] = []
  readonly #maxLength: number
  #root = NONE
  #count = 0

  constructor(spec: MapSpec, memory: Memory) {
    this.spec = spec
    this.hostValueSize = spec.valueSize
    this.#memory = memory
    this.#maxLength = (spec.keySize - 4) * 8
    // As many nodes without a value as there are with one, and one while a value is replaced.
    const count = 2 * spec.maxEntries + 1
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

  lookup(key: number): number {
    const length = this.#lengthOf(key)
    if (length > this.#maxLength) return 0
    let found = NONE
    for (let at = this.#root; at !== NONE; ) {
      const node = this.#nodes[at]
      const common = this.#common(at, key, length)
      if (common < node.length) break
      if (node.live) found = at
      if (common === this.#maxLength) break
      at = node.children[this.#bit(key, node.length)]
    }
    return found === NONE ? 0 : this.#values.at(found)
  }

  update(key: number, value: number, size: number, flags: bigint): Errno | undefined {
    if (flags > UPDATE.exist) return 'EINVAL'
    const length = this.#lengthOf(key)
    if (length > this.#maxLength) return 'EINVAL'
    const { link, at, common } = this.#descend(key, length)
    const same = at !== NONE && common === length && this.#nodes[at].length === length
    const errno = this.#mayWrite(same && this.#nodes[at].live, flags)
    if (errno) return errno
    const fresh = this.#take(length, true)
    this.#copy(this.#keys.at(fresh), key, this.spec.keySize)
    this.#copy(this.#values.at(fresh), value, size)
    const node = this.#nodes[fresh]
    if (at === NONE) this.#set(link, fresh)
    else if (same) {
      // A node of its own, so that a program that looked the old value up still holds the old one.
      const old = this.#nodes[at]
      node.children[0] = old.children[0]
      node.children[1] = old.children[1]
      if (old.live) this.#count--
      this.#set(link, fresh)
      this.#free.push(at)
    } else if (common === length) {
      node.children[this.#bit(this.#keys.at(at), common)] = at
      this.#set(link, fresh)
    } else {
      const fork = this.#take(common, false)
      this.#copy(this.#keys.at(fork), this.#keys.at(at), this.spec.keySize)
      const side = this.#bit(key, common)
      this.#nodes[fork].children[side] = fresh
      this.#nodes[fork].children[1 - side] = at
      this.#set(link, fork)
    }
    this.#count++
    return undefined
  }

  delete(key: number): Errno | undefined {
    const length = this.#lengthOf(key)
    if (length > this.#maxLength) return 'EINVAL'
    const { link, above, at, common } = this.#descend(key, length)
    if (at === NONE || common !== length) return 'ENOENT'
    const node = this.#nodes[at]
    if (node.length !== length || !node.live) return 'ENOENT'
    this.#count--
    const [left, right] = node.children
    if (left !== NONE && right !== NONE) {
      node.live = false
      return undefined
    }
    const only = left === NONE ? right : left
    this.#free.push(at)
    const parent = this.#nodes[link.parent]
    if (only === NONE && parent && !parent.live) {
      // The node that held this one and its sibling together has nothing to hold any more.
      this.#set(above, parent.children[1 - link.side])
      this.#free.push(link.parent)
    } else this.#set(link, only)
    return undefined
  }

  *keys(): Iterable<number> {
    const stack = [this.#root]
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      if (at === NONE) continue
      const node = this.#nodes[at]
      stack.push(...node.children)
      if (node.live) yield this.#keys.at(at)
    }
  }

  #mayWrite(there: boolean, flags: bigint): Errno | undefined {
    if (there) return flags === BigInt(UPDATE.noexist) ? 'EEXIST' : undefined
    if (flags === BigInt(UPDATE.exist)) return 'ENOENT'
    return this.#count === this.spec.maxEntries ? 'ENOSPC' : undefined
  }

  /** Down to where the key parts from what is there: the link that leads there, the link above it, and the node. */
  #descend(key: number, length: number): { link: Link; above: Link; at: number; common: number } {
    let above = ROOT
    let link = ROOT
    let at = this.#root
    let common = 0
    while (at !== NONE) {
      const node = this.#nodes[at]
      common = this.#common(at, key, length)
      if (node.length !== common || node.length === length) break
      const side = this.#bit(key, node.length)
      above = link
      link = { parent: at, side }
      at = node.children[side]
    }
    return { link, above, at, common }
  }

  #set({ parent, side }: Link, to: number): void {
    if (parent === NONE) this.#root = to
    else this.#nodes[parent].children[side] = to
  }

  #take(length: number, live: boolean): number {
    const at = this.#free.pop() ?? this.#nodes.length
    this.#nodes[at] = { length, live, children: [NONE, NONE] }
    return at
  }

  /** How many leading bits a node and a key have in common, at most the shorter of the two. */
  #common(at: number, key: number, length: number): number {
    const { bytes } = this.#memory
    const limit = Math.min(this.#nodes[at].length, length)
    const own = this.#keys.at(at) + 4
    const data = key + 4
    for (let bits = 0; bits < limit; bits += 8) {
      const difference = bytes[own + (bits >> 3)] ^ bytes[data + (bits >> 3)]
      if (difference !== 0) return Math.min(limit, bits + Math.clz32(difference) - 24)
    }
    return limit
  }

  #bit(key: number, index: number): 0 | 1 {
    return ((this.#memory.bytes[key + 4 + (index >> 3)] >> (7 - (index & 7))) & 1) as 0 | 1
  }

  #lengthOf(key: number): number {
    return this.#memory.view.getUint32(key, true)
  }

  #copy(to: number, from: number, size: number): void {
    this.#memory.bytes.copyWithin(to, from, from + size)
  }
}
