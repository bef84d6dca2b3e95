// Reader of a perf_event_array (perf_event_open(2), "MMAP layout"): one software event a CPU, whose pages take what
// programs write with bpf_perf_event_output. A record is a perf_event_header and, for samples, a u32 length and as many
// bytes; how many were lost for want of room is a record too. Records of one CPU are in order, those of two are not.

import { readFileSync } from 'node:fs'
import type { MapSpec } from '../../object/spec.ts'
import { STRUCT_SIZES, STRUCTS } from '../../spec/gen/uapi.ts'
import type { EventSource } from '../engine.ts'
import type { Bpf } from './bpf.ts'
import { isErrno, refusal } from './errors.ts'
import type { Mapping, Watch } from './sys.ts'

/** PERF_TYPE_SOFTWARE, PERF_COUNT_SW_BPF_OUTPUT, PERF_SAMPLE_RAW, PERF_FLAG_FD_CLOEXEC of linux/perf_event.h. */
const SOFTWARE = 1
const BPF_OUTPUT = 10
const SAMPLE_RAW = 1 << 10
const CLOEXEC = 8
/** PERF_EVENT_IOC_ENABLE. */
const ENABLE = 0x2400
/** PERF_RECORD_LOST, PERF_RECORD_SAMPLE. */
const LOST = 2
const SAMPLE = 9
const HEADER = 8
/** Data pages a CPU: a power of two. */
const PAGES = 64
/**
 * How long to wait before looking again, in milliseconds: the kernel tells of a record to the first who polls, and forgets
 * it, so that one which comes just before the event loop takes up a descriptor wakes nobody (perf_poll).
 */
const RECHECK = 20
/** Records taken before the event loop gets its turn. */
const BATCH = 1024

const { data_head: HEAD, data_tail: TAIL } = STRUCTS.perf_event_mmap_page

/** The pages of one CPU. */
class CpuRing {
  readonly cpu: number
  readonly fd: number
  readonly #mapping: Mapping
  readonly #head: BigUint64Array
  readonly #tail: BigUint64Array
  readonly #data: Uint8Array
  readonly #view: DataView
  #position: number

  constructor(cpu: number, fd: number, mapping: Mapping, page: number) {
    this.cpu = cpu
    this.fd = fd
    this.#mapping = mapping
    this.#head = new BigUint64Array(mapping.bytes, HEAD.offset, 1)
    this.#tail = new BigUint64Array(mapping.bytes, TAIL.offset, 1)
    this.#data = new Uint8Array(mapping.bytes, page)
    this.#view = new DataView(mapping.bytes, page)
    this.#position = Number(Atomics.load(this.#tail, 0))
  }

