// The same random sequence of map operations on the user engine and in the kernel: every result, every error number and
// what is left in the end must be the same. WAGGLE_FUZZ_RUNS makes more of them.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Diagnostic } from '../../src/diag/diagnostic.ts'
import type { BpfMap, Collection, Engine, Prog, UpdateFlag } from '../../src/engine/engine.ts'
import type { MapSpec } from '../../src/object/spec.ts'
import { hex, map, object, program } from './case.ts'
import { INTERPRETER, KERNEL } from './engines.ts'

const RUNS = Number(process.env.WAGGLE_FUZZ_RUNS ?? 40)

type Op =
  | { readonly op: 'get' | 'delete' | 'take'; readonly key: number }
  | { readonly op: 'set'; readonly key: number; readonly value: number; readonly flag: UpdateFlag }
  | { readonly op: 'setBatch' | 'deleteBatch'; readonly keys: readonly number[] }
  | { readonly op: 'getBatch' | 'takeBatch' }
  | {
      readonly op: 'program'
      readonly code: number
      readonly key: number
      readonly value: number
      readonly flags: number
    }
  | { readonly op: 'setRef'; readonly key: number; readonly name: string; readonly flag: UpdateFlag }
  | { readonly op: 'getRef'; readonly key: number }

/** One map type: how keys and values look, and what a program does with it. */
interface Kind {
  readonly spec: MapSpec
  readonly key: (n: number) => Uint8Array
  /** As a program has it; user space pads it as the engine wants. */
  readonly value: (n: number) => Uint8Array
  readonly program?: string
  readonly names?: readonly string[]
  /** Maps of the same object. */
  readonly others?: readonly MapSpec[]
  /** What is not compared, and why. */
  readonly skip?: Readonly<Partial<Record<Op['op'], string>>>
}

const bytes = (n: number, size: number): Uint8Array => {
  const out = new Uint8Array(size)
  for (let i = 0; i < Math.min(4, size); i++) out[i] = (n >>> (8 * i)) & 0xff
  return out
}
const key4 = (n: number): Uint8Array => bytes(n, 4)
const noKey = (): Uint8Array => new Uint8Array(0)
const value8 = (n: number): Uint8Array => bytes(n, 8)

/** Prefixes of 0 to 16 bits over few addresses, and some too long. */
const prefix = (n: number): Uint8Array => {
  const out = new Uint8Array(8)
  new DataView(out.buffer).setUint32(0, [0, 1, 7, 8, 9, 15, 16, 31, 32, 33][n % 10], true)
  out.set([[10, 10, 10, 138, 192][n % 5], [0, 1, 128, 129][(n >> 2) % 4], (n >> 1) & 1, n & 1], 4)
  return out
}

/** Packet: u32 code, u32 flags, 8 bytes of key, 8 bytes of value. Result: r0, or the value read, cut to 32 bits. */
const INPUT = `
  r6 = *(u32 *)(r1 + 0)
  r3 = *(u32 *)(r1 + 4)
  r2 = r6
  r2 += 24
  if r2 > r3 goto out
  r1 = *(u64 *)(r6 + 8)
  *(u64 *)(r10 - 8) = r1
  r1 = *(u64 *)(r6 + 16)
  *(u64 *)(r10 - 16) = r1
  r4 = *(u32 *)(r6 + 4)
  r7 = *(u32 *)(r6 + 0)
  r1 = map[m] ll
  r2 = r10`

const KEYED = `${INPUT}
  r2 += -8
  if r7 == 1 goto update
  if r7 == 2 goto delete
  call map_lookup_elem
  if r0 == 0 goto null
  r0 = *(u32 *)(r0 + 0)
  exit
  null: r0 = 0xffff
  exit
  update: r3 = r10
  r3 += -16
  call map_update_elem
  exit
  delete: call map_delete_elem
  exit
  out: r0 = 0xeeee
  exit`

