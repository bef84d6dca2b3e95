// bpf(2): one method for each command that the engine uses, typed and thin. All of them return what the kernel
// returned or the negative errno; what an errno means to the user is the caller's business (errors.ts). Layouts of
// the attributes come from the kernel's own BTF (union bpf_attr, include/uapi/linux/bpf.h).

import { ATTR, CMDS } from '../../spec/gen/uapi.ts'
import type { Sys } from './sys.ts'

/** A field of an attribute: bytes from its start. */
interface Slot {
  readonly offset: number
  readonly size: number
}
/** The fields of a struct by name; those of structs within it are apart, under the name of that struct. */
type Layout = Readonly<Record<string, Slot | Readonly<Record<string, Slot>>>>
type FieldOf<L extends Layout> = { [F in keyof L]: L[F] extends Slot ? F : never }[keyof L] & string
/** A number for a scalar; bytes for a pointer (by reference) or for a char array (by value). */
type Values<L extends Layout> = { readonly [F in FieldOf<L>]?: number | bigint | Uint8Array }

/** BPF_OBJ_NAME_LEN less the NUL. */
const NAME_LENGTH = 15

/**
 * One attribute in memory, laid out once and used for any number of calls. It holds on to whatever it points at. Its
 * length ends with the last field that was set (a kernel that does not know later ones accepts it), or is `length`.
 */
export class Attr<L extends Layout> {
  readonly bytes: Uint8Array
  readonly #layout: L
  readonly #view: DataView
  readonly #pointees: Uint8Array[] = []

  constructor(sys: Sys, layout: L, values: Values<L>, length = 0) {
    this.#layout = layout
    const set = Object.entries<number | bigint | Uint8Array | undefined>(values) as [
      FieldOf<L>,
      Values<L>[FieldOf<L>],
    ][]
    this.bytes = new Uint8Array(Math.max(length, ...set.map(([field]) => this.#end(field))))
    this.#view = new DataView(this.bytes.buffer)
    for (const [field, value] of set) if (value !== undefined) this.#set(sys, field, value)
  }

  /** What the kernel wrote into a 32-bit field. */
  u32(field: FieldOf<L>): number {
    return this.#view.getUint32(this.#slot(field).offset, true)
  }

  /** For a field within the length that the constructor's values gave. */
  setU32(field: FieldOf<L>, value: number): void {
    this.#view.setUint32(this.#slot(field).offset, value, true)
  }

  setU64(field: FieldOf<L>, value: number): void {
    this.#view.setBigUint64(this.#slot(field).offset, BigInt(value), true)
  }

  #slot(field: FieldOf<L>): Slot {
    return this.#layout[field] as Slot
  }

  #end(field: FieldOf<L>): number {
    const { offset, size } = this.#slot(field)
    return offset + size
  }

  #set(sys: Sys, field: FieldOf<L>, value: number | bigint | Uint8Array): void {
    const { offset, size } = this.#slot(field)
    if (typeof value === 'number' && size === 4) this.setU32(field, value)
    else if (typeof value !== 'object') this.#view.setBigUint64(offset, BigInt(value), true)
    else if (size !== 8) this.bytes.set(value, offset)
    else {
      this.#pointees.push(value)
      this.#view.setBigUint64(offset, sys.address(value), true)
    }
  }
}

export class Bpf {
  readonly sys: Sys
  /** Holds the attribute, and with it the buffers it points at, during a call. */
  readonly #inFlight: unknown[] = []

  constructor(sys: Sys) {
    this.sys = sys
  }

  attr<L extends Layout>(layout: L, values: Values<L>, length?: number): Attr<L> {
    return new Attr(this.sys, layout, values, length)
  }

  /** One call with an attribute that the caller keeps. */
  call<L extends Layout>(command: keyof typeof CMDS, attr: Attr<L>): number {
    this.#inFlight.push(attr)
    const result = this.sys.call('bpf', CMDS[command], attr.bytes, attr.bytes.length)
    this.#inFlight.pop()
    return result
  }

  /** A new map's fd. */
  mapCreate(values: Values<typeof ATTR.map_create>): number {
    return this.call('map_create', this.attr(ATTR.map_create, values))
  }

  mapFreeze(fd: number): number {
    return this.call('map_freeze', this.attr(ATTR.map_elem, { map_fd: fd }))
  }

  mapUpdate(fd: number, key: Uint8Array, value: Uint8Array, flags = 0): number {
    return this.call('map_update_elem', this.attr(ATTR.map_elem, { map_fd: fd, key, value, flags }))
  }

  mapDelete(fd: number, key: Uint8Array): number {
    return this.call('map_delete_elem', this.attr(ATTR.map_elem, { map_fd: fd, key }))
  }

  /** A loaded program's fd. */
  progLoad(values: Values<typeof ATTR.prog_load>): number {
    return this.call('prog_load', this.attr(ATTR.prog_load, values))
  }

  /** The fd of a BTF object. */
  btfLoad(values: Values<typeof ATTR.btf_load>): number {
    return this.call('btf_load', this.attr(ATTR.btf_load, values))
  }

  /** The attribute comes back with what the kernel wrote: retval, duration, data_size_out. */
  progTestRun(values: Values<typeof ATTR.test>): { result: number; attr: Attr<typeof ATTR.test> } {
    const attr = this.attr(ATTR.test, { ctx_out: 0n, retval: 0, duration: 0, ...values })
    return { result: this.call('prog_test_run', attr), attr }
  }

  /** A link's fd. */
  linkCreate(values: Values<typeof ATTR.link_create>): number {
    return this.call('link_create', this.attr(ATTR.link_create, { flags: 0, ...values }))
  }

  /** A link's fd. `name` is NUL-terminated. */
  rawTracepointOpen(name: Uint8Array, progFd: number): number {
    return this.call('raw_tracepoint_open', this.attr(ATTR.raw_tracepoint, { name, prog_fd: progFd }))
  }

  /** Fills `info` as far as the kernel knows it: struct bpf_prog_info, bpf_map_info, bpf_link_info or bpf_btf_info. */
  objInfo(fd: number, info: Uint8Array): number {
    const values = { bpf_fd: fd, info_len: info.length, info }
    return this.call('obj_get_info_by_fd', this.attr(ATTR.info, values))
  }

  /** The next id above `start`, or the negative errno: ENOENT after the last. Needs CAP_SYS_ADMIN. */
  nextId(kind: 'prog' | 'map' | 'link' | 'btf', start: number): number {
    const attr = this.attr(ATTR.get_id, { start_id: start, next_id: 0 })
    const result = this.call(`${kind}_get_next_id`, attr)
    return result < 0 ? result : attr.u32('next_id')
  }

  /** An fd by id. Needs CAP_SYS_ADMIN. */
  fdById(kind: 'prog' | 'map' | 'link' | 'btf', id: number): number {
    const values = kind === 'btf' ? { start_id: id } : { start_id: id, open_flags: 0 }
    return this.call(`${kind}_get_fd_by_id`, this.attr(ATTR.get_id, values))
  }
}

/** A name that the kernel takes: at most 15 letters, digits, underscores and dots. */
export function objectName(name: string): Uint8Array {
  return new TextEncoder().encode(name.replace(/[^A-Za-z0-9_.]/g, '_').slice(0, NAME_LENGTH))
}
