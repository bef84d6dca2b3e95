import { describe, expect, it } from 'vitest'
import { TypeBuilder } from '../btf/build.ts'
import type { BpfMap, Collection } from '../engine/engine.ts'
import { viewMap } from './view.ts'

/** A collection of one map that holds these bytes: a view needs no more of an engine. */
function collection(
  type: 'hash' | 'percpu_hash',
  valueSize: number,
  valueType: number,
  types: TypeBuilder,
  value: Uint8Array,
) {
  const spec = {
    name: 'm',
    type,
    keySize: 4,
    valueSize,
    maxEntries: 8,
    flags: 0,
    keyType: types.int('unsigned int', 4),
    valueType,
  }
  const map = { spec, entries: () => [[Uint8Array.of(1, 0, 0, 0), value]] } as unknown as BpfMap
  return { made: { spec: { types: types.types }, maps: new Map([['m', map]]) } as unknown as Collection, map }
}

describe('a view of a map', () => {
  it('adds up what processors counted apart', () => {
    const types = new TypeBuilder()
    const pair = types.struct('pair', [
      { name: 'a', type: types.int('unsigned int', 4) },
      { name: 'b', type: types.int('unsigned long long', 8) },
    ])
    const bytes = new Uint8Array(32)
    const view = new DataView(bytes.buffer)
    for (const [cpu, [a, b]] of [
      [1, 2n],
      [30, 40n],
    ].entries() as Iterable<[number, [number, bigint]]>) {
      view.setUint32(cpu * 16, a, true)
      view.setBigUint64(cpu * 16 + 8, b, true)
    }
    const { made, map } = collection('percpu_hash', 16, pair, types, bytes)
    expect(viewMap(made, map).entries).toEqual([{ key: 1, value: { a: 31, b: 42n } }])
  })

  it('steps over the padding between the values of processors', () => {
    const types = new TypeBuilder()
    const { made, map } = collection(
      'percpu_hash',
      2,
      types.int('short', 2),
      types,
      Uint8Array.of(1, 0, 9, 9, 9, 9, 9, 9, 2, 0, 9, 9, 9, 9, 9, 9),
    )
    expect(viewMap(made, map).entries).toEqual([{ key: 1, value: 3 }])
  })

  it('shows bytes of an unknown type as hexadecimal text', () => {
    const { made, map } = collection('hash', 2, 0, new TypeBuilder(), Uint8Array.of(0xab, 1))
    const bare = { ...map, spec: { ...map.spec, valueType: undefined } } as BpfMap
    expect(viewMap(made, bare).entries).toEqual([{ key: 1, value: 'ab 01' }])
  })
})
