// Memory: the one linear memory of a collection in the user engine. Contexts, packets, stacks, map values
// and ring buffers are regions in it, and an address is simply an offset, below 4 GiB, so that the u32
// fields data and data_end of struct xdp_md and struct __sk_buff (include/uapi/linux/bpf.h) hold real
// addresses. Whatever lies outside a live region cannot be touched: the check is here, not in the program's
// good behaviour. The bytes are those of a WebAssembly.Memory, which compiled programs share. Its first pages
// belong to no region: a null pointer points there, and the engine keeps the words there that compiled code and
// this side hand to each other.

import { Diagnostic } from '../../diag/diagnostic.ts'
import type { Size } from '../../isa/insn.ts'

/** A span of memory that a program may use. Its live part is `start` to `end` (exclusive) and may move. */
export interface Region {
  /** For messages: `the packet`, `a value of map counts`. */
  readonly name: string
  start: number
  end: number
  /** Whether programs may write here. */
  writable: boolean
  /** Whether programs may read here; the handle of a map, for one, is an address without contents. */
  readonly readable: boolean
  /** The region is an array of equal items, and an access stays within one of them. */
  readonly items?: Items
  /** A finer test within the live part: whether `size` bytes at `address` lie within one element or record. */
  readonly inside?: (address: number, size: number) => boolean
}

/** How items stand in a region: each `stride` bytes, `size` of them for programs after a header that is not. */
export interface Items {
  readonly stride: number
  readonly size: number
  readonly header?: number
}

export interface RegionInit {
  readonly name: string
  /** Bytes that are set apart. */
  readonly size: number
  readonly writable?: boolean
  readonly readable?: boolean
  readonly items?: Items
  readonly inside?: (address: number, size: number) => boolean
}

/** Bytes below it are never mapped: a null pointer plus any 16-bit offset of an instruction faults. */
export const LOWEST_ADDRESS = 65536
/** Default upper bound of a memory, in bytes. */
const DEFAULT_LIMIT = 2 ** 30
/** Regions begin at multiples of this, with at least one granule between them that belongs to nobody. */
const GRANULE = 64
const GRANULE_SHIFT = 6
const MAX_REGIONS = 65535
const PAGE = 65536

/**
 * Addresses of the u32 words below LOWEST_ADDRESS in which spans of memory stand, each as its start, how many bytes
 * of it programs may read, and how many they may write.
 */
export const SPAN = { packet: 64, recent: 80 } as const
/** Bytes from the start of a span's words to each of them. */
export const SPAN_WORD = { start: 0, readable: 4, writable: 8 } as const

/**
 * Address of the words that compiled code leaves before it breaks off: the base address of an access that failed
 * (u64), the number of its place (u32) and the frame (u32).
 */
export const FAILED = { base: 96, site: 104, frame: 108 } as const

export class Memory {
  /** All bytes; replaced when the memory grows, so never keep it over an allocation. */
  bytes: Uint8Array
  view: DataView
  /** For compiled programs. Only this class makes it grow. */
  readonly shared: WebAssembly.Memory
  readonly limit: number
  /** Which region a granule belongs to; 0 is none. */
  #owner: Uint16Array
  readonly #regions: (Region | undefined)[] = [undefined]
  #top = LOWEST_ADDRESS

  /** `limit`: the most bytes it may grow to, at most 4 GiB. */
  constructor(limit = DEFAULT_LIMIT) {
    this.limit = Math.min(limit, 2 ** 32 - GRANULE)
    const initial = (LOWEST_ADDRESS * 2) / PAGE
    this.shared = new WebAssembly.Memory({ initial, maximum: Math.max(initial, Math.floor(this.limit / PAGE)) })
    const { buffer } = this.shared
    this.bytes = new Uint8Array(buffer)
    this.view = new DataView(buffer)
    this.#owner = new Uint16Array(buffer.byteLength >>> GRANULE_SHIFT)
  }

