// A loaded object in the user engine: one linear memory, its maps, its programs, and the world that helpers see.

import { Diagnostic } from '../../diag/diagnostic.ts'
import { nearest } from '../../diag/nearest.ts'
import type { MapSpec, ObjectSpec, ProgramSpec, Relocation } from '../../object/spec.ts'
import type { BpfMap, Collection, Engine, EventSource, Link, Prog, RunInput, RunResult } from '../engine.ts'
import { type Code, prepare } from './code.ts'
import { CONTEXTS, Context, type ContextKind, UNKNOWN_CONTEXT } from './context.ts'
import type { Surrounding } from './helpers/call.ts'
import type { Host } from './host.ts'
import { Interpreter, type ReadPacket, type Surroundings } from './interpreter.ts'
import { CompiledProgram, type World as CompiledWorld } from './jit/index.ts'
import { FieldedMap, specialFields } from './maps/fields.ts'
import { createMap } from './maps/index.ts'
import { HostMap, type UserMap } from './maps/map.ts'
import type { Targets } from './maps/redirect.ts'
import { type ProgramReferent, RefArray, type Referent } from './maps/refs.ts'
import { RingBuffer } from './maps/ringbuf.ts'
import { Memory } from './memory.ts'
import type { Observer } from './observer.ts'
import { Packet } from './packet.ts'
import { Run } from './run.ts'
import { Sockets } from './sockets.ts'
import { MAX_FRAMES, Stacks } from './stacks.ts'
import { Timers } from './timers.ts'

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
  /** Looks on while programs run. */
  readonly observer?: Observer
}

export class UserCollection implements Collection {
  readonly engine: Engine
  readonly spec: ObjectSpec
  readonly progs: ReadonlyMap<string, Prog>
  readonly maps: ReadonlyMap<string, BpfMap>
  readonly notes: readonly string[]
  #closed = false
  readonly #world: World
  readonly #sources: EventSource[] = []

