import { describe, expect, it } from 'vitest'
import { assembleProgram } from '../../../isa/assemble.ts'
import type { Insn } from '../../../isa/insn.ts'
import { make } from '../../../isa/table.ts'
import type { MapSpec, ObjectSpec } from '../../../object/spec.ts'
import { HELPER_IDS } from '../../../spec/gen/uapi.ts'
import { type UserEngineOptions, userEngine } from '../index.ts'

const helpers = new Map<string, number>(Object.entries(HELPER_IDS))

function object(
  insns: readonly Insn[],
  more: Partial<ObjectSpec['programs'][number]> = {},
  maps: readonly MapSpec[] = [],
): ObjectSpec {
  const program = {
    name: 'main',
    type: 'xdp',
    section: 'xdp',
    insns,
    relocations: [],
    lines: [],
    functions: [],
    ...more,
  } as const
  return { name: 'test', license: 'GPL', programs: [program], maps, types: [] }
}

function assembled(asm: string, maps: readonly MapSpec[] = []): ObjectSpec {
  const { insns, relocations, lines } = assembleProgram(asm, { helpers, file: 'p.asm' })
  return object(insns, { relocations, lines }, maps)
}

async function run(spec: ObjectSpec, options: UserEngineOptions): Promise<number> {
  using collection = await userEngine(options).load(spec)
  return collection.progs.get('main')!.run({ data: new Uint8Array(64) }).retval
}

/** `count` additions to r0. */
const straight = (count: number, imm = 1): Insn[] => [
  make('mov64_imm', { dst: 0, imm: 0 }),
  ...new Array<Insn>(count).fill(make('add64_imm', { dst: 0, imm })),
  make('exit'),
]

const MODES = [
  ['interpreted', { jit: 'never' }],
  ['compiled', { jit: 'always' }],
  ['compiled and verified', { jit: 'always', verified: true }],
] as const

describe('userEngine', () => {
  it('says what it runs programs with', () => {
    expect(userEngine().description).toBe('user engine (WebAssembly)')
    expect(userEngine({ jit: 'never' }).description).toBe('user engine (interpreter)')
  })

  it('compiles what it can, and has nothing to note then', async () => {
    using collection = await userEngine().load(object(straight(1000)))
    expect(collection.notes).toEqual([])
  })

  it('interprets a function that is too large for WebAssembly, and says so', { timeout: 60_000 }, async () => {
    const spec = object(straight(999_998, 0x4000_0001))
    using collection = await userEngine().load(spec)
    expect(collection.notes).toEqual([
      expect.stringMatching(
        /^program main is interpreted: a function of 1000000 instructions is larger than .*7654321/,
      ),
    ])
    expect(collection.progs.get('main')!.run({ data: new Uint8Array(64) }).retval).toBe(999_998 + 2 * 2 ** 30)
    await expect(userEngine({ jit: 'always' }).load(spec)).rejects.toThrow(
      expect.objectContaining({ code: 'user/not-compiled' }),
    )
  })

  it('compiles a program of 1,000,000 instructions', { timeout: 60_000 }, async () => {
    expect(await run(object(straight(999_998)), { jit: 'always' })).toBe(999_998)
  })
})

