// The kernel engine: an ObjectSpec goes in, live maps and programs come out. In order: the object's BTF, maps
// (filled and frozen), programs with file descriptors patched into their instructions. Everything hangs on file
// descriptors of this process; whatever fails, those opened so far are closed, and a process that is killed leaves nothing.

import { Diagnostic } from '../../diag/diagnostic.ts'
import { encode } from '../../isa/codec.ts'
import type { Insn } from '../../isa/insn.ts'
import type { MapSpec, ObjectSpec, ProgramSpec } from '../../object/spec.ts'
import { MAP_TYPES, PROG_FLAGS, PROG_TYPES, STRUCT_SIZES, STRUCTS } from '../../spec/gen/uapi.ts'
import type { Collection, Engine } from '../engine.ts'
import type { AttachHost } from './attach.ts'
import { type Bpf, objectName } from './bpf.ts'
import { loadBtf, type ObjectBtf } from './btf.ts'
import { errnoName, isErrno, refusal } from './errors.ts'
import { KernelMap, type Referents, readCounter } from './map.ts'
import { type KernelInfo, type KernelSupport, kernelSupport, neededFor, notAllowed } from './probe.ts'
import { KernelProg } from './prog.ts'
import { cString } from './sys.ts'
import { Tracefs } from './tracefs.ts'
import { verifierDiagnostic } from './verifier.ts'

/** The src field of lddw (BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE; RFC 9669 section 5.4). */
const PSEUDO_MAP_FD = 1
const PSEUDO_MAP_VALUE = 2

/** Log buffers to try, in bytes: the kernel says ENOSPC when one is too small. The last is its own limit's order. */
const LOG_SIZES = [1 << 16, 1 << 20, 1 << 24]

/** The kernel gives EAGAIN when a signal came during verification. */
const ATTEMPTS = 5

export interface KernelEngine extends Engine, Disposable {
  readonly tracefs: Tracefs
  /** Closes what the engine itself holds (tracefs), not what it loaded. */
  close(): void
}

export interface KernelEngineOptions {
  /** What `kernelSupport` said, where it has been asked already. */
  readonly support?: KernelSupport
  /** To be shared with whoever compiles for this kernel; one of its own if absent. */
  readonly tracefs?: Tracefs
}

/** The engine of this machine's kernel. Throws the Diagnostic of `kernelSupport` where that can't be used. */
export function kernelEngine(options: KernelEngineOptions = {}): KernelEngine {
  const support = options.support ?? kernelSupport()
  if (!support.ok) throw support.missing
  const { bpf, ...info } = support
  const host: AttachHost = { bpf, info, tracefs: options.tracefs ?? new Tracefs(bpf.sys) }
  const close = () => host.tracefs.close()
  const engine: KernelEngine = {
    name: 'kernel',
    description: `kernel ${info.number}`,
    tracefs: host.tracefs,
    load: async (spec) => KernelCollection.load(engine, host, spec),
    close,
    [Symbol.dispose]: close,
  }
  return engine
}

class KernelCollection implements Collection {
  readonly engine: Engine
  readonly spec: ObjectSpec
  readonly progs = new Map<string, KernelProg>()
  readonly maps = new Map<string, KernelMap>()
  /** What the kernel did not take but could do without, one sentence each. */
  readonly notes: string[] = []
  readonly #host: AttachHost

  private constructor(engine: Engine, host: AttachHost, spec: ObjectSpec) {
    this.engine = engine
    this.#host = host
    this.spec = spec
  }

  static load(engine: Engine, host: AttachHost, spec: ObjectSpec): KernelCollection {
    distinct('maps', spec.maps)
    distinct('programs', spec.programs)
    const collection = new KernelCollection(engine, host, spec)
    const btf = loadBtf(host.bpf, spec)
    if (btf?.refused) collection.notes.push(btf.refused)
    try {
      for (const map of spec.maps) collection.#addMap(map, btf)
      collection.#connectLost()
      for (const program of spec.programs) collection.#addProgram(program, btf)
      collection.#connectRefs()
      return collection
    } catch (error) {
      collection.close()
      throw error
    } finally {
      // Maps and programs hold on to it from here.
      host.bpf.sys.close(btf?.fd ?? -1)
    }
  }