  /** Throws a Diagnostic if any map or program is refused. */
  constructor({ engine, spec, host, fuel, memory: limit, jit, verified, observer }: CollectionInit) {
    this.engine = engine
    this.spec = spec
    const memory = new Memory(limit)
    const maps = new Maps(memory, spec, host)
    const world = new World(memory, maps, host, fuel, { jit, verified, observer })
    this.#world = world
    this.maps = new Map(spec.maps.map((map) => [map.name, this.#guarded(maps.host(map.name))]))
    const alive = (): void => this.#alive()
    const progs = spec.programs.map((program) => new UserProg(program, world, alive))
    this.progs = new Map(progs.map((prog) => [prog.spec.name, prog]))
    maps.connect(progs)
    this.notes = world.notes
  }

  tick(): void {
    this.#alive()
    this.#world.maps.timers.tick()
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#world.maps.timers.close()
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
      submit: (record) => open().submit(record),
      lookupAndDelete: (key) => open().lookupAndDelete(key),
      has: (value) => open().has(value),
      setRef: (key, name, flag) => open().setRef(key, name, flag),
      getRef: (key) => open().getRef(key),
      getBatch: (count, from) => open().getBatch(count, from),
      takeBatch: (count, from) => open().takeBatch(count, from),
      setBatch: (keys, values) => open().setBatch(keys, values),
      deleteBatch: (keys) => open().deleteBatch(keys),
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

interface Entry {
  readonly map: UserMap
  readonly handle: bigint
  readonly host: HostMap
  readonly id: number
}

/** The maps of a collection by name and by handle. A handle is the address of a region that nobody may touch. */
class Maps {
  readonly #memory: Memory
  readonly #byName = new Map<string, Entry>()
  readonly #byHandle = new Map<bigint, UserMap>()
  readonly rings: RingBuffer[] = []
  readonly sockets: Sockets
  readonly timers: Timers
  readonly #types: ObjectSpec['types']
  readonly #targets: Targets
  readonly #programs = new Map<string, ProgramReferent>()
  #ids = 0

  constructor(memory: Memory, { maps: specs, types }: ObjectSpec, host: Host) {
    this.#memory = memory
    this.#types = types
    this.sockets = new Sockets(memory, () => host.sockets ?? [])
    const key = memory.allocate({ name: "the key of a timer's element", size: 4, writable: false })
    this.timers = new Timers(host, key.start)
    this.#targets = {
      hasInterface: (ifindex) => host.interfaces?.has(ifindex) ?? true,
      hasSocket: (id) => this.sockets.has(id),
    }
    const seed = host.random
    for (const spec of specs) this.#add(spec, seed)
    for (const { lost } of specs) if (lost) this.named(lost.map)
  }

  /** Lets maps refer to programs and to each other, as the object says. */
  connect(progs: readonly UserProg[]): void {
    for (const { spec, code } of progs) this.#programs.set(spec.name, { kind: 'program', spec, id: ++this.#ids, code })
    for (const { host } of this.#byName.values()) {
      for (const [key, name] of host.spec.refs ?? []) host.fillRef(key, name)
    }
  }

  #resolve(name: string, kind: Referent['kind']): Referent | undefined {
    if (kind === 'program') return this.#programs.get(name)
    const entry = this.#byName.get(name)
    return entry && { kind, spec: entry.map.spec, id: entry.id, handle: Number(entry.handle) }
  }

  /** With its special fields seen to, where its types say that it has some. */
  #create(spec: MapSpec, seed: number): UserMap {
    const map = createMap(spec, this.#memory, seed, this.#targets)
    const fields = specialFields(spec, this.#types)
    if (fields.length === 0) return map
    return new FieldedMap(map, fields, this.#memory, (value, size) => this.timers.release(value, size))
  }

  #add(spec: MapSpec, seed: number): void {
    const map = this.#create(spec, seed)
    const region = this.#memory.allocate({ name: `map ${spec.name}`, size: 8, readable: false, writable: false })
    const handle = BigInt(region.start)
    const resolve = (name: string, kind: Referent['kind']) => this.#resolve(name, kind)
    const host = new HostMap(map, this.#memory, () => this.#lost(spec), resolve)
    this.#byName.set(spec.name, { map, handle, host, id: ++this.#ids })
    this.#byHandle.set(handle, map)
    if (map instanceof RingBuffer) this.rings.push(map)
    for (const [key, value] of spec.contents ?? []) host.fill(key, value)
  }

  host(name: string): HostMap {
    return this.named(name).host
  }

  /** Throws a Diagnostic with the nearest names. */
  named(name: string): Entry {
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
  readonly observer: Observer | undefined
  readonly packet: Packet
  readonly context: Context
  readonly scratch: number
  readonly dynptr: number
  readonly run = new Run()
  readonly jit: 'auto' | 'always' | 'never'
  readonly verified: boolean
  readonly notes: string[] = []

  constructor(
    memory: Memory,
    maps: Maps,
    host: Host,
    fuel: number,
    { jit, verified, observer }: Pick<CollectionInit, 'jit' | 'verified' | 'observer'>,
  ) {
    this.memory = memory
    this.stacks = new Stacks(memory, MAX_FRAMES)
    this.maps = maps
    this.host = host
    this.fuel = fuel
    this.jit = jit
    this.verified = verified
    this.observer = observer
    this.packet = new Packet(memory)
    this.context = new Context(memory)
    this.scratch = memory.allocate({ name: 'the key of for_each_map_elem', size: 4, writable: false }).start
    this.dynptr = memory.allocate({ name: 'the dynptr of user_ringbuf_drain', size: 16, writable: false }).start
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
  readonly code: Code
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
    const call: Surrounding = {
      memory,
      host,
      type: spec.type,
      context: world.context,
      run: world.run,
      timers: maps.timers,
      sockets: maps.sockets,
      scratch: world.scratch,
      dynptr: world.dynptr,
      packet: world.packet,
      map: (handle) => maps.behind(handle),
      ringOf: (record) => maps.ringOf(record),
      packetMoved: () => this.#kind?.sync(world.context, world.packet),
    }
    for (const { map } of spec.relocations) usedBy(maps.named(map).map, spec)
    this.code = prepare(spec, addresses)
    const around: Surroundings = { memory, stacks, fuel, readPacket: this.#readPacket, observer: world.observer, call }
    this.#runner = this.#prepared(this.code, around)
  }

  #prepared(code: Code, around: Surroundings): Runner {
    const { jit, verified, notes, observer } = this.#world
    // Only the interpreter stops before each instruction.
    if (jit === 'never' || observer) return interpreted(code, around)
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
    this.#world.maps.timers.tick()
    this.#world.run.reset()
    kind.open(context, packet, input)
    const start = performance.now()
    const retval = this.#repeated(context.address, repeat)
    const duration = ((performance.now() - start) * 1e6) / repeat
    if (kind.pulled === undefined) return { retval, duration }
    const outcome = this.#world.run.outcome(this.spec.type, retval)
    return { retval, duration, ...outcome, data: withLinkHeader(packet.bytes(), kind.pulled) }
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
      const { memory, maps, run } = this.#world
      for (const ring of maps.rings) ring.abandon()
      // Its stack is gone, a value in a map is not.
      if (run.lock !== undefined && memory.allows(run.lock, 4, true)) memory.store(run.lock, 4, 0n)
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

/** A prog_array has programs of one type only. Throws a Diagnostic (EINVAL) where this one is of another. */
function usedBy(map: UserMap, program: ProgramSpec): void {
  if (!(map instanceof RefArray) || map.spec.type !== 'prog_array' || map.usedBy(program.type)) return
  throw new Diagnostic({
    code: 'user/prog-array',
    message: `program ${program.name} is a ${program.type}, and map ${map.spec.name} is used by programs of another type`,
    help: 'give each type of program a prog_array of its own',
    errno: 'EINVAL',
  })
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
