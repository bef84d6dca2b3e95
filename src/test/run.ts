// ProbeRun: a probe loaded for one test case, driven and looked at with values instead of bytes.

import { Diagnostic } from '../diag/diagnostic.ts'
import { nearest } from '../diag/nearest.ts'
import type { BpfMap, Collection, EventSource, Prog, RunInput } from '../engine/engine.ts'
import { decoder, encoder, type Value } from '../event/decode.ts'
import { lostOf } from '../event/view.ts'
import { verdictName } from '../spec/verdict.ts'

/** What one run of a program gave. */
export interface Outcome {
  /** `PASS`, `DROP`, … for XDP; for other programs the number that it returned, as text. */
  readonly verdict: string
  /** The same as a number. */
  readonly retval: number
  /** The packet as the program left it; empty where there was none. */
  readonly data: Uint8Array
}

/** A map by its values. 64-bit integers are bigints, shorter ones numbers. */
export interface TestMap {
  readonly size: number
  get(key: Value): Value | undefined
  set(key: Value, value: Value): void
  /** Whether there was such a key. */
  delete(key: Value): boolean
  entries(): [key: Value, value: Value][]
  /** What the program could not store because the map was full; undefined if it does not count that. */
  readonly lost: bigint | undefined
}

export class ProbeRun {
  /** What the program printed (bpf_trace_printk), in order. */
  readonly printed: readonly string[]
  readonly #collection: Collection
  readonly #sources = new Map<string, EventSource>()

  constructor(collection: Collection, printed: readonly string[]) {
    this.#collection = collection
    this.printed = printed
  }

  /** Runs a packet through the program called `program`; the only one, if absent. Throws a Diagnostic on a fault. */
  packet(data: Uint8Array, program?: string): Outcome {
    return this.#run({ data }, program)
  }

  /** Runs a program on the bytes of its context: a tracepoint's record, the words of a raw tracepoint. */
  context(ctx: Uint8Array, program?: string): Outcome {
    return this.#run({ ctx }, program)
  }

  map(name: string): TestMap {
    const map = this.#map(name)
    const { spec } = map
    const { types } = this.#collection.spec
    const [key, value] = [codec(types, spec.keyType), codec(types, spec.valueType)]
    const entries = (): [Value, Value][] =>
      Array.from(map.entries(), ([k, v]): [Value, Value] => [key.decode(k), value.decode(v)])
    const collection = this.#collection
    return {
      get size() {
        return entries().length
      },
      get lost() {
        return lostOf(collection, map)
      },
      entries,
      get: (at) => {
        const bytes = map.get(key.encode(at))
        return bytes && value.decode(bytes)
      },
      set: (at, to) => map.set(key.encode(at), value.encode(to)),
      delete: (at) => map.delete(key.encode(at)),
    }
  }

  /** The events that came to a ring buffer since it was last asked. */
  events(name: string): Value[] {
    const map = this.#map(name)
    const source = this.#sources.get(name) ?? map.events()
    this.#sources.set(name, source)
    const { decode } = codec(this.#collection.spec.types, map.spec.valueType)
    return source.drain().map((record) => decode(record))
  }

  #run(input: RunInput, name: string | undefined): Outcome {
    const prog = this.#prog(name)
    const { retval, data = new Uint8Array(0) } = prog.run(input)
    return { verdict: verdictName(prog.spec.type, retval), retval, data }
  }

  #prog(name: string | undefined): Prog {
    const { progs, spec } = this.#collection
    const [only, ...others] = progs.values()
    const prog = name === undefined ? (others.length === 0 ? only : undefined) : progs.get(name)
    if (prog) return prog
    throw new Diagnostic({
      code: 'test/no-such-program',
      message: name === undefined ? `${spec.name} has ${progs.size} programs` : `${spec.name} has no program ${name}`,
      help: `say which one after the input: ${[...progs.keys()].join(', ')}`,
    })
  }

  #map(name: string): BpfMap {
    const { maps, spec } = this.#collection
    const map = maps.get(name)
    if (map) return map
    const close = nearest(name, maps.keys())
    throw new Diagnostic({
      code: 'test/no-such-map',
      message: `${spec.name} has no map ${name}`,
      help:
        close.length > 0 ? `did you mean ${close.join(' or ')}?` : `it has ${[...maps.keys()].join(', ') || 'none'}`,
    })
  }
}

interface TypeCodec {
  decode(bytes: Uint8Array): Value
  encode(value: Value): Uint8Array
}

/** Types that the object does not know stay bytes, as lists of numbers. */
function codec(types: Collection['spec']['types'], id: number | undefined): TypeCodec {
  if (id === undefined) return { decode: (bytes) => [...bytes], encode: (value) => Uint8Array.from(value as number[]) }
  const decode = decoder(types, id)
  return { decode: (bytes) => decode(bytes), encode: encoder(types, id) }
}
