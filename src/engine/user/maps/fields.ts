// Special fields in values: struct bpf_timer and struct bpf_spin_lock, found by the map's BTF (btf_parse_fields in
// kernel/bpf/btf.c). User space and map_update_elem write around them, reading shows zeros in their place, and a
// timer ends with the element that it is in.

import type { BtfId, BtfType } from '../../../btf/types.ts'
import type { MapSpec } from '../../../object/spec.ts'
import type { Errno } from '../errno.ts'
import type { Memory } from '../memory.ts'
import type { UserMap } from './map.ts'

export interface SpecialField {
  readonly kind: 'timer' | 'spin_lock'
  /** In the value, in bytes. */
  readonly offset: number
  readonly size: number
}

const KINDS: Readonly<Record<string, Omit<SpecialField, 'offset'>>> = {
  bpf_timer: { kind: 'timer', size: 16 },
  bpf_spin_lock: { kind: 'spin_lock', size: 4 },
}

/** The special fields of a map's values; none where the map has no types. */
export function specialFields(spec: MapSpec, types: readonly BtfType[]): SpecialField[] {
  const fields: SpecialField[] = []
  const walk = (id: BtfId | undefined, offset: number): void => {
    const type = id ? types[id - 1] : undefined
    if (type?.kind === 'typedef' || type?.kind === 'const' || type?.kind === 'volatile') walk(type.type, offset)
    if (type?.kind !== 'struct') return
    const known = KINDS[type.name]
    if (known) fields.push({ ...known, offset })
    else for (const member of type.members) walk(member.type, offset + member.bitOffset / 8)
  }
  walk(spec.valueType, 0)
  return fields
}

/** Told of elements whose timers end. */
export type Released = (value: number, size: number) => void

/** A map whose values have special fields. */
export class FieldedMap implements UserMap {
  readonly spec: MapSpec
  readonly hostValueSize: number
  readonly fields: readonly SpecialField[]
  readonly #map: UserMap
  readonly #memory: Memory
  readonly #released: Released
  readonly #scratch: number

  constructor(map: UserMap, fields: readonly SpecialField[], memory: Memory, released: Released) {
    this.spec = map.spec
    this.hostValueSize = map.hostValueSize
    this.fields = fields
    this.#map = map
    this.#memory = memory
    this.#released = released
    const hidden = { readable: false, writable: false }
    this.#scratch = memory.allocate({
      name: `a value for map ${map.spec.name}`,
      size: map.hostValueSize,
      ...hidden,
    }).start
  }

  lookup(key: number, touch: boolean): number {
    return this.#map.lookup(key, touch)
  }

  update(key: number, value: number, size: number, flags: bigint): Errno | undefined {
    const { bytes } = this.#memory
    bytes.copyWithin(this.#scratch, value, value + size)
    for (const { offset, size } of this.fields) bytes.fill(0, this.#scratch + offset, this.#scratch + offset + size)
    const old = this.#map.lookup(key, false)
    const errno = this.#map.update(key, this.#scratch, size, flags)
    if (!errno && old !== 0) this.#released(old, this.spec.valueSize)
    return errno
  }

  delete(key: number): Errno | undefined {
    const old = this.#map.lookup(key, false)
    const errno = this.#map.delete(key)
    if (!errno && old !== 0) this.#released(old, this.spec.valueSize)
    return errno
  }

  keys(scratch: number): Iterable<number> {
    return this.#map.keys(scratch)
  }

  /** What user space sees of a value. */
  hide(value: Uint8Array): Uint8Array {
    for (const { offset, size } of this.fields) value.fill(0, offset, offset + size)
    return value
  }
}
