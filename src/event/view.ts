// MapView: a map's contents as values instead of bytes, read through the object's BTF. What reports, exporters
// and the SDK show is made from these.

import type { BtfType } from '../btf/types.ts'
import type { BpfMap, Collection, EventSource } from '../engine/engine.ts'
import { decoder, type Value } from './decode.ts'

export interface MapEntry {
  readonly key: Value
  readonly value: Value
}

export interface MapView {
  readonly name: string
  /** In the order in which the map gave them. */
  readonly entries: readonly MapEntry[]
  /** What the program could not store because the map was full; undefined if it does not count that. */
  readonly lost: bigint | undefined
}

/** Map types whose elements are data under keys: the others hold references, or give each element once only. */
const TABLES: ReadonlySet<string> = new Set([
  'hash',
  'array',
  'lru_hash',
  'percpu_hash',
  'percpu_array',
  'lru_percpu_hash',
  'lpm_trie',
])

/** The maps that a user wants to see: those that hold data and that the compiler did not make for itself. */
export const shownMaps = (collection: Collection): BpfMap[] =>
  [...collection.maps.values()].filter(({ spec }) => !spec.internal && TABLES.has(spec.type))

/** The maps that send events. */
export const eventMaps = (collection: Collection): BpfMap[] =>
  [...collection.maps.values()].filter(({ spec }) => !spec.internal && spec.type === 'ringbuf')

/** Everything in a map now. Types that the object does not know are shown as hexadecimal text. */
export function viewMap(collection: Collection, map: BpfMap): MapView {
  const { spec } = map
  const key = decoderOf(collection.spec.types, spec.keyType)
  const value = valueDecoder(collection, map)
  const entries: MapEntry[] = []
  for (const [k, v] of map.entries()) entries.push({ key: key(k), value: value(v) })
  return { name: spec.name, entries, lost: lostOf(collection, map) }
}

/** Values of a per-CPU map come as one for each possible processor, each at a multiple of eight bytes (bpf(2)). */
function valueDecoder(collection: Collection, { spec }: BpfMap): (bytes: Uint8Array) => Value {
  const decode = decoderOf(collection.spec.types, spec.valueType)
  if (!spec.type.includes('percpu')) return decode
  const stride = Math.ceil(spec.valueSize / 8) * 8
  return (bytes) => {
    const values: Value[] = []
    for (let at = 0; at < bytes.length; at += stride) values.push(decode(bytes.subarray(at, at + spec.valueSize)))
    return values.reduce(sum)
  }
}

/** What processors counted apart is one count: numbers add up, structs member by member; the rest is as the first has it. */
function sum(a: Value, b: Value): Value {
  if (typeof a === 'number' && typeof b === 'number') return a + b
  if (typeof a === 'bigint' && typeof b === 'bigint') return BigInt.asUintN(64, a + b)
  if (!isMembers(a) || !isMembers(b)) return a
  return Object.fromEntries(Object.entries(a).map(([name, part]) => [name, sum(part, b[name])]))
}

const isMembers = (value: Value): value is { readonly [name: string]: Value } =>
  typeof value === 'object' && !Array.isArray(value)

/** The counter that the program keeps for what it could not store in this map. */
export function lostOf(collection: Collection, { spec }: BpfMap): bigint | undefined {
  const { lost } = spec
  if (!lost) return undefined
  const bytes = collection.maps.get(lost.map)?.get(new Uint8Array(4))
  return bytes && new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(lost.offset, true)
}

/** A ring buffer's records as values. */
export function typedEvents(
  collection: Collection,
  map: BpfMap,
): { source: EventSource; decode: (record: Uint8Array) => Value } {
  return { source: map.events(), decode: decoderOf(collection.spec.types, map.spec.valueType) }
}

function decoderOf(types: readonly BtfType[], id: number | undefined): (bytes: Uint8Array) => Value {
  if (id !== undefined) return decoder(types, id)
  return (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ')
}
