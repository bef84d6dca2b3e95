// Programs that no verifier has seen: the user engine must come through any of them with a result or a Diagnostic, and
// its memory with it. Instructions are drawn from the whole table, helpers from all that the engine has.
// WAGGLE_FUZZ_RUNS and WAGGLE_FUZZ_SEED as in fuzz.test.ts.

import { expect, it } from 'vitest'
import { Diagnostic } from '../../src/diag/diagnostic.ts'
import type { Engine } from '../../src/engine/engine.ts'
import { USER_HELPERS, userEngine } from '../../src/engine/user/index.ts'
import { disassemble } from '../../src/isa/disassemble.ts'
import { type Insn, insn } from '../../src/isa/insn.ts'
import { INSNS, make, makeWide } from '../../src/isa/table.ts'
import type { ObjectSpec, Relocation } from '../../src/object/spec.ts'
import { HELPER_IDS } from '../../src/spec/gen/uapi.ts'
import { hex, map, result } from '../contract/case.ts'
import { contents } from '../contract/contract.ts'
import { random } from './generate.ts'

const RUNS = Number(process.env.WAGGLE_FUZZ_RUNS ?? 2000)
const SEED = Number(process.env.WAGGLE_FUZZ_SEED ?? 1)
const ONE_SLOT = INSNS.filter(
  ({ slots, name }) => slots === 1 && !['callx', 'call_kfunc'].includes(name) && !name.startsWith('cast'),
)
const inner = map('h', 'hash', 4, 8, 4)
const MAPS = [
  result,
  inner,
  map('l', 'lru_hash', 8, 16, 2),
  map('r', 'ringbuf', 0, 0, 4096),
  map('q', 'queue', 0, 8, 2),
  map('t', 'lpm_trie', 8, 8, 4, { flags: 1 }),
  map('b', 'bloom_filter', 0, 8, 4),
  map('i', 'array_of_maps', 4, 4, 2, { inner, refs: [[new Uint8Array(4), 'h']] }),
  map('p', 'prog_array', 4, 4, 2, { refs: [[new Uint8Array(4), 'hostile']] }),
  map('e', 'perf_event_array', 4, 4, 2),
  map('d', 'devmap', 4, 4, 2),
  map('u', 'user_ringbuf', 0, 0, 4096),
]
/** Whose elements the host can go through. */
const WALKED: ReadonlySet<string> = new Set(['array', 'hash', 'lru_hash', 'lpm_trie', 'array_of_maps', 'devmap'])

function hostile(seed: number): ObjectSpec {
  const next = random(seed)
  const pick = <T>(from: readonly T[]): T => from[next(from.length)]
  const insns: Insn[] = [make('mov64_reg', { dst: 6, src: 1 })]
  const relocations: Relocation[] = []
  const wide = (): void => {
    const kind = next(3)
    if (kind < 2) {
      const target = kind === 0 ? pick(MAPS) : result
      relocations.push({ insn: insns.length, kind: kind === 0 ? 'map' : 'map_value', map: target.name, offset: 0 })
      insns.push(...makeWide(kind === 0 ? 'lddw_map_fd' : 'lddw_map_value', { dst: 1 + next(5) }))
    } else insns.push(...makeWide('lddw_func', { dst: 1 + next(5), imm: next(20) - 10 }))
  }
  for (let i = 0; i < 40; i++) {
    const kind = next(10)
    if (kind === 0) wide()
    else if (kind < 3) insns.push(make('call_helper', { imm: HELPER_IDS[pick(USER_HELPERS)] }))
    else if (kind === 3)
      insns.push(
        make('mov64_reg', { dst: 1 + next(5), src: 10 }),
        make('add64_imm', { dst: 1 + next(5), imm: -next(64) }),
      )
    else if (kind === 4) insns.push(make('mov64_imm', { dst: 1 + next(5), imm: next(70) - 6 }))
    else {
      const row = pick(ONE_SLOT)
      const field = (of: unknown, value: number): number => (typeof of === 'number' ? of : value)
      const imm = field(row.imm, row.name.startsWith('call') ? next(20) - 10 : next(2 ** 32) | 0)
      // r10 only where it is read: programs that write it are refused.
      const stores = /^(st|atomic|store)/.test(row.name)
      const reads = /^(stx|atomic_(add|or|and|xor)|store|ldx|load|mov|j)/.test(row.name)
      const dst = field(row.dst, next(stores ? 11 : 10))
      insns.push(insn(row.opcode, dst, field(row.src, next(reads ? 11 : 10)), field(row.off, next(40) - 30), imm))
    }
  }
  insns.push(make('exit'))
  const program = {
    name: 'hostile',
    type: pick(['xdp', 'sched_cls', 'syscall'] as const),
    section: 'x',
    insns,
    functions: [],
    lines: [],
    relocations,
  } as const
  return { name: 'hostile', license: 'GPL', programs: [program], maps: MAPS, types: [] }
}

/** How the program of `seed` ends on the engine, and what it leaves in its maps. */
async function end(engine: Engine, seed: number): Promise<{ code: string; place: string; left: string }> {
  const left: string[] = []
  try {
    using collection = await engine.load(hostile(seed))
    const data = new Uint8Array(64).fill(0xa5)
    try {
      const { retval, data: out } = collection.progs.get('hostile')!.run({ data, ctx: data, repeat: 2 })
      left.push(`${retval} ${out && hex(out)}`)
    } finally {
      for (const [name, live] of collection.maps)
        if (WALKED.has(live.spec.type)) left.push(`${name} ${JSON.stringify(contents(live))}`)
      expect(data).toEqual(new Uint8Array(64).fill(0xa5))
    }
  } catch (error) {
    if (!(error instanceof Diagnostic)) {
      throw new Error(`${replay(seed)}\n${disassemble(hostile(seed).programs[0].insns)}`, { cause: error })
    }
    return { code: error.code, place: `${error.message}, ${error.notes[0]?.message}`, left: left.join() }
  }
  return { code: 'result', place: '', left: left.join() }
}

const replay = (seed: number): string => `WAGGLE_FUZZ_SEED=${seed} WAGGLE_FUZZ_RUNS=1`

it('unverified programs end in a result or a Diagnostic, the same compiled', {
  timeout: 20_000 + RUNS * 20,
}, async () => {
  const options = { memory: 2 ** 24, host: { now: 1n, random: 1 } }
  const interpreter = userEngine({ ...options, fuel: 5000, jit: 'never' })
  const compiled = userEngine({ ...options, fuel: 5000, jit: 'always' })
  const ends = new Map<string, number>()
  for (let seed = SEED; seed < SEED + RUNS; seed++) {
    const expected = await end(interpreter, seed)
    ends.set(expected.code, (ends.get(expected.code) ?? 0) + 1)
    const actual = await end(compiled, seed)
    // Tail calls and timers are not compiled.
    if (actual.code === 'user/not-compiled') continue
    // Compiled code counts whole rounds of loops, so that it is out of fuel at another place, or not yet.
    if (expected.code === 'user/fuel' || actual.code === 'user/fuel') continue
    expect(actual, `${replay(seed)}\n${disassemble(hostile(seed).programs[0].insns)}`).toEqual(expected)
  }
  // The programs are worth something only if they come as far as each of these ends.
  if (RUNS >= 1000) for (const end of ['result', 'user/fault', 'user/fuel']) expect(ends.get(end)).toBeGreaterThan(0)
})