describe.each(MODES)('%s', (_, mode) => {
  it('runs a loop that is entered in two places', async () => {
    const asm = `r0 = 0
      r2 = *(u32 *)(r1 + 12)
      if r2 == 1 goto b
      a: r0 += 1
      b: r0 += 10
      if r0 < 50 goto a
      exit`
    expect(await run(assembled(asm), mode)).toBe(54)
  })

  it('keeps what callees do from their callers', async () => {
    const asm = `r6 = 1
      r7 = 2
      r8 = 40
      *(u64 *)(r10 - 8) = 7
      r1 = r8
      call func
      r0 += r6
      r0 += r7
      r1 = *(u64 *)(r10 - 8)
      r0 += r1
      exit
      func: r6 = 100
      *(u64 *)(r10 - 8) = 1000
      r0 = *(u64 *)(r10 - 8)
      r0 += r1
      exit`
    expect(await run(assembled(asm), mode)).toBe(1050)
  })

  it('passes only arguments that are used, in their order', async () => {
    const asm = `r1 = 1
      r2 = 20
      r3 = 300
      r4 = 4000
      r5 = 50000
      call func
      exit
      func: r0 = r4
      r0 -= r2
      exit`
    expect(await run(assembled(asm), mode)).toBe(3980)
  })

  it('repeats a program in one call', async () => {
    const counts: MapSpec = { name: 'n', type: 'array', keySize: 4, valueSize: 8, maxEntries: 1, flags: 0 }
    const asm = `r1 = map_value[n][0] ll
      r2 = 1
      lock *(u64 *)(r1 + 0) += r2
      r0 = *(u64 *)(r1 + 0)
      exit`
    using collection = await userEngine(mode).load(assembled(asm, [counts]))
    expect(collection.progs.get('main')!.run({ data: new Uint8Array(64), repeat: 1000 }).retval).toBe(1000)
  })

  it('looks up keys of odd sizes in a hash that grows', async () => {
    const table: MapSpec = { name: 'm', type: 'hash', keySize: 13, valueSize: 4, maxEntries: 5000, flags: 0 }
    const asm = `r2 = *(u32 *)(r1 + 0)
      r1 = map[m] ll
      call map_lookup_elem
      if r0 == 0 goto none
      r0 = *(u32 *)(r0 + 0)
      exit
      none: r0 = -1
      exit`
    using collection = await userEngine(mode).load(assembled(asm, [table]))
    const live = collection.maps.get('m')!
    const key = (n: number): Uint8Array => Uint8Array.from({ length: 13 }, (_, i) => (n * (i + 1)) & 0xff)
    const prog = collection.progs.get('main')!
    const look = (n: number): number => prog.run({ data: Uint8Array.of(...key(n), ...new Uint8Array(51)) }).retval
    for (let n = 0; n < 250; n++) live.set(key(n), new Uint8Array(new Uint32Array([n + 7]).buffer))
    for (let n = 0; n < 256; n++) expect(look(n)).toBe(n < 250 ? n + 7 : 0xffff_ffff)
    live.delete(key(3))
    expect(look(3)).toBe(0xffff_ffff)
  })
})

describe('checked code', () => {
  it('counts rounds of loops, and of calls that call themselves', async () => {
    for (const asm of [
      'r0 = 0\nloop: r0 += 1\ngoto loop',
      'call func\nexit\nfunc: r6 = 1\nl: r6 += 1\nif r6 != 0 goto l\nexit',
    ]) {
      await expect(run(assembled(asm), { jit: 'always', fuel: 1e6 })).rejects.toThrow(
        expect.objectContaining({ code: 'user/fuel' }),
      )
    }
  })

  it('has fuel for a short way through a long program', async () => {
    const asm = `r0 = 1\nif r0 == 1 goto e\n${'r0 += 1\n'.repeat(500)}e: exit`
    expect(await run(assembled(asm), { jit: 'always', fuel: 100 })).toBe(1)
    const loop = 'r0 = 0\nl: r0 += 1\nif r0 == 5 goto e\nif r0 != 90 goto l\ne: exit'
    expect(await run(assembled(loop), { jit: 'always', fuel: 100 })).toBe(5)
    await expect(run(assembled(loop.replace('== 5', '== 95')), { jit: 'always', fuel: 100 })).rejects.toThrow(
      expect.objectContaining({ code: 'user/fuel' }),
    )
  })

  it('does not let a pointer out of what it was made from', async () => {
    const asm = `r2 = *(u32 *)(r1 + 0)
      r3 = r10
      r3 -= r2
      r2 += r3
      r0 = *(u8 *)(r2 - 8)
      exit`
    await expect(run(assembled(asm), { jit: 'always' })).rejects.toThrow(/has left what it was made from/)
  })
})
