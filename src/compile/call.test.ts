import { describe, expect, it } from 'vitest'
import type { Engine } from '../engine/engine.ts'
import { kernelEngine } from '../engine/kernel/index.ts'
import { describeKernel } from '../engine/kernel/testing.ts'
import { userEngine } from '../engine/user/index.ts'
import type { ObjectSpec } from '../object/spec.ts'
import { verify } from '../verify/index.ts'
import { complaints, objectOf, platform } from './testing.ts'

// Functions of the file that are called, and those that are copied.

const probe = (body: string, functions: string, maps = ''): string =>
  `import { arrayMap, hash, i16, i64, str, struct, u8, u16, u32, u64, XDP, xdp, type Value } from 'waggle'
export const out = arrayMap(u64, 8)
${maps}
export const run = xdp((ctx) => {
  if (!ctx.has(8)) return XDP.DROP
${body}
  return XDP.PASS
})
${functions}
`

/** Large enough to be called. */
const MIX = `function mix(a: number, b: number) {
  let x = a
  for (let i = 0; i < 3; i++) x = (x ^ (x << 13)) + (b >>> 7) * 31 + i
  if (x > b) x -= b
  return x
}`
const mixed = (a: bigint, b: bigint): bigint => {
  let x = a
  for (let i = 0n; i < 3n; i++) x = BigInt.asUintN(64, (x ^ (x << 13n)) + (b >> 7n) * 31n + i)
  return x > b ? x - b : x
}

const functionsOf = (spec: ObjectSpec): string[] => spec.programs[0].functions.map(({ name }) => name)
const accepted = (spec: ObjectSpec): void => {
  for (const { diagnostic } of verify(spec, platform)) expect(diagnostic?.render()).toBeUndefined()
}

const PACKET = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0])

async function outOf(engine: Engine, spec: ObjectSpec): Promise<bigint[]> {
  using collection = await engine.load(spec)
  expect(collection.progs.get('run')?.run({ data: PACKET }).retval).toBe(2)
  return Array.from({ length: 8 }, (_, i) => {
    const bytes = collection.maps.get('out')?.get(new Uint8Array([i, 0, 0, 0])) as Uint8Array
    return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true)
  })
}

const CHAIN = `function outer(a: number, b: number) {
  return mix(a, b) + mix(b, a)
}
${MIX}`
const CHAINED = `  const a = ctx.u64(0)
  const b = u64(ctx.u32(4))
  out.set(0, outer(a, b))
  out.set(1, outer(b, a))
  out.set(2, a)`

const SHARED = `  const cell = cells.getOrInsert(ctx.u32(0), { hits: 0, total: 0, small: 0 })
  if (!cell) return XDP.DROP
  touch(cell, ctx.u16(0), ctx.u8(3) === 4)
  touch(cell, ctx.u16(2), ctx.u8(3) === 5)
  out.set(0, cell.hits)
  out.set(1, cell.total)
  out.set(2, cell.small)`
const TOUCH = `function touch(cell: Value<typeof Cell>, by: number, twice: boolean) {
  cell.hits += 1
  cell.total += by
  if (twice) {
    cell.total += by
    cell.small = cell.small * 2 + 1
  } else if (by > 300) cell.small = 7
  out.inc(7, by)
}`
const CELLS = `export const Cell = struct({ hits: u64, total: u64, small: u32 })
export const cells = hash(u32, Cell, 4)`

const PROGRAMS: readonly [name: string, text: string, functions: readonly string[], wanted: readonly bigint[]][] = [
  [
    'functions that call functions',
    probe(CHAINED, CHAIN),
    ['run', 'mix', 'outer'],
    (() => {
      const a = 0x0102030405060708n
      const b = 0x05060708n
      const outer = (x: bigint, y: bigint) => BigInt.asUintN(64, mixed(x, y) + mixed(y, x))
      return [outer(a, b), outer(b, a), a]
    })(),
  ],
  [
    'structs in maps as parameters',
    probe(SHARED, TOUCH, CELLS),
    ['run', 'touch'],
    [2n, 0x102n * 2n + 0x304n, 7n, 0n, 0n, 0n, 0n, 0x102n + 0x304n],
  ],
  [
    'values that live across calls',
    probe(
      `  const v0 = ctx.u64(0)\n` +
        Array.from({ length: 8 }, (_, i) => `  const w${i} = mix(v0 + ${i}, v0 ^ ${i})`).join('\n') +
        `\n${Array.from({ length: 8 }, (_, i) => `  out.set(${i}, w${i} + v0)`).join('\n')}`,
      MIX,
    ),
    ['run', 'mix'],
    Array.from({ length: 8 }, (_, i) => {
      const v0 = 0x0102030405060708n
      return BigInt.asUintN(64, mixed(v0 + BigInt(i), v0 ^ BigInt(i)) + v0)
    }),
  ],
]