  /** Gives at most `limit` records to `sample` and the counts of lost ones to `lost`. */
  take(limit: number, sample: (data: Uint8Array) => void, lost: (count: bigint) => void): void {
    const end = Number(Atomics.load(this.#head, 0))
    for (let taken = 0; this.#position < end && taken < limit; taken++) {
      const at = this.#position % this.#data.length
      // Headers do not wrap: records are multiples of 8.
      const size = this.#view.getUint16(at + 6, true)
      const type = this.#view.getUint32(at, true)
      const body = this.#slice(at + HEADER, size - HEADER)
      const view = new DataView(body.buffer)
      if (type === SAMPLE) sample(body.slice(4, 4 + view.getUint32(0, true)))
      if (type === LOST) lost(view.getBigUint64(8, true))
      this.#position += size
    }
    Atomics.store(this.#tail, 0, BigInt(this.#position))
  }

  unmap(): void {
    this.#mapping.unmap()
  }

  #slice(from: number, size: number): Uint8Array {
    const { length } = this.#data
    const start = from % length
    const out = new Uint8Array(size)
    const first = this.#data.subarray(start, Math.min(start + size, length))
    out.set(first)
    out.set(this.#data.subarray(0, size - first.length), first.length)
    return out
  }
}

export class PerfSource implements EventSource {
  readonly #bpf: Bpf
  /** Its fd. */
  readonly #map: number
  readonly #rings: CpuRing[] = []
  readonly #watches: Watch[] = []
  #open = true
  #pending: Uint8Array[] = []
  #received = 0
  #lost = 0n
  #wake: (() => void) | undefined

  /** Throws a Diagnostic if an event cannot be opened or mapped. The fd of the map stays the map's. */
  constructor(bpf: Bpf, spec: MapSpec, fd: number) {
    this.#bpf = bpf
    this.#map = fd
    try {
      for (const cpu of onlineCpus()) if (cpu < spec.maxEntries) this.#add(spec, cpu)
    } catch (error) {
      this.close()
      throw error
    }
  }

  get open(): boolean {
    return this.#open
  }

  get received(): number {
    return this.#received
  }

  get lost(): bigint {
    return this.#lost
  }

  drain(): Uint8Array[] {
    if (!this.#open) return []
    this.#take(Number.POSITIVE_INFINITY)
    const records = this.#pending
    this.#pending = []
    this.#received += records.length
    return records
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    while (this.#open) {
      this.#take(BATCH)
      if (this.#pending.length === 0) {
        await this.#readable()
        continue
      }
      for (let record = this.#pending.shift(); record; record = this.#pending.shift()) {
        this.#received++
        yield record
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  /** The map would hold on to the events otherwise, and programs write where nobody reads. */
  close(): void {
    if (!this.#open) return
    this.#open = false
    this.#pending = []
    for (const watch of this.#watches) watch.close()
    this.#wake?.()
    for (const ring of this.#rings) {
      this.#bpf.mapDelete(this.#map, u32(ring.cpu))
      ring.unmap()
      this.#bpf.sys.close(ring.fd)
    }
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #add(spec: MapSpec, cpu: number): void {
    const { sys } = this.#bpf
    const size = STRUCT_SIZES.perf_event_attr
    const values = {
      type: SOFTWARE,
      size,
      config: BPF_OUTPUT,
      sample_period: 1,
      sample_type: SAMPLE_RAW,
      wakeup_events: 1,
    }
    const attr = this.#bpf.attr(STRUCTS.perf_event_attr, values, size)
    const [everyProcess, noGroup] = [-1, -1]
    const fd = sys.call('perf_event_open', attr.bytes, everyProcess, cpu, noGroup, CLOEXEC)
    const what = `the events of map "${spec.name}" on CPU ${cpu} cannot be read`
    if (fd < 0) {
      if (isErrno(fd, 'ENODEV')) return
      throw refusal({ call: 'perf_event_open', errno: fd, what })
    }
    const page = sys.pageSize()
    const mapping = sys.mmap(fd, page * (1 + PAGES), 0, true)
    if (typeof mapping !== 'object') {
      sys.close(fd)
      throw refusal({ call: 'mmap', errno: mapping, what })
    }
    this.#rings.push(new CpuRing(cpu, fd, mapping, page))
    sys.call('ioctl', fd, ENABLE, 0)
    const errno = this.#bpf.mapUpdate(this.#map, u32(cpu), u32(fd))
    if (errno < 0) throw refusal({ call: 'map_update_elem', errno, what })
  }

  #take(limit: number): void {
    for (const ring of this.#rings) {
      ring.take(
        limit,
        (data) => this.#pending.push(data),
        (count) => {
          this.#lost += count
        },
      )
    }
  }

  #readable(): Promise<void> {
    return new Promise((resolve) => {
      const recheck = setTimeout(() => this.#wake?.(), RECHECK)
      this.#wake = () => {
        this.#wake = undefined
        clearTimeout(recheck)
        if (this.#open) for (const watch of this.#watches) watch.stop()
        resolve()
      }
      if (this.#watches.length === 0) this.#watches.push(...this.#rings.map(({ fd }) => this.#bpf.sys.watch(fd)))
      for (const watch of this.#watches) watch.start(() => this.#wake?.())
    })
  }
}

const u32 = (value: number): Uint8Array => new Uint8Array(new Uint32Array([value]).buffer)

/** The CPUs of a list like `0-3,6`. */
function onlineCpus(): number[] {
  const ranges = readFileSync('/sys/devices/system/cpu/online', 'utf8').trim().split(',')
  return ranges.flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, i) => first + i)
  })
}