  close(): void {
    for (const prog of this.progs.values()) prog.close()
    // A reader takes a last look at its count of losses, which is in another map.
    for (const map of this.maps.values()) map.closeEvents()
    for (const map of this.maps.values()) map.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #addMap(spec: MapSpec, btf: ObjectBtf | undefined): void {
    const { bpf, info } = this.#host
    const inner = spec.inner ? createMap(bpf, spec.inner, btf).fd : undefined
    if (inner !== undefined && inner < 0) throw mapRefused(spec.inner!, inner, info)
    const { fd, typed } = createMap(bpf, spec, btf, inner)
    // The kernel has looked at the template, and does not keep it.
    bpf.sys.close(inner ?? -1)
    if (fd < 0) throw mapRefused(spec, fd, info)
    this.maps.set(spec.name, new KernelMap(bpf, spec, fd))
    if (typed === false) {
      this.notes.push(`the kernel does not take the types of map "${spec.name}": tools show its bytes`)
    }
    for (const [key, value] of spec.contents ?? []) {
      const errno = bpf.mapUpdate(fd, key, value)
      if (errno < 0) throw refusal({ call: 'map_update_elem', errno, what: `map "${spec.name}" cannot be filled` })
    }
    // What it refers to comes when everything is there.
    if (!spec.refs) this.#freeze(spec, fd)
  }

  #freeze(spec: MapSpec, fd: number): void {
    const errno = spec.frozen ? this.#host.bpf.mapFreeze(fd) : 0
    if (errno < 0) throw refusal({ call: 'map_freeze', errno, what: `map "${spec.name}" cannot be frozen` })
  }

  #connectLost(): void {
    for (const map of this.maps.values()) {
      const { lost } = map.spec
      if (!lost) continue
      const counter = this.#map(lost.map, `the count of losses of map "${map.spec.name}"`)
      map.countLost(() => readCounter(counter, lost.offset))
    }
  }

  /** Lets maps refer to programs and to each other, as the object says. */
  #connectRefs(): void {
    const { bpf } = this.#host
    const of = (kind: 'program' | 'map') => (kind === 'program' ? this.progs : this.maps)
    const referents: Referents = {
      fd: (kind, name) => of(kind).get(name)?.fd,
      name: (kind, id) => [...of(kind)].find(([, { fd }]) => idOf(bpf, kind, fd) === id)?.[0],
    }
    for (const map of this.maps.values()) {
      map.refersTo(referents)
      for (const [key, name] of map.spec.refs ?? []) map.setRef(key, name)
      if (map.spec.refs) this.#freeze(map.spec, map.fd)
    }
  }

  #addProgram(spec: ProgramSpec, btf: ObjectBtf | undefined): void {
    const { bpf, info } = this.#host
    const insns = encode(this.#relocate(spec))
    const values = {
      prog_type: PROG_TYPES[spec.type],
      insn_cnt: spec.insns.length,
      insns,
      license: cString(this.spec.license),
      // The kernel takes programs of this type only so.
      prog_flags: spec.type === 'syscall' ? PROG_FLAGS.sleepable : 0,
      prog_name: objectName(spec.name),
      ...btf?.ofProgram(spec),
    }
    const fd = withRetry(() => bpf.progLoad(values))
    if (fd >= 0) {
      this.progs.set(spec.name, new KernelProg(this.#host, spec, fd))
      return
    }
    const log = explain(bpf, values)
    if (log !== '') throw verifierDiagnostic(spec, log, errnoName(fd))
    if (isErrno(fd, 'EPERM') || isErrno(fd, 'EACCES')) throw notAllowed(fd, neededFor(spec.type), info)
    throw refusal({ call: 'prog_load', errno: fd, what: `program "${spec.name}" cannot be loaded` })
  }

  #relocate(program: ProgramSpec): Insn[] {
    const insns = [...program.insns]
    for (const relocation of program.relocations) {
      const { fd } = this.#map(relocation.map, `program "${program.name}"`)
      const at = relocation.insn
      const direct = relocation.kind === 'map_value'
      insns[at] = { ...insns[at], src: direct ? PSEUDO_MAP_VALUE : PSEUDO_MAP_FD, imm: fd }
      insns[at + 1] = { ...insns[at + 1], imm: direct ? relocation.offset : 0 }
    }
    return insns
  }

  #map(name: string, user: string): KernelMap {
    const map = this.maps.get(name)
    if (map) return map
    const message = `${user} refers to map "${name}", which the object does not have`
    throw new Diagnostic({ code: 'kernel/no-map', message, errno: 'ENOENT' })
  }
}

