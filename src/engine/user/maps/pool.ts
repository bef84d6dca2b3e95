// Pool: room for the equally sized items of a map, taken from the linear memory in slabs as it is needed, so
// that a map of a million possible entries costs what it holds. An item never moves: programs keep addresses.

import type { Memory } from '../memory.ts'
import { roundUp } from './map.ts'

const SLAB_BYTES = 65536
const MAX_PER_SLAB = 1024

export interface PoolInit {
  readonly name: string
  /** Bytes of an item, and how many there may be. */
  readonly itemSize: number
  readonly count: number
  /** Bytes before each item that are the engine's own, a multiple of 8; 0 if absent. */
  readonly header?: number
  readonly readable: boolean
  readonly writable: boolean
}

export class Pool {
  readonly #memory: Memory
  readonly #init: PoolInit
  readonly #stride: number
  readonly #header: number
  readonly #perSlab: number
  /** Start addresses. */
  readonly #slabs: number[] = []

  constructor(memory: Memory, init: PoolInit) {
    this.#memory = memory
    this.#init = init
    this.#header = init.header ?? 0
    this.#stride = roundUp(init.itemSize, 8) + this.#header
    this.#perSlab = Math.max(1, Math.min(MAX_PER_SLAB, Math.floor(SLAB_BYTES / this.#stride), init.count))
  }

  /** Address of item `index`. Throws a Diagnostic (ENOMEM) when the memory is used up. */
  at(index: number): number {
    const slab = Math.floor(index / this.#perSlab)
    while (slab >= this.#slabs.length) this.#slabs.push(this.#allocate())
    return this.#slabs[slab] + (index % this.#perSlab) * this.#stride + this.#header
  }

  #allocate(): number {
    const { name, itemSize, readable, writable } = this.#init
    return this.#memory.allocate({
      name,
      size: this.#stride * this.#perSlab,
      readable,
      writable,
      items: { stride: this.#stride, size: itemSize, header: this.#header },
    }).start
  }
}
