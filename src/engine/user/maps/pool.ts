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
  /** A slab has 2 to the power of this items. */
  readonly #shift: number
  /** Start addresses. */
  readonly #slabs: number[] = []

  constructor(memory: Memory, init: PoolInit) {
    this.#memory = memory
    this.#init = init
    this.#header = init.header ?? 0
    this.#stride = roundUp(init.itemSize, 8) + this.#header
    const most = Math.max(1, Math.min(MAX_PER_SLAB, Math.floor(SLAB_BYTES / this.#stride), init.count))
    this.#shift = Math.floor(Math.log2(most))
  }

  /** Address of item `index`. Throws a Diagnostic (ENOMEM) when the memory is used up. */
  at(index: number): number {
    const slab = index >>> this.#shift
    while (slab >= this.#slabs.length) this.#slabs.push(this.#allocate())
    return this.#slabs[slab] + (index & ((1 << this.#shift) - 1)) * this.#stride + this.#header
  }

  #allocate(): number {
    const { name, itemSize, readable, writable } = this.#init
    return this.#memory.allocate({
      name,
      size: this.#stride << this.#shift,
      readable,
      writable,
      items: { stride: this.#stride, size: itemSize, header: this.#header },
    }).start
  }
}
