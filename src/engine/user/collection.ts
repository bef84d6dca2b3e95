// A loaded object in the user engine: one linear memory, its maps, its programs, and the world that helpers see.

import { Diagnostic } from '../../diag/diagnostic.ts'
import { nearest } from '../../diag/nearest.ts'
import type { MapSpec, ObjectSpec, ProgramSpec, Relocation } from '../../object/spec.ts'
import type { BpfMap, Collection, Engine, EventSource, Link, Prog, RunInput, RunResult } from '../engine.ts'
import { type Code, prepare } from './code.ts'
import { CONTEXTS, Context, type ContextKind, UNKNOWN_CONTEXT } from './context.ts'
import type { HelperCall } from './helpers.ts'
import type { Host } from './host.ts'
import { Interpreter, type ReadPacket, type Surroundings } from './interpreter.ts'
import { CompiledProgram, type World as CompiledWorld } from './jit/index.ts'
import { createMap } from './maps/index.ts'
import { HostMap, type UserMap } from './maps/map.ts'
import { RingBuffer } from './maps/ringbuf.ts'
import { Memory } from './memory.ts'
import { Packet } from './packet.ts'
import { MAX_FRAMES, Stacks } from './stacks.ts'

export interface CollectionInit {
  readonly engine: Engine
  readonly spec: ObjectSpec
  readonly host: Host
  /** Instructions that one run may execute. */
  readonly fuel: number
  /** Most bytes of linear memory. */
  readonly memory: number | undefined
  /** `always` throws where a program can't be compiled; `auto` interprets it then. */
  readonly jit: 'auto' | 'always' | 'never'
  /** Whether the verifier accepted the programs: compiled code then tests nothing again. */
  readonly verified: boolean
}

export class UserCollection implements Collection {
  readonly engine: Engine
  readonly spec: ObjectSpec
  readonly progs: ReadonlyMap<string, Prog>
  readonly maps: ReadonlyMap<string, BpfMap>
  readonly notes: readonly string[]
  #closed = false
  readonly #sources: EventSource[] = []

  /** Throws a Diagnostic if any map or program is refused. */
  constructor({ engine, spec, host, fuel, memory: limit, jit, verified }: CollectionInit) {
    this.engine = engine
    this.spec = spec
    const memory = new Memory(limit)
    const maps = new Maps(memory, spec.maps, host.random)
    const world = new World(memory, maps, host, fuel, { jit, verified })
    this.maps = new Map(spec.maps.map((map) => [map.name, this.#guarded(maps.host(map.name))]))
    const alive = (): void => this.#alive()
    this.progs = new Map(spec.programs.map((program) => [program.name, new UserProg(program, world, alive)]))
    this.notes = world.notes
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

  /** For compiled code: undefined where `behind` would throw. */
  at(handle: bigint): UserMap | undefined {
    return this.#byHandle.get(handle)
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
  readonly packet: Packet
  readonly context: Context
  readonly scratch: number
  readonly jit: 'auto' | 'always' | 'never'
  readonly verified: boolean
  readonly notes: string[] = []

  constructor(
    memory: Memory,
    maps: Maps,
    host: Host,
    fuel: number,
    { jit, verified }: Pick<CollectionInit, 'jit' | 'verified'>,
  ) {
    this.memory = memory
    this.stacks = new Stacks(memory, MAX_FRAMES)
    this.maps = maps
    this.host = host
    this.fuel = fuel
    this.jit = jit
    this.verified = verified
    this.packet = new Packet(memory)
    this.context = new Context(memory)
    this.scratch = memory.allocate({ name: 'the key of for_each_map_elem', size: 4, writable: false }).start
  }
}

/** What runs a program: both give the low half of r0, of the last run. */
interface Runner {
  run(context: number): number
  batch(context: number, count: number): number
}

function interpreted(code: Code, around: Surroundings): Runner {
  const interpreter = new Interpreter(code, around)
  const run = (context: number): number => Number(interpreter.run(BigInt(context)) & 0xffff_ffffn)
  return {
    run,
    batch: (context, count) => {
      let retval = 0
      for (let i = 0; i < count; i++) retval = run(context)
      return retval
    },
  }
}

const notCompiled = ({ name }: ProgramSpec, why: string): Diagnostic =>
  new Diagnostic({
    code: 'user/not-compiled',
    message: `program ${name} can't be compiled: ${why}`,
    help: "leave `jit` at 'auto', and it is interpreted",
    errno: 'E2BIG',
  })

class UserProg implements Prog {
  readonly spec: ProgramSpec
  readonly #world: World
  readonly #kind: ContextKind | undefined
  readonly #runner: Runner
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
    const around: Surroundings = { memory, stacks, fuel, readPacket: this.#readPacket, call }
    this.#runner = this.#prepared(prepare(spec, addresses), around)
  }

  #prepared(code: Code, around: Surroundings): Runner {
    const { jit, verified, notes } = this.#world
    if (jit === 'never') return interpreted(code, around)
    const layout = this.#kind?.layout ?? UNKNOWN_CONTEXT
    const world = this.#compiledWorld(layout.packetWords)
    const compiled = CompiledProgram.compile({ code, around, world, checked: !verified, context: layout })
    if (typeof compiled !== 'string') return compiled
    if (jit === 'always') throw notCompiled(this.spec, compiled)
    notes.push(`program ${this.spec.name} is interpreted: ${compiled}`)
    return interpreted(code, around)
  }

  #compiledWorld(packetWords: readonly number[]): CompiledWorld {
    const { maps } = this.#world
    const values = new Map<bigint, { map: UserMap; at: number }>()
    for (const relocation of this.spec.relocations) {
      if (relocation.kind !== 'map_value') continue
      const { map } = maps.named(relocation.map)
      values.set(maps.address(relocation), { map, at: relocation.offset })
    }
    return { packetWords, mapOf: (handle) => maps.at(handle), valueAt: (address) => values.get(address) }
  }

  run(input: RunInput): RunResult {
    this.#alive()
    const { context, packet } = this.#world
    const kind = this.#kind
    if (!kind) throw notRunnable(this.spec)
    const repeat = Math.max(1, input.repeat ?? 1)
    kind.open(context, packet, input)
    const start = performance.now()
    const retval = this.#repeated(context.address, repeat)
    const duration = ((performance.now() - start) * 1e6) / repeat
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

  #repeated(context: number, repeat: number): number {
    try {
      return repeat === 1 ? this.#runner.run(context) : this.#runner.batch(context, repeat)
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
