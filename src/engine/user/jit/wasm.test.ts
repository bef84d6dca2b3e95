import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Bytes, Code, Module, OP, TYPE } from './wasm.ts'

const { i32, i64 } = TYPE

/** The exports of a module with these functions, by name; each takes what `params` says and gives a result. */
function instance(
  functions: Readonly<
    Record<string, { code: Code; params: readonly (typeof i32 | typeof i64)[]; result: typeof i32 | typeof i64 }>
  >,
  imports: Record<string, unknown> = {},
): Record<string, (...args: unknown[]) => unknown> {
  const module = new Module()
  for (const [name, { code, params, result }] of Object.entries(functions)) {
    const index = module.declare({ params, results: [result] })
    module.define(index, code)
    module.export(name, index)
  }
  const memory = new WebAssembly.Memory({ initial: 1 })
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.finish()), { env: { memory, ...imports } })
  return exports as Record<string, (...args: unknown[]) => unknown>
}

describe('Bytes', () => {
  it('writes unsigned numbers so that seven bits a byte add up to them', () => {
    fc.assert(
      fc.property(fc.nat({ max: 0xffff_ffff }), (value) => {
        const bytes = new Bytes(1)
        bytes.unsigned(value)
        const read = [...bytes.view()].reduce((sum, byte, i) => sum + (byte & 0x7f) * 2 ** (7 * i), 0)
        expect(read).toBe(value)
        expect([...bytes.view()].map((byte) => byte >> 7)).toEqual([...new Array(bytes.length - 1).fill(1), 0])
      }),
    )
  })

  it('fills a placeholder with a number of any length', () => {
    fc.assert(
      fc.property(fc.nat({ max: 0xffff_ffff }), (value) => {
        const bytes = new Bytes()
        bytes.byte(7)
        const at = bytes.placeholder()
        bytes.byte(9)
        bytes.patch(at, value)
        const [first, a, b, c, d, e, last] = bytes.view()
        expect([first, last]).toEqual([7, 9])
        expect([a, b, c, d, e].reduce((sum, byte, i) => sum + (byte & 0x7f) * 2 ** (7 * i), 0)).toBe(value)
      }),
    )
  })
})

describe('a module', () => {
  it('has the constants that were written', () => {
    const number = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
    fc.assert(
      fc.property(number, fc.integer(), (wide, narrow) => {
        const a = new Code(0)
        a.i64(wide)
        a.end()
        const b = new Code(0)
        b.i32(narrow)
        b.end()
        const { f, g } = instance({ f: { code: a, params: [], result: i64 }, g: { code: b, params: [], result: i32 } })
        expect(f()).toBe(wide)
        expect(g()).toBe(narrow)
      }),
      { numRuns: 50 },
    )
  })

  it('calls its own functions behind the imported ones, and has locals of mixed types', () => {
    const module = new Module()
    const signature = { params: [i32], results: [i32] }
    const imported = module.import('twice', signature)
    const main = module.declare(signature)
    const helper = module.declare(signature)
    const code = new Code(1)
    const locals = [TYPE.i32, TYPE.i64, TYPE.i64, TYPE.i32].map((type) => code.local(type))
    expect(locals).toEqual([1, 2, 3, 4])
    code.get(0)
    code.callOwn(helper)
    code.callImport(imported)
    code.tee(locals[3])
    code.get(locals[0])
    code.op(OP.i32_add)
    code.end()
    module.define(main, code)
    const callee = new Code(1)
    callee.get(0)
    callee.i32(100)
    callee.op(OP.i32_add)
    callee.end()
    module.define(helper, callee)
    module.export('main', main)
    const env = { memory: new WebAssembly.Memory({ initial: 1 }), twice: (x: number) => x * 2 }
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.finish()), { env })
    expect((exports.main as (x: number) => number)(5)).toBe(210)
  })

  it('must have every function that it declares', () => {
    const module = new Module()
    module.declare({ params: [], results: [] })
    expect(() => module.finish()).toThrow(RangeError)
  })
})