const INFO = {
  program: { size: STRUCT_SIZES.bpf_prog_info, id: STRUCTS.bpf_prog_info.id },
  map: { size: STRUCT_SIZES.bpf_map_info, id: STRUCTS.bpf_map_info.id },
}

/** The kernel's number of a program or map; 0 if it does not say. */
function idOf(bpf: Bpf, kind: 'program' | 'map', fd: number): number {
  const { size, id } = INFO[kind]
  const info = new Uint8Array(size)
  return bpf.objInfo(fd, info) < 0 ? 0 : new DataView(info.buffer).getUint32(id.offset, true)
}

type ProgLoad = Parameters<Bpf['progLoad']>[0]

function withRetry(call: () => number): number {
  let result = call()
  for (let i = 1; i < ATTEMPTS && isErrno(result, 'EAGAIN'); i++) result = call()
  return result
}

/** A refused program's log: asked for only now, since writing it slows verification down. Empty if the kernel has nothing to say. */
function explain(bpf: Bpf, values: ProgLoad): string {
  let log = ''
  for (const size of LOG_SIZES) {
    const buffer = new Uint8Array(size)
    const fd = withRetry(() => bpf.progLoad({ ...values, log_level: 1, log_size: size, log_buf: buffer }))
    bpf.sys.close(fd)
    log = new TextDecoder().decode(buffer.subarray(0, buffer.indexOf(0)))
    if (!isErrno(fd, 'ENOSPC')) break
  }
  return log
}

/** With the types of its keys and values, or without them where the kernel takes the map only so (`typed` is false). */
function createMap(
  bpf: Bpf,
  spec: MapSpec,
  btf: ObjectBtf | undefined,
  inner?: number,
): { fd: number; typed?: boolean } {
  const plain = {
    map_type: MAP_TYPES[spec.type],
    key_size: spec.keySize,
    value_size: spec.valueSize,
    max_entries: spec.maxEntries,
    map_flags: spec.flags,
    map_name: objectName(spec.name),
    ...(inner !== undefined && { inner_map_fd: inner }),
    ...(spec.extra !== undefined && { map_extra: spec.extra }),
  }
  if (!btf || btf.fd < 0 || !spec.keyType || !spec.valueType) return { fd: bpf.mapCreate(plain) }
  const types = { btf_fd: btf.fd, btf_key_type_id: spec.keyType, btf_value_type_id: spec.valueType }
  const fd = bpf.mapCreate({ ...plain, ...types })
  if (!isErrno(fd, 'EINVAL') && !isErrno(fd, 'ENOTSUPP')) return { fd, typed: true }
  return { fd: bpf.mapCreate(plain), typed: false }
}

function mapRefused(spec: MapSpec, errno: number, info: KernelInfo): Diagnostic {
  const [major, minor] = info.version
  // Before Linux 5.11 EPERM may also be the limit of locked memory, which the general refusal explains.
  const accounted = major < 5 || (major === 5 && minor < 11)
  if (isErrno(errno, 'EPERM') && !accounted) return notAllowed(errno, ['bpf'], info)
  const help = spec.type === 'ringbuf' ? 'The size of a ring buffer is a power of two and whole pages.' : undefined
  return refusal({ call: 'map_create', errno, what: `map "${spec.name}" cannot be created`, help })
}

function distinct(what: string, items: readonly { readonly name: string }[]): void {
  const twice = items.find(({ name }, i) => items.findIndex((other) => other.name === name) < i)
  if (!twice) return
  throw new Diagnostic({ code: 'kernel/two-of-a-name', message: `the object has two ${what} named "${twice.name}"` })
}
