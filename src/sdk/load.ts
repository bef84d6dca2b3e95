// load: a probe as a library. The module that declares maps and programs hands them over, and gets live ones back,
// typed as they were declared: maps that are read and written with values instead of bytes, ring buffers that are
// async iterables, programs that attach. The kernel code is compiled from the module's own source file.

import type { Config, Decoded, MapDeclaration, ProgramDeclaration, RingBuffer } from '../compile/surface.ts'
import { Diagnostic } from '../diag/diagnostic.ts'
import type { BpfMap, Collection, Engine, EventSource, Link, Prog, UpdateFlag } from '../engine/engine.ts'
import { decoder, encoder, type Value } from '../event/decode.ts'
import { lostOf, viewMap } from '../event/view.ts'
import { configure } from '../object/configure.ts'
import type { Platform } from '../spec/platform.ts'

/** What can be handed over: exports of the probe's module, by their names. */
export type Declarations = Readonly<Record<string, MapDeclaration | ProgramDeclaration | Config>>

/** What becomes of each. Config values are fixed at load and stay descriptions. */
export type Live<D> =
  D extends RingBuffer<infer R>
    ? LiveEvents<Decoded<R>>
    : D extends MapDeclaration<infer K, infer V>
      ? LiveMap<Decoded<K>, Decoded<V>>
      : D extends ProgramDeclaration
        ? LiveProgram
        : D

export type App<D extends Declarations> = { readonly [Name in keyof D]: Live<D[Name]> } & AsyncDisposable &
  Disposable & {
    /** Where it runs: `kernel 6.18.44`. */
    readonly engine: string
  }

export interface LoadOptions {
  /** `kernel` if absent. The user engine runs programs by hand only: {@link LiveProgram.run}. */
  readonly engine?: 'kernel' | 'user'
  /** Config values that differ from their defaults. */
  readonly config?: Readonly<Record<string, number | bigint>>
}

/** A map by values. Iterating it passes over its entries while programs may write. */
export interface LiveMap<K, V> extends Iterable<[key: K, value: V]> {
  get(key: K): V | undefined
  /** Throws a Diagnostic with `errno`: E2BIG if the map is full, EEXIST, ENOENT. */
  set(key: K, value: V, flag?: UpdateFlag): void
  /** Whether there was such a key. */
  delete(key: K): boolean
  /** What programs could not store because the map was full. */
  readonly lost: bigint | undefined
}

/** The records of a ring buffer as they come. */
export interface LiveEvents<T> extends AsyncIterable<T> {
  /** What is there now, without waiting. */
  drain(): T[]
  readonly lost: bigint | undefined
}

export interface LiveProgram {
  /** Attaches to what the declaration names, or to `target`: an interface's name for xdp. */
  attach(target?: string): Link
  /** Runs it once on a packet or a context, as BPF_PROG_TEST_RUN does. */
  run: Prog['run']
}

/**
 * Compiles, verifies and loads the kernel code of a module: `await using app = await load(import.meta, { counts, onExec })`.
 * Throws a Diagnostic, or an AggregateError of several. Disposing the app detaches and closes everything.
 */
export async function load<const D extends Declarations>(
  meta: { readonly filename: string },
  declarations: D,
  options: LoadOptions = {},
): Promise<App<D>> {
  // Node and the engines are loaded here and not above: a browser may import the declarations of this package.
  const { obtain, verifySpec } = await import('./source.ts')
  const place = await placeOf(options.engine ?? 'kernel')
  const opened: Disposable[] = [place]
  const close = () => {
    for (const each of opened.splice(0).reverse()) each[Symbol.dispose]()
  }
  try {
    const { spec } = await obtain(meta.filename, place.platform)
    const settings = new Map(Object.entries(options.config ?? {}).map(([name, value]) => [name, String(value)]))
    const configured = configure(spec, settings)
    if (settings.size > 0) await verifySpec(configured, place.platform)
    const collection = await place.engine.load(configured)
    opened.push(collection)
    const live = Object.entries(declarations).map(([name, each]) => [name, liven(name, each, collection)])
    return Object.assign(Object.fromEntries(live), {
      engine: place.engine.description,
      [Symbol.dispose]: close,
      [Symbol.asyncDispose]: async () => close(),
    }) as App<D>
  } catch (error) {
    close()
    throw error
  }
}

interface Place extends Disposable {
  readonly engine: Engine
  readonly platform: Platform
}

async function placeOf(name: 'kernel' | 'user'): Promise<Place> {
  if (name === 'user') {
    const { userEnginePlatform } = await import('./user-platform.ts')
    const { userEngine } = await import('../engine/user/index.ts')
    return { engine: userEngine(), platform: userEnginePlatform(), [Symbol.dispose]: () => {} }
  }
  const { kernelEngine, kernelSupport } = await import('../engine/kernel/index.ts')
  const support = kernelSupport()
  if (!support.ok) throw support.missing
  const { kernelPlatform } = await import('./platform.ts')
  const engine = kernelEngine({ support })
  return { engine, platform: kernelPlatform(support, engine.tracefs), [Symbol.dispose]: () => engine.close() }
}

function liven(name: string, declaration: Declarations[string], collection: Collection): unknown {
  if (declaration.kind === 'config') return declaration
  const found = declaration.kind === 'program' ? collection.progs.get(name) : collection.maps.get(name)
  if (!found) {
    throw new Diagnostic({
      code: 'sdk/name',
      message: `the module exports no ${declaration.kind} named ${name}`,
      help: 'hand declarations over under the names that they are exported by: load(import.meta, { counts })',
    })
  }
  if ('attach' in found) return liveProgram(found)
  return found.spec.type === 'ringbuf' ? liveEvents(found, collection) : liveMap(found, collection)
}

const liveProgram = (prog: Prog): LiveProgram => ({
  attach: (to) => prog.attach(to),
  run: (input) => prog.run(input),
})

function liveMap(map: BpfMap, collection: Collection): LiveMap<Value, Value> {
  const { keyType = 0, valueType = 0 } = map.spec
  const { types } = collection.spec
  const [key, value] = [encoder(types, keyType), encoder(types, valueType)]
  const read = decoder(types, valueType)
  return {
    get: (k) => {
      const bytes = map.get(key(k))
      return bytes && read(bytes)
    },
    set: (k, v, flag) => map.set(key(k), value(v), flag),
    delete: (k) => map.delete(key(k)),
    get lost() {
      return lostOf(collection, map)
    },
    *[Symbol.iterator]() {
      for (const entry of viewMap(collection, map).entries) yield [entry.key, entry.value]
    },
  }
}

function liveEvents(map: BpfMap, collection: Collection): LiveEvents<Value> {
  const read = decoder(collection.spec.types, map.spec.valueType ?? 0)
  let source: EventSource | undefined
  const open = (): EventSource => {
    source ??= map.events()
    return source
  }
  return {
    drain: () =>
      open()
        .drain()
        .map((record) => read(record)),
    get lost() {
      return lostOf(collection, map)
    },
    async *[Symbol.asyncIterator]() {
      for await (const record of open()) yield read(record)
    },
  }
}