const QUEUED = `${INPUT}
  r2 += -16
  if r7 == 1 goto push
  if r7 == 2 goto pop
  call map_peek_elem
  goto read
  pop: call map_pop_elem
  read: if r0 != 0 goto end
  r0 = *(u32 *)(r10 - 16)
  exit
  push: r3 = r4
  call bpf_map_push_elem
  end: exit
  out: r0 = 0xeeee
  exit`

const BLOOM = `${INPUT}
  r2 += -16
  if r7 == 1 goto push
  call map_peek_elem
  exit
  push: r3 = r4
  call map_push_elem
  exit
  out: r0 = 0xeeee
  exit`

/** Adds the value to element 0 of the inner map, and gives the sum. */
const INNER = `${INPUT}
  r2 += -8
  call map_lookup_elem
  if r0 == 0 goto null
  r1 = r0
  *(u32 *)(r10 - 20) = 0
  r2 = r10
  r2 += -20
  call map_lookup_elem
  if r0 == 0 goto null
  r1 = *(u64 *)(r10 - 16)
  r2 = *(u64 *)(r0 + 0)
  r2 += r1
  *(u64 *)(r0 + 0) = r2
  r0 = r2
  exit
  null: r0 = 0xffff
  exit
  out: r0 = 0xeeee
  exit`

const LOOKUP = `${INPUT}
  r2 += -8
  call map_lookup_elem
  if r0 == 0 goto null
  r0 = *(u32 *)(r0 + 0)
  exit
  null: r0 = 0xffff
  exit
  out: r0 = 0xeeee
  exit`

const inner = map('inner', 'array', 4, 8, 2)
const INNERS = [
  { ...inner, name: 'a' },
  { ...inner, name: 'b' },
  { ...inner, name: 'other', maxEntries: 3 },
]

const KINDS: readonly Kind[] = [
  { spec: map('m', 'hash', 4, 8, 5), key: key4, value: value8, program: KEYED },
  { spec: map('m', 'hash', 4, 8, 5, { flags: 1 }), key: key4, value: value8, program: KEYED },
  { spec: map('m', 'array', 4, 8, 5), key: key4, value: value8, program: KEYED },
  { spec: map('m', 'percpu_array', 4, 8, 5), key: key4, value: value8 },
  { spec: map('m', 'percpu_hash', 4, 8, 5), key: key4, value: value8 },
  { spec: map('m', 'lru_hash', 4, 8, 64), key: key4, value: value8, program: KEYED },
  { spec: map('m', 'lru_percpu_hash', 4, 8, 64), key: key4, value: value8 },
  { spec: map('m', 'lpm_trie', 8, 8, 6, { flags: 1 }), key: prefix, value: value8, program: KEYED },
  { spec: map('m', 'queue', 0, 8, 4), key: noKey, value: value8, program: QUEUED },
  { spec: map('m', 'stack', 0, 8, 4), key: noKey, value: value8, program: QUEUED },
  // Larger than the numbers that are drawn, so that nothing is found by accident.
  { spec: map('m', 'bloom_filter', 0, 8, 4096), key: noKey, value: value8, program: BLOOM },
  {
    spec: map('m', 'array_of_maps', 4, 4, 4, { inner }),
    key: key4,
    value: (n) => bytes(n + 100_000, 4),
    program: INNER,
    names: ['a', 'b', 'other', 'm', 'none'],
    others: INNERS,
    skip: { get: 'ids differ', getBatch: 'ids differ' },
  },
  {
    spec: map('m', 'hash_of_maps', 4, 4, 4, { inner }),
    key: key4,
    value: (n) => bytes(n + 100_000, 4),
    program: INNER,
    names: ['a', 'b', 'other', 'm', 'none'],
    others: INNERS,
    skip: { get: 'ids differ', getBatch: 'ids differ', takeBatch: 'ids differ', take: 'ids differ' },
  },
  {
    spec: map('m', 'prog_array', 4, 4, 4),
    key: key4,
    value: (n) => bytes(n + 100_000, 4),
    names: ['main', 'filter', 'none'],
    skip: { get: 'ids differ' },
  },
  { spec: map('m', 'perf_event_array', 4, 4, 4), key: key4, value: (n) => bytes(n + 100_000, 4) },
  // Interface 1 is the loopback device; 0 is none.
  { spec: map('m', 'devmap', 4, 4, 4), key: key4, value: (n) => bytes(n & 1, 4), program: LOOKUP },
  { spec: map('m', 'devmap', 4, 8, 4), key: key4, value: (n) => bytes(n & 1, 8), program: LOOKUP },
  { spec: map('m', 'devmap_hash', 4, 4, 4), key: key4, value: (n) => bytes(n & 1, 4), program: LOOKUP },
  { spec: map('m', 'cpumap', 4, 4, 1), key: key4, value: (n) => bytes(n % 3 === 0 ? 20_000 : n % 2, 4) },
]