describe('functions', () => {
  it.each(PROGRAMS)('are called: %s', async (_name, text, functions, wanted) => {
    const spec = await objectOf(text)
    accepted(spec)
    expect(functionsOf(spec).sort()).toEqual([...functions].sort())
    expect((await outOf(userEngine(), spec)).slice(0, wanted.length)).toEqual(wanted)
  })

  it('are BTF functions of static linkage, with lines of their own', async () => {
    const spec = await objectOf(PROGRAMS[1][1])
    const [, touch] = spec.programs[0].functions
    const type = spec.types[(touch.type ?? 0) - 1]
    expect(type).toMatchObject({ kind: 'func', name: 'touch', linkage: 'static' })
    expect(spec.programs[0].lines.some(({ insn }) => insn === touch.insn)).toBe(true)
  })

  it.each([
    ['called once', '  out.set(0, mix(ctx.u64(0), 1))', MIX],
    ['small', '  out.set(0, twice(ctx.u64(0)) + twice(ctx.u32(4)))', 'function twice(a: number) {\n  return a * 2\n}'],
    ['given constants', '  out.set(0, mix(1, 2))\n  out.set(1, mix(3, 4))', MIX],
    [
      'given the context',
      '  out.set(0, sum(ctx))\n  out.set(1, sum(ctx))',
      `function sum(ctx: XdpContext) {
  return ctx.u8(0) + ctx.u8(1) * 3 + ctx.u8(2) * 5 + ctx.u8(3) * 7 + ctx.u8(4) * 11
}`,
    ],
  ])('are copied where they are %s', async (_name, body, functions) => {
    const text = probe(body, functions).replace('type Value }', 'type Value, type XdpContext }')
    expect(functionsOf(await objectOf(text))).toEqual(['run'])
  })

  it('are one for each kind of parameter', async () => {
    const calls = ['mix(ctx.u64(0), wide)', 'mix(wide, ctx.u64(0))', 'mix(ctx.u32(0), wide)', 'mix(ctx.u32(4), wide)']
    const sets = calls.map((call, i) => `  out.set(${i}, ${call})`).join('\n')
    const spec = await objectOf(probe(`  const wide = u64(ctx.u32(4))\n${sets}`, MIX))
    accepted(spec)
    expect(functionsOf(spec)).toEqual(['run', 'mix', 'mix_2'])
  })

  /** `count` functions, each with a struct of so many words on its stack, that call each other twice. */
  const chain = (count: number, words: number): string => {
    const list = Array.from({ length: words }, (_, i) => (i === 0 ? 'a' : i)).join(', ')
    const functions = Array.from({ length: count }, (_, i) => {
      const result = i + 1 < count ? `f${i + 1}(a) + f${i + 1}(a + 1)` : 'a'
      return `function f${i}(a: number) {
  const large: Value<typeof Large> = { words: [${list}] }
  out.set(0, large.words[0] + large.words[1])
  return ${result}
}`
    })
    const maps = `export const Large = struct({ words: array(u64, ${words}) })`
    const text = probe('  out.set(1, f0(ctx.u64(0)) + f0(u64(ctx.u32(4))))', functions.join('\n'), maps)
    return text.replace('{ arrayMap', '{ array, arrayMap')
  }

  it('are called as deep as the stack goes', async () => {
    const spec = await objectOf(chain(3, 14))
    accepted(spec)
    expect(functionsOf(spec).sort()).toEqual(['f0', 'f1', 'f2', 'run'])
  })

  it('are copied where their frames would take more stack than the copies', async () => {
    const spec = await objectOf(chain(4, 12))
    accepted(spec)
    expect(functionsOf(spec)).toEqual(['run'])
  })

  it('are refused where neither fits', async () => {
    expect(await complaints(chain(4, 16))).toContain('bytes of stack; a program has 512')
  })
})

describeKernel('in the kernel', (support) => {
  it.each(PROGRAMS)('functions are called: %s', async (_name, text, _functions, wanted) => {
    const engine = kernelEngine({ support })
    try {
      expect((await outOf(engine, await objectOf(text))).slice(0, wanted.length)).toEqual(wanted)
    } finally {
      engine.close()
    }
  })
})
