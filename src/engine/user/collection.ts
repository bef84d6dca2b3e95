// A loaded object in the user engine: one linear memory, its maps, its programs, and the world that helpers see.

import { Diagnostic } from '../../diag/diagnostic.ts'
import { nearest } from '../../diag/nearest.ts'
import type { MapSpec, ObjectSpec, ProgramSpec, Relocation } from '../../object/spec.ts'
import type { BpfMap, Collection, Engine, EventSource, Link, Prog, RunInput, RunResult } from '../engine.ts'
import { prepare } from './code.ts'
import { CONTEXTS, Context, type ContextKind } from './context.ts'
import type { HelperCall } from './helpers.ts'
import type { Host } from './host.ts'
import { Interpreter, MAX_FRAMES, type ReadPacket } from './interpreter.ts'
import { createMap } from './maps/index.ts'
import { HostMap, type UserMap } from './maps/map.ts'
import { RingBuffer } from './maps/ringbuf.ts'
import { Memory } from './memory.ts'
import type { Observer } from './observer.ts'
import { Packet } from './packet.ts'
import { Stacks } from './stacks.ts'

export interface CollectionInit {
  readonly engine: Engine
  readonly spec: ObjectSpec
  readonly host: Host
  /** Instructions that one run may execute. */
  readonly fuel: number
  /** Most bytes of linear memory. */
  readonly memory: number | undefined
  /** Looks on while programs run. */
  readonly observer?: Observer
}

export class UserCollection implements Collection {
  readonly engine: Engine
  readonly spec: ObjectSpec
  readonly progs: ReadonlyMap<string, Prog>
  readonly maps: ReadonlyMap<string, BpfMap>
  #closed = false
  readonly #sources: EventSource[] = []