const flag = fc.constantFrom<UpdateFlag>('any', 'noexist', 'exist')

function operations(kind: Kind): fc.Arbitrary<Op[]> {
  const { keySize, type } = kind.spec
  const key = fc.nat(type === 'lpm_trie' ? 40 : 6)
  const value = fc.nat(1000)
  const keys = fc.array(key, { maxLength: 4 })
  const all: fc.Arbitrary<Op>[] = [
    fc.record({ op: fc.constantFrom('get', 'delete', 'take'), key }),
    fc.record({ op: fc.constant('set'), key, value, flag }),
    fc.record({ op: fc.constant('set'), key, value, flag: fc.constant('any' as const) }),
  ]
  if (keySize > 0) {
    all.push(
      fc.record({ op: fc.constantFrom('setBatch', 'deleteBatch'), keys }),
      fc.record({ op: fc.constantFrom('getBatch', 'takeBatch') }),
    )
  }
  if (kind.program) {
    const code = fc.nat(2)
    const flags = fc.constantFrom(0, 0, 1, 2, 16)
    all.push(fc.record({ op: fc.constant('program'), code, key, value, flags }))
  }
  if (kind.names) {
    all.push(
      fc.record({ op: fc.constant('setRef'), key, name: fc.constantFrom(...kind.names), flag }),
      fc.record({
        op: fc.constant('setRef'),
        key,
        name: fc.constantFrom(...kind.names),
        flag: fc.constant('any' as const),
      }),
      fc.record({ op: fc.constant('getRef'), key }),
    )
  }
  return fc.array(fc.oneof(...all), { maxLength: 40 }) as fc.Arbitrary<Op[]>
}

/** A map on one engine. */
class Side {
  readonly #kind: Kind
  readonly #map: BpfMap
  readonly #prog: Prog | undefined
  /** A value as user space has it on this engine: one for each CPU, maybe. */
  readonly #copies: number

  constructor(collection: Collection, kind: Kind) {
    this.#kind = kind
    this.#map = collection.maps.get('m')!
    this.#prog = collection.progs.get('main')
    this.#copies = kind.spec.type.includes('percpu') ? this.#cpus() : 1
  }

