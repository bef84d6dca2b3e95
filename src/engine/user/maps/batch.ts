// Which map types bpf(2) takes in batches, and which batch commands it has for each (the map_*_batch members of the
// kernel's bpf_map_ops: BATCH_OPS in hashtab.c, arraymap.c, lpm_trie.c and sock_map.c).

import type { MapTypeName } from '../../../spec/names.ts'
import type { BatchCursor } from '../../engine.ts'

export interface Batching {
  readonly lookup: boolean
  readonly take: boolean
  readonly update: boolean
  readonly delete: boolean
}

const ALL: Batching = { lookup: true, take: true, update: true, delete: true }
const NONE: Batching = { lookup: false, take: false, update: false, delete: false }
const FIXED: Batching = { ...NONE, lookup: true, update: true }

const BATCHING: { readonly [type in MapTypeName]?: Batching } = {
  hash: ALL,
  percpu_hash: ALL,
  lru_hash: ALL,
  lru_percpu_hash: ALL,
  hash_of_maps: ALL,
  array: FIXED,
  percpu_array: FIXED,
  array_of_maps: FIXED,
  lpm_trie: { ...ALL, take: false },
  sockmap: { ...NONE, lookup: true },
  sockhash: { ...NONE, lookup: true },
}

export const batching = (type: MapTypeName): Batching => BATCHING[type] ?? NONE

/** A pass over the keys that were there when it began. */
export class UserCursor implements BatchCursor {
  readonly engine = 'user'
  readonly #keys: readonly Uint8Array[]
  #at = 0

  constructor(keys: readonly Uint8Array[]) {
    this.#keys = keys
  }

  get done(): boolean {
    return this.#at >= this.#keys.length
  }

  next(): Uint8Array | undefined {
    return this.#keys[this.#at++]
  }
}
