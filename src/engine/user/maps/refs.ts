// Maps that refer to maps and to programs: array_of_maps, hash_of_maps and prog_array (fd_array_* in
// kernel/bpf/arraymap.c, hash_of_maps in hashtab.c, map_in_map.c). In the kernel user space writes a file descriptor
// and reads an id; here it gives a name, and reads an id that this engine numbers itself.

import { Diagnostic } from '../../../diag/diagnostic.ts'
import type { MapSpec } from '../../../object/spec.ts'
import type { ProgTypeName } from '../../../spec/names.ts'
import type { Code } from '../code.ts'
import type { Errno } from '../errno.ts'
import type { Memory } from '../memory.ts'
import { HashMap } from './hash.ts'
import type { UserMap } from './map.ts'

/** What an element can refer to. */
export type Referent = MapReferent | ProgramReferent

export interface MapReferent {
  readonly kind: 'map'
  readonly spec: MapSpec
  /** As get() gives it. */
  readonly id: number
  /** What a program's look-up gives. */
  readonly handle: number
}

export interface ProgramReferent {
  readonly kind: 'program'
  readonly spec: { readonly name: string; readonly type: ProgTypeName }
  readonly id: number
  readonly code: Code
}

/** A map whose elements are references. */
export interface RefMap extends UserMap {
  /** What the element refers to. */
  refAt(key: number): Referent | undefined
  setRef(key: number, to: Referent, flags: bigint): Errno | undefined
}

/** BPF_F_INNER_MAP: an array that may have any number of elements as an inner map. */
const INNER_MAP = 4096

/** bpf_map_meta_equal and array_map_meta_equal: whether `map` may be in a map of maps whose template is `inner`. */
const fits = (inner: MapSpec | undefined, map: MapSpec): boolean =>
  inner !== undefined &&
  inner.type === map.type &&
  inner.keySize === map.keySize &&
  inner.valueSize === map.valueSize &&
  inner.flags === map.flags &&
  (inner.type !== 'array' || (inner.flags & INNER_MAP) !== 0 || inner.maxEntries === map.maxEntries)

/** array_of_maps and prog_array. */
export class RefArray implements RefMap {
  readonly spec: MapSpec
  readonly hostValueSize = 4
  readonly #memory: Memory
  readonly #refs: (Referent | undefined)[]
  /** The type of the programs that use a prog_array and are in it: the first decides. */
  #owner: ProgTypeName | undefined

  constructor(spec: MapSpec, memory: Memory) {
    this.spec = spec
    this.#memory = memory
    this.#refs = new Array(spec.maxEntries).fill(undefined)
  }

  /** A program of this type uses the map. Whether it may (bpf_prog_map_compatible). */
  usedBy(type: ProgTypeName): boolean {
    this.#owner ??= type
    return this.#owner === type
  }

  lookup(key: number): number {
    const ref = this.refAt(key)
    return ref?.kind === 'map' ? ref.handle : 0
  }

  /** A file descriptor, which means nothing here. */
  update(key: number, _value: number, _size: number, flags: bigint): Errno {
    return this.#mayWrite(key, flags) ?? 'EBADF'
  }

  delete(key: number): Errno | undefined {
    const index = this.#index(key)
    if (index >= this.spec.maxEntries) return 'E2BIG'
    if (!this.#refs[index]) return 'ENOENT'
    this.#refs[index] = undefined
    return undefined
  }

  *keys(scratch: number): Iterable<number> {
    for (let index = 0; index < this.spec.maxEntries; index++) {
      this.#memory.view.setUint32(scratch, index, true)
      yield scratch
    }
  }

  refAt(key: number): Referent | undefined {
    return this.at(this.#index(key))
  }

  /** What element `index` refers to. */
  at(index: number): Referent | undefined {
    return this.#refs[index]
  }

  setRef(key: number, to: Referent, flags: bigint): Errno | undefined {
    const errno = this.#mayWrite(key, flags)
    if (errno) return errno
    const programs = this.spec.type === 'prog_array'
    if (programs !== (to.kind === 'program')) return 'EINVAL'
    if (to.kind === 'program' ? !this.usedBy(to.spec.type) : !fits(this.spec.inner, to.spec)) return 'EINVAL'
    this.#refs[this.#index(key)] = to
    return undefined
  }

  #mayWrite(key: number, flags: bigint): Errno | undefined {
    if (flags !== 0n) return 'EINVAL'
    return this.#index(key) >= this.spec.maxEntries ? 'E2BIG' : undefined
  }

  #index(key: number): number {
    return this.#memory.view.getUint32(key, true)
  }
}

/** hash_of_maps: a hash of the handles of maps. */
export class RefHash implements RefMap {
  readonly spec: MapSpec
  readonly hostValueSize = 4
  readonly #memory: Memory
  readonly #handles: HashMap
  readonly #byHandle = new Map<number, Referent>()
  readonly #scratch: number

  constructor(spec: MapSpec, memory: Memory, seed: number) {
    this.spec = spec
    this.#memory = memory
    this.#handles = new HashMap({ ...spec, type: 'hash' }, memory, seed)
    this.#scratch = memory.allocate({ name: 'a handle', size: 4, readable: false, writable: false }).start
  }

  lookup(key: number): number {
    const at = this.#handles.lookup(key, false)
    return at === 0 ? 0 : this.#memory.view.getUint32(at, true)
  }

  update(): Errno {
    return 'EBADF'
  }

  delete(key: number): Errno | undefined {
    return this.#handles.delete(key)
  }

  keys(): Iterable<number> {
    return this.#handles.keys()
  }

  refAt(key: number): Referent | undefined {
    return this.#byHandle.get(this.lookup(key))
  }

  setRef(key: number, to: Referent, flags: bigint): Errno | undefined {
    if (to.kind !== 'map' || !fits(this.spec.inner, to.spec)) return 'EINVAL'
    this.#byHandle.set(to.handle, to)
    this.#memory.view.setUint32(this.#scratch, to.handle, true)
    return this.#handles.update(key, this.#scratch, 4, flags)
  }
}

export const isRefMap = (map: UserMap): map is RefMap => 'setRef' in map

/** What is wrong with the template of a map of maps, if anything (bpf_map_meta_alloc). */
export function wrongInner({ inner }: MapSpec): string | undefined {
  if (!inner) return 'a map of maps needs a template, `inner`, that says what its maps look like'
  if (inner.type === 'array_of_maps' || inner.type === 'hash_of_maps') return 'maps of maps do not nest any deeper'
  return undefined
}

export const noSuchRef = (map: string, name: string, help: string): Diagnostic =>
  new Diagnostic({
    code: 'user/no-such-ref',
    message: `map ${map} can't refer to ${name}: the object has no map or program of that name`,
    help,
    errno: 'EBADF',
  })