  /** Throws a Diagnostic if any map or program is refused. */
  constructor({ engine, spec, host, fuel, memory: limit, observer }: CollectionInit) {
    this.engine = engine
    this.spec = spec
    const memory = new Memory(limit)
    const maps = new Maps(memory, spec.maps, host.random)
    const world = new World(memory, maps, host, fuel, observer)
    this.maps = new Map(spec.maps.map((map) => [map.name, this.#guarded(maps.host(map.name))]))
    const alive = (): void => this.#alive()
    this.progs = new Map(spec.programs.map((program) => [program.name, new UserProg(program, world, alive)]))
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const source of this.#sources) source.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** The map with a check that the collection is open, and with its event sources known for close(). */
  #guarded(map: HostMap): BpfMap {
    const open = (): HostMap => {
      this.#alive()
      return map
    }
    return {
      spec: map.spec,
      get: (key) => open().get(key),
      set: (key, value, flag) => open().set(key, value, flag),
      delete: (key) => open().delete(key),
      entries: () => open().entries(),
      events: () => {
        const source = open().events()
        this.#sources.push(source)
        return source
      },
    }
  }

  #alive(): void {
    if (!this.#closed) return
    throw new Diagnostic({
      code: 'user/closed',
      message: `${this.spec.name} is closed: its maps and programs are gone`,
      help: 'read what you need before close(), or before the end of the `using` block',
      errno: 'EBADF',
    })
  }
}

/** The maps of a collection by name and by handle. A handle is the address of a region that nobody may touch. */
class Maps {
  readonly #memory: Memory
  readonly #byName = new Map<string, { map: UserMap; handle: bigint; host: HostMap }>()
  readonly #byHandle = new Map<bigint, UserMap>()
  readonly rings: RingBuffer[] = []

  constructor(memory: Memory, specs: readonly MapSpec[], seed: number) {
    this.#memory = memory
    for (const spec of specs) this.#add(spec, seed)
    for (const { lost } of specs) if (lost) this.named(lost.map)
  }

  #add(spec: MapSpec, seed: number): void {
    const map = createMap(spec, this.#memory, seed)
    const region = this.#memory.allocate({ name: `map ${spec.name}`, size: 8, readable: false, writable: false })
    const handle = BigInt(region.start)
    const host = new HostMap(map, this.#memory, () => this.#lost(spec))
    this.#byName.set(spec.name, { map, handle, host })
    this.#byHandle.set(handle, map)
    if (map instanceof RingBuffer) this.rings.push(map)
    for (const [key, value] of spec.contents ?? []) host.fill(key, value)
  }

  host(name: string): HostMap {
    return this.named(name).host
  }

  /** Throws a Diagnostic with the nearest names. */
  named(name: string): { map: UserMap; handle: bigint; host: HostMap } {
    const entry = this.#byName.get(name)
    if (entry) return entry
    const like = nearest(name, this.#byName.keys())
    throw new Diagnostic({
      code: 'user/no-such-map',
      message: `the object has no map ${name}`,
      help:
        like.length > 0 ? `did you mean ${like.join(' or ')}?` : 'every map that a program names must be in the object',
      errno: 'ENOENT',
    })
  }

  behind(handle: bigint): UserMap {
    const map = this.#byHandle.get(handle)
    if (map) return map
    throw new Diagnostic({ code: 'user/fault', message: `0x${handle.toString(16)} is no map` })
  }

  ringOf(record: bigint): RingBuffer {
    const ring = this.rings.find((ring) => ring.holds(Number(record)))
    if (ring) return ring
    throw new Diagnostic({
      code: 'user/fault',
      message: `0x${record.toString(16)} is no reserved record of a ring buffer`,
      help: 'submit or discard exactly what ringbuf_reserve gave, once',
    })
  }

  /** What an lddw with this relocation loads. */
  address(relocation: Relocation): bigint {
    const { map, handle } = this.named(relocation.map)
    if (relocation.kind === 'map') return handle
    const { spec } = map
    const first = spec.type === 'array' ? this.#firstValue(map) : 0
    if (first !== 0 && relocation.offset >= 0 && relocation.offset < spec.valueSize)
      return BigInt(first + relocation.offset)
    throw new Diagnostic({
      code: 'user/relocation',
      message: `insn ${relocation.insn} takes the address of byte ${relocation.offset} in map ${spec.name}, which has none`,
      help: 'global data is an array with one value, and the offset lies in it',
      errno: 'EINVAL',
    })
  }

  #firstValue(map: UserMap): number {
    const scratch = this.#memory.allocate({ name: 'key 0', size: 4, readable: false, writable: false })
    return map.lookup(scratch.start, false)
  }

  #lost({ lost }: MapSpec): bigint | undefined {
    if (!lost) return undefined
    const { map } = this.named(lost.map)
    const [[, value] = []] = this.host(map.spec.name).entries()
    if (!value || lost.offset + 8 > value.length) return undefined
    return new DataView(value.buffer, value.byteOffset).getBigUint64(lost.offset, true)
  }
}

/** What the programs of a collection share when they run. */
class World {
  readonly memory: Memory
  readonly stacks: Stacks
  readonly maps: Maps
  readonly host: Host
  readonly fuel: number
  readonly observer: Observer | undefined
  readonly packet: Packet
  readonly context: Context
  readonly scratch: number

  constructor(memory: Memory, maps: Maps, host: Host, fuel: number, observer: Observer | undefined) {
    this.memory = memory
    this.stacks = new Stacks(memory, MAX_FRAMES)
    this.maps = maps
    this.host = host
    this.fuel = fuel
    this.observer = observer
    this.packet = new Packet(memory)
    this.context = new Context(memory)
    this.scratch = memory.allocate({ name: 'the key of for_each_map_elem', size: 4, writable: false }).start
  }
}

class UserProg implements Prog {
  readonly spec: ProgramSpec
  readonly #world: World
  readonly #kind: ContextKind | undefined
  readonly #interpreter: Interpreter
  readonly #alive: () => void

  constructor(spec: ProgramSpec, world: World, alive: () => void) {
    this.spec = spec
    this.#world = world
    this.#alive = alive
    this.#kind = CONTEXTS[spec.type]
    const addresses = new Map(spec.relocations.map((entry) => [entry.insn, world.maps.address(entry)]))
    const { memory, stacks, fuel, host, maps } = world
    const call: Omit<HelperCall, 'callback'> = {
      memory,
      host,
      scratch: world.scratch,
      packet: world.packet,
      map: (handle) => maps.behind(handle),
      ringOf: (record) => maps.ringOf(record),
      packetMoved: () => this.#kind?.sync(world.context, world.packet),
    }
    this.#interpreter = new Interpreter(prepare(spec, addresses), {
      memory,
      stacks,
      fuel,
      readPacket: (size, offset) => this.#readPacket(size, offset),
      observer: world.observer,
      call,
    })
  }

  run(input: RunInput): RunResult {
    this.#alive()
    const { context, packet } = this.#world
    const kind = this.#kind
    if (!kind) throw notRunnable(this.spec)
    const repeat = Math.max(1, input.repeat ?? 1)
    kind.open(context, packet, input)
    let r0 = 0n
    const start = performance.now()
    for (let i = 0; i < repeat; i++) r0 = this.#once(BigInt(context.address))
    const duration = ((performance.now() - start) * 1e6) / repeat
    const retval = Number(r0 & 0xffff_ffffn)
    if (kind.pulled === undefined) return { retval, duration }
    return { retval, duration, data: withLinkHeader(packet.bytes(), kind.pulled) }
  }

  attach(target = this.spec.target): Link {
    throw new Diagnostic({
      code: 'user/attach',
      message: `the user engine can't attach ${this.spec.name}${target ? ` to ${target}` : ''}: it has no hooks in the kernel`,
      help: 'run the program on input of your own with run({ data }) or `waggle run FILE --pcap CAPTURE`, or attach it on the kernel engine',
      errno: 'ENOTSUP',
    })
  }

  #once(context: bigint): bigint {
    try {
      return this.#interpreter.run(context)
    } catch (error) {
      for (const ring of this.#world.maps.rings) ring.abandon()
      throw error
    }
  }

  /** The legacy loads: big-endian, from the start of what the program sees, or from a header (linux/filter.h). */
  readonly #readPacket: ReadPacket = (size, offset) => {
    const { packet, memory } = this.#world
    const pulled = this.#kind?.pulled
    if (pulled === undefined) return undefined
    const linkHeader = packet.data - pulled
    let at = packet.data + offset
    if (offset < 0)
      at = offset >= SKF_NET_OFF ? linkHeader + 14 + offset - SKF_NET_OFF : linkHeader + offset - SKF_LL_OFF
    if (at < linkHeader || at + size > packet.end) return undefined
    let value = 0
    for (let i = 0; i < size; i++) value = value * 256 + memory.bytes[at + i]
    return BigInt(value)
  }
}

/** SKF_NET_OFF and SKF_LL_OFF of linux/filter.h. */
const SKF_NET_OFF = -0x100000
const SKF_LL_OFF = -0x200000

/** BPF_PROG_TEST_RUN gives the packet back with its link header, zeroed where the program did not see it. */
function withLinkHeader(bytes: Uint8Array, pulled: number): Uint8Array {
  if (pulled === 0) return bytes
  const out = new Uint8Array(pulled + bytes.length)
  out.set(bytes, pulled)
  return out
}

const notRunnable = ({ name, type }: ProgramSpec): Diagnostic =>
  new Diagnostic({
    code: 'user/program-type',
    message: `the user engine can't run ${name}: it has no context for programs of type ${type}`,
    help: `it runs ${Object.keys(CONTEXTS).join(', ')}; for others use the kernel engine`,
    errno: 'ENOTSUP',
  })