  do(op: Op): string {
    if (this.#kind.skip?.[op.op]) return 'skipped'
    try {
      return this.#answer(op)
    } catch (error) {
      if (error instanceof Diagnostic && error.errno) return error.errno
      throw error
    }
  }

  /** All that is there, in order of keys. */
  left(): string[] {
    try {
      return this.#list([...this.#map.entries()])
    } catch (error) {
      return [error instanceof Diagnostic ? String(error.errno) : String(error)]
    }
  }

  #answer(op: Op): string {
    const { key } = this.#kind
    const map = this.#map
    switch (op.op) {
      case 'get':
        return this.#shown(this.#kind.spec.type === 'bloom_filter' ? this.#has(op.key) : map.get(key(op.key)))
      case 'take':
        return this.#shown(map.lookupAndDelete(key(op.key)))
      case 'delete':
        return String(map.delete(key(op.key)))
      case 'set':
        map.set(key(op.key), this.#value(op.value), op.flag)
        return 'ok'
      case 'setRef':
        map.setRef(key(op.key), op.name, op.flag)
        return 'ok'
      case 'getRef':
        return map.getRef(key(op.key)) ?? 'none'
      case 'setBatch':
        return JSON.stringify(
          map.setBatch(
            op.keys.map(key),
            op.keys.map((n) => this.#value(n)),
          ),
        )
      case 'deleteBatch':
        return JSON.stringify(map.deleteBatch(op.keys.map(key)))
      case 'getBatch':
      case 'takeBatch':
        return this.#pass(op.op).join()
      case 'program':
        return String(this.#run(op))
    }
  }

  /** A whole pass, in batches of three. */
  #pass(op: 'getBatch' | 'takeBatch'): string[] {
    const found: (readonly [Uint8Array, Uint8Array])[] = []
    for (let batch = this.#map[op](3); ; batch = this.#map[op](3, batch.next)) {
      found.push(...batch.elements)
      if (!batch.next) return this.#list(found)
    }
  }

  #has(n: number): Uint8Array | undefined {
    return this.#map.has(this.#value(n)) ? new Uint8Array(1) : undefined
  }

  #run({ code, key, value, flags }: Extract<Op, { op: 'program' }>): number {
    const data = new Uint8Array(24)
    const view = new DataView(data.buffer)
    view.setUint32(0, code, true)
    view.setUint32(4, flags, true)
    data.set(this.#kind.key(key), 8)
    data.set(this.#kind.value(value), 16)
    return this.#prog!.run({ data }).retval
  }

  #value(n: number): Uint8Array {
    const one = this.#kind.value(n)
    const all = new Uint8Array(one.length * this.#copies)
    for (let i = 0; i < this.#copies; i++) all.set(one, i * one.length)
    return all
  }

  #shown(value: Uint8Array | undefined): string {
    return value ? hex(value.subarray(0, value.length / this.#copies)) : 'none'
  }

  #list(elements: readonly (readonly [Uint8Array, Uint8Array])[]): string[] {
    const ids = this.#kind.names !== undefined
    return elements.map(([key, value]) => `${hex(key)}=${ids ? 'id' : this.#shown(value)}`).sort()
  }

  #cpus(): number {
    if (this.#kind.spec.type === 'percpu_array') return this.#map.get(new Uint8Array(4))!.length / 8
    for (let copies = 1; copies <= 1024; copies++) {
      try {
        this.#map.set(new Uint8Array(4), new Uint8Array(8 * copies))
        this.#map.delete(new Uint8Array(4))
        return copies
      } catch {
        // Not as many CPUs as that.
      }
    }
    throw new Error('no number of CPUs fits')
  }
}

const FILTER = 'r0 = 0\n exit'

const spec = (kind: Kind) =>
  object(
    'agreement',
    [
      ...(kind.program || kind.names ? [program('main', 'xdp', kind.program ?? usesProgArray)] : []),
      ...(kind.names ? [program('filter', 'socket_filter', FILTER)] : []),
    ],
    [...(kind.others ?? []), kind.spec],
  )

/** Makes the prog_array one of XDP programs. */
const usesProgArray = `
  r2 = map[m] ll
  r3 = 0
  call tail_call
  r0 = 0
  exit`

const missing = 'missing' in KERNEL ? `: ${KERNEL.missing}` : ''

describe.skipIf('missing' in KERNEL)(`user engine and kernel${missing}`, () => {
  const user = INTERPRETER.engine()

  it.each(KINDS)('agree on a $spec.type with flags $spec.flags and values of $spec.valueSize', async (kind) => {
    const kernel = (KERNEL as { engine: () => Engine }).engine()
    const property = fc.asyncProperty(operations(kind), async (ops) => {
      using ours = await user.load(spec(kind))
      using theirs = await kernel.load(spec(kind))
      const [a, b] = [new Side(ours, kind), new Side(theirs, kind)]
      for (const op of ops) expect(`${JSON.stringify(op)}: ${a.do(op)}`).toBe(`${JSON.stringify(op)}: ${b.do(op)}`)
      expect(a.left()).toEqual(b.left())
    })
    await fc.assert(property, { numRuns: RUNS })
  })
})