  /**
   * A new region of zeros that lives as long as the memory. Throws a Diagnostic (`user/out-of-memory`, ENOMEM)
   * when it would pass the limit.
   */
  allocate(init: RegionInit): Region {
    const start = this.#top
    const reserved = Math.max(1, Math.ceil(init.size / GRANULE)) * GRANULE
    const top = start + reserved + GRANULE
    if (top > this.limit || this.#regions.length > MAX_REGIONS || !this.#grow(top)) throw outOfMemory(init, this.limit)
    const region: Region = {
      name: init.name,
      start,
      end: start + init.size,
      writable: init.writable ?? true,
      readable: init.readable ?? true,
      items: init.items,
      inside: init.inside,
    }
    this.#owner.fill(this.#regions.length, start >>> GRANULE_SHIFT, (start + reserved) >>> GRANULE_SHIFT)
    this.#regions.push(region)
    this.#top = top
    return region
  }

  /** Whether a program may read (or write) `size` bytes at `address`. */
  allows(address: number, size: number, write: boolean): boolean {
    const region = this.#regionAt(address)
    return region !== undefined && fits(region, address, size, write)
  }

  /** Throws a Diagnostic (`user/fault`) unless a program may read (or write) `size` bytes at `address`. */
  check(address: number, size: number, write: boolean): void {
    const region = this.#regionAt(address)
    if (region === undefined || !fits(region, address, size, write)) throw this.#fault(address, size, write)
  }

  /** Writes the span at `words` (one of SPAN). */
  putSpan(words: number, start: number, readable: number, writable: number): void {
    this.view.setUint32(words + SPAN_WORD.start, start, true)
    this.view.setUint32(words + SPAN_WORD.readable, readable, true)
    this.view.setUint32(words + SPAN_WORD.writable, writable, true)
  }

  /**
   * As `check`, and notes in SPAN.recent which bytes around `address` a program may use: compiled code looks
   * there first.
   */
  checkAndNote(address: number, size: number, write: boolean): void {
    this.check(address, size, write)
    const region = this.#regionAt(address)!
    if (region.inside) return
    let { start, end } = region
    if (region.items) {
      const { stride, size, header = 0 } = region.items
      start += Math.floor((address - start) / stride) * stride + header
      end = start + size
    }
    this.putSpan(SPAN.recent, start, region.readable ? end - start : 0, region.writable ? end - start : 0)
  }

  /** The little-endian number at `address`, zero-extended. Throws as `check`. */
  load(address: number, size: Size): bigint {
    this.check(address, size, false)
    const { view } = this
    if (size === 8) return view.getBigUint64(address, true)
    if (size === 4) return BigInt(view.getUint32(address, true))
    if (size === 2) return BigInt(view.getUint16(address, true))
    return BigInt(this.bytes[address])
  }

  /** Writes the low `size` bytes of `value`, little-endian. Throws as `check`. */
  store(address: number, size: Size, value: bigint): void {
    this.check(address, size, true)
    const { view } = this
    if (size === 8) view.setBigUint64(address, value, true)
    else if (size === 4) view.setUint32(address, Number(value & 0xffff_ffffn), true)
    else if (size === 2) view.setUint16(address, Number(value & 0xffffn), true)
    else this.bytes[address] = Number(value & 0xffn)
  }

  /** `size` bytes that a program may read, not copied: valid until the next allocation. Throws as `check`. */
  readable(address: number, size: number): Uint8Array {
    if (size === 0) return this.bytes.subarray(0, 0)
    this.check(address, size, false)
    return this.bytes.subarray(address, address + size)
  }

  /** `size` bytes that a program may write, not copied: valid until the next allocation. Throws as `check`. */
  writable(address: number, size: number): Uint8Array {
    if (size === 0) return this.bytes.subarray(0, 0)
    this.check(address, size, true)
    return this.bytes.subarray(address, address + size)
  }

  #regionAt(address: number): Region | undefined {
    if (!(address >= LOWEST_ADDRESS && address < this.#top)) return undefined
    return this.#regions[this.#owner[address >>> GRANULE_SHIFT]]
  }

  /** Whether there are now `top` bytes. */
  #grow(top: number): boolean {
    const { length } = this.bytes
    if (top <= length) return true
    const most = Math.floor(this.limit / PAGE) * PAGE
    const wanted = Math.min(Math.max(length * 2, Math.ceil(top / PAGE) * PAGE), most)
    if (wanted < top) return false
    try {
      this.shared.grow((wanted - length) / PAGE)
    } catch {
      return false
    }
    const { buffer } = this.shared
    const owner = new Uint16Array((wanted >>> GRANULE_SHIFT) + 1)
    owner.set(this.#owner)
    this.bytes = new Uint8Array(buffer)
    this.view = new DataView(buffer)
    this.#owner = owner
    return true
  }

  #fault(address: number, size: number, write: boolean): Diagnostic {
    const verb = write ? 'write' : 'read'
    const what = `${verb} of ${size} ${size === 1 ? 'byte' : 'bytes'} at 0x${address.toString(16)}`
    return new Diagnostic({ code: 'user/fault', message: `${what}: ${this.#whyNot(address, size, write)}` })
  }

  #whyNot(address: number, size: number, write: boolean): string {
    if (address < 4096) return 'that is a null pointer'
    const region = this.#regionAt(address) ?? this.#nearest(address)
    if (region === undefined) return 'no memory of this program is there'
    const { name, start, end } = region
    if (!region.readable) return `${name} is a handle, not memory`
    if (address < start) return `it begins ${start - address} bytes before ${name}`
    if (address + size > end) return `it ends ${address + size - end} bytes after the end of ${name}`
    if (write && !region.writable) return `${name} is read-only`
    return `it leaves ${name}`
  }

  /** The region of which `address` misses an end by less than a page. */
  #nearest(address: number): Region | undefined {
    const distance = (region: Region): number => Math.max(region.start - address, address - region.end + 1)
    let best: Region | undefined
    for (const region of this.#regions) {
      if (region === undefined || distance(region) >= 4096) continue
      if (best === undefined || distance(region) < distance(best)) best = region
    }
    return best
  }
}

const fits = (region: Region, address: number, size: number, write: boolean): boolean =>
  address >= region.start &&
  address + size <= region.end &&
  (write ? region.writable : region.readable) &&
  (region.items === undefined || withinItem(region.items, address - region.start, size)) &&
  (region.inside === undefined || region.inside(address, size))

function withinItem({ stride, size, header = 0 }: Items, offset: number, length: number): boolean {
  const inItem = offset % stride
  return inItem >= header && inItem + length <= header + size
}

const outOfMemory = ({ name, size }: RegionInit, limit: number): Diagnostic =>
  new Diagnostic({
    code: 'user/out-of-memory',
    message: `no room for ${name}: ${size} bytes, and this engine's memory ends at ${limit}`,
    help: 'use smaller maps, or give the user engine a larger `memory`',
    errno: 'ENOMEM',
  })
