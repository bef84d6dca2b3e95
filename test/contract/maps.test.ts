// Sequences of map operations, from programs and from the host in turn, on every engine: each result and each error
// number must be those of a model that is small enough to be seen to be right.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Diagnostic } from '../../src/diag/diagnostic.ts'
import type { BpfMap, Collection, Engine, Prog, UpdateFlag } from '../../src/engine/engine.ts'
import type { MapSpec } from '../../src/object/spec.ts'
import { hex, map, object, program, u32, u64 } from './case.ts'
import { contents } from './contract.ts'
import { ENGINES } from './engines.ts'

/** A program that does one operation on map `m`, told by the packet: u32 operation, u32 key, u64 value, u64 flags. */
const OPERATE = `
  r6 = *(u32 *)(r1 + 0)
  r3 = *(u32 *)(r1 + 4)
  r2 = r6
  r2 += 24
  if r2 > r3 goto out
  r1 = *(u32 *)(r6 + 4)
  *(u32 *)(r10 - 4) = r1
  r1 = *(u64 *)(r6 + 8)
  *(u64 *)(r10 - 16) = r1
  r4 = *(u64 *)(r6 + 16)
  r7 = *(u32 *)(r6 + 0)
  r1 = map[m] ll
  r2 = r10
  r2 += -4
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

interface Step {
  readonly from: 'program' | 'host'
  readonly op: 'lookup' | 'update' | 'delete'
  readonly key: number
  readonly value: number
  readonly flag: UpdateFlag | 'bad'
}

const OPS = ['lookup', 'update', 'delete'] as const
const FLAGS = ['any', 'noexist', 'exist', 'bad'] as const
const FLAG_BITS = { any: 0n, noexist: 1n, exist: 2n, bad: 16n } as const
const ERRNO: Readonly<Record<string, number>> = { ENOENT: 2, E2BIG: 7, EEXIST: 17, EINVAL: 22 }

const steps = fc.array(
  fc.record<Step>({
    from: fc.constantFrom('program', 'host'),
    op: fc.constantFrom(...OPS),
    key: fc.nat(6),
    value: fc.nat(1000),
    flag: fc.constantFrom(...FLAGS),
  }),
  { maxLength: 40 },
)

/** `value 5`, `none`, `ok` or an error's name. */
type Answer = string

function model(spec: MapSpec): (step: Step) => Answer {
  const values = new Map<number, number>()
  const array = spec.type === 'array'
  if (array) for (let i = 0; i < spec.maxEntries; i++) values.set(i, 0)
  return ({ op, key, value, flag }) => {
    if (op === 'lookup') return values.has(key) ? `value ${values.get(key)}` : 'none'
    if (op === 'delete') return array ? 'EINVAL' : values.delete(key) ? 'ok' : 'ENOENT'
    if (flag === 'bad') return 'EINVAL'
    if (array && key >= spec.maxEntries) return 'E2BIG'
    if (values.has(key) && flag === 'noexist') return 'EEXIST'
    if (!values.has(key) && flag === 'exist') return 'ENOENT'
    if (!values.has(key) && values.size === spec.maxEntries) return 'E2BIG'
    values.set(key, value)
    return 'ok'
  }
}

function byProgram(prog: Prog, { op, key, value, flag }: Step): Answer {
  const data = new Uint8Array(24)
  const view = new DataView(data.buffer)
  view.setUint32(0, OPS.indexOf(op), true)
  view.setUint32(4, key, true)
  view.setBigUint64(8, BigInt(value), true)
  view.setBigUint64(16, FLAG_BITS[flag], true)
  const { retval } = prog.run({ data })
  if (op === 'lookup') return retval === 0xffff ? 'none' : `value ${retval}`
  const errno = Object.entries(ERRNO).find(([, number]) => retval === 2 ** 32 - number)
  return retval === 0 ? 'ok' : (errno?.[0] ?? `r0 ${retval}`)
}

const bytes = (n: number, size: 4 | 8): Uint8Array => new Uint8Array(new BigUint64Array([BigInt(n)]).buffer, 0, size)

function byHost(map: BpfMap, { op, key, value, flag }: Step): Answer {
  try {
    if (op === 'lookup') {
      const found = map.get(bytes(key, 4))
      return found ? `value ${new DataView(found.buffer).getUint32(0, true)}` : 'none'
    }
    if (op === 'delete') return map.delete(bytes(key, 4)) ? 'ok' : 'ENOENT'
    map.set(bytes(key, 4), bytes(value, 8), flag === 'bad' ? 'any' : flag)
    return 'ok'
  } catch (error) {
    if (error instanceof Diagnostic && error.errno) return error.errno
    throw error
  }
}

const SPECS = [map('m', 'hash', 4, 8, 4), map('m', 'array', 4, 8, 4), map('m', 'hash', 4, 8, 4, { flags: 1 })]

for (const candidate of ENGINES) {
  const reason = 'missing' in candidate ? `: ${candidate.missing}` : ''
  describe.skipIf('missing' in candidate)(`${candidate.title}${reason}`, () => {
    const load = async (spec: MapSpec): Promise<Collection> => {
      const engine: Engine = (candidate as { engine: () => Engine }).engine()
      return engine.load(object('maps', [program('operate', 'xdp', OPERATE)], [spec]))
    }

    it.each(SPECS)('a $type with flags $flags does what the model does', async (spec) => {
      const property = fc.asyncProperty(steps, async (sequence) => {
        using collection = await load(spec)
        const expected = model(spec)
        const prog = collection.progs.get('operate')!
        const live = collection.maps.get('m')!
        for (const step of sequence) {
          // The host's interface has no wrong flags.
          const meant: Step = step.from === 'host' && step.flag === 'bad' ? { ...step, flag: 'any' } : step
          expect(step.from === 'program' ? byProgram(prog, meant) : byHost(live, meant)).toBe(expected(meant))
        }
        const left = Array.from({ length: 7 }, (_, key) => [
          key,
          expected({ from: 'host', op: 'lookup', key, value: 0, flag: 'any' }),
        ])
        const there = left.filter(([, answer]) => answer !== 'none')
        const wanted = there.map(([key, answer]) => [u32(Number(key)), u64(BigInt(String(answer).slice(6)))])
        expect(contents(live)).toEqual(Object.fromEntries(wanted))
      })
      await fc.assert(property, { numRuns: 60 })
    })

    it('refuses keys and values of a wrong size', async () => {
      using collection = await load(SPECS[0])
      const live = collection.maps.get('m')!
      expect(() => live.get(new Uint8Array(3))).toThrow(expect.objectContaining({ errno: 'EINVAL' }))
      expect(() => live.set(new Uint8Array(4), new Uint8Array(7))).toThrow(expect.objectContaining({ errno: 'EINVAL' }))
      expect(() => live.events()).toThrow(expect.objectContaining({ errno: 'EINVAL' }))
    })

    it('holds an LRU hash to its size, and keeps what was written last', async () => {
      using collection = await load(map('m', 'lru_hash', 4, 8, 64))
      const live = collection.maps.get('m')!
      for (let key = 0; key < 500; key++) live.set(bytes(key, 4), bytes(key, 8))
      expect(hex(live.get(bytes(499, 4))!)).toBe(u64(499n))
      expect([...live.entries()].length).toBeLessThanOrEqual(64)
    })

    it('does not let the host write to a frozen map, nor a program find it empty', async () => {
      const full: MapSpec = { ...SPECS[1], frozen: true, contents: [[bytes(2, 4), bytes(9, 8)]] }
      using collection = await load(full)
      const live = collection.maps.get('m')!
      expect(() => live.set(bytes(2, 4), bytes(1, 8))).toThrow(expect.objectContaining({ errno: 'EPERM' }))
      const lookup: Step = { from: 'program', op: 'lookup', key: 2, value: 0, flag: 'any' }
      expect(byProgram(collection.progs.get('operate')!, lookup)).toBe('value 9')
    })

    it('is gone after close', async () => {
      const collection = await load(SPECS[0])
      const live = collection.maps.get('m')!
      collection.close()
      collection.close()
      expect(() => live.get(bytes(0, 4))).toThrow(expect.objectContaining({ errno: 'EBADF' }))
    })
  })
}
