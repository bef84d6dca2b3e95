import { describe, expect, it } from 'vitest'
import { Diagnostic } from '../diag/diagnostic.ts'
import { userEngine } from '../engine/user/index.ts'
import type { CondOp } from '../isa/machine.ts'
import { INSNS, rowOf } from '../isa/table.ts'
import { emit } from './emit.ts'
import { Builder } from './ir.ts'
import { layout } from './layout.ts'
import type { LowBlock, LowProgram, Reg, Step } from './low.ts'
import { backEnd, compileText, objectOfIr } from './testing.ts'

const lineAt = () => ({ file: 'ir', line: 1, column: 1, text: '' })
const reg = (id: number): Reg => ({ id, short: false })

/** A branch on r1 over `distance` instructions: exits with 1 if it is taken and with 2 if not. */
function branching(cond: CondOp, distance: number): { program: LowProgram; allocation: Map<Reg, number> } {
  const value = reg(0)
  const block = (id: number, ...steps: Step[]): LowBlock => ({ id, steps })
  const taken = block(2, { op: 'exit', a: 1, at: 0 })
  const filler = Array.from(
    { length: distance },
    (): Step => ({ op: 'make', d: value, constant: { kind: 'imm', value: 3n }, at: 0 }),
  )
  const other = block(1, ...filler, { op: 'exit', a: 2, at: 0 })
  const start = block(
    0,
    { op: 'make', d: value, constant: { kind: 'imm', value: 5n }, at: 0 },
    { op: 'branch', cond, a: value, b: 5, yes: taken, no: other, at: 0 },
  )
  return {
    program: { name: 'run', blocks: [start, other, taken], regs: 1, spills: 0 },
    allocation: new Map([[value, 1]]),
  }
}

async function verdict(cond: CondOp, distance: number) {
  const { program, allocation } = branching(cond, distance)
  const emitted = emit(program, allocation, { frame: 0, far: true, lineAt })
  using collection = await userEngine().load(objectOfIr(emitted, [0n], 1))
  return { emitted, retval: collection.progs.get('run')?.run({ data: new Uint8Array(14) }).retval }
}

describe('jumps', () => {
  it('use 16 bits as far as they reach', async () => {
    const { emitted, retval } = await verdict('eq', 0x7fff - 2)
    expect(emitted.insns[1].off).toBe(0x7fff)
    expect(retval).toBe(1)
  })

  it.each([
    ['eq', 1],
    ['ne', 2],
    ['set', 1],
    ['sgt', 2],
  ] as const)('are gotol beyond: %s', async (cond, wanted) => {
    const { emitted, retval } = await verdict(cond, 0x8000)
    expect(emitted.insns.map((insn) => rowOf(insn)?.name)).toContain('ja32')
    expect(retval).toBe(wanted)
  })

  it('are refused beyond where the platform has no gotol', () => {
    const { program, allocation } = branching('eq', 0x8000)
    expect(() => emit(program, allocation, { frame: 0, far: false, lineAt })).toThrow(Diagnostic)
    expect(() => emit(program, allocation, { frame: 0, far: false, lineAt })).toThrow('goes further than 32767')
  })
})

describe('offsets', () => {
  it('that no instruction holds are added first', async () => {
    const { spec } = await compileText(`import { comm, ringbuf, str, struct, u64, XDP, xdp } from 'waggle'
export const Big = struct({ text: str(40000), after: u64 })
export const big = ringbuf(Big, 1048576)
export const run = xdp(() => {
  big.emit({ text: comm(), after: 7 })
  return XDP.PASS
})
`)
    if (!spec) throw new Error('no object')
    using collection = await userEngine().load(spec)
    expect(collection.progs.get('run')?.run({ data: new Uint8Array(14) }).retval).toBe(2)
  })
})

describe('layout', () => {
  it('never jumps to the next instruction, nor to a jump', () => {
    const builder = new Builder('test')
    const ctx = builder.emit({ op: 'ctx' }, [], 0)
    const load = (offset: number) => builder.emit({ op: 'load', size: 8, offset, pure: true }, [ctx], 0)
    const out = builder.newBlock()
    for (let i = 0; i < 6; i++) {
      const [yes, no, after] = [builder.newBlock(), builder.newBlock(), builder.newBlock()]
      const zero = builder.emit({ op: 'const', value: 0n }, [], 0)
      builder.end({ op: 'branch', cond: i % 2 ? 'eq' : 'ne', a: load(i * 8), b: zero, yes, no, at: i })
      builder.enter(yes)
      builder.emit({ op: 'call', helper: 'ktime_get_ns', id: 5 }, [], i)
      builder.end({ op: 'jump', to: i % 3 ? after : out, at: i })
      builder.enter(no)
      builder.end({ op: 'jump', to: after, at: i })
      builder.enter(after)
    }
    builder.end({ op: 'jump', to: out, at: 0 })
    builder.enter(out)
    builder.end({ op: 'exit', value: builder.emit({ op: 'const', value: 0n }, [], 0), at: 0 })
    const { insns } = backEnd(builder)
    const ja = INSNS.find(({ name }) => name === 'ja')?.opcode
    insns.forEach((insn, i) => {
      if (insn.opcode !== ja) return
      expect(insn.off).not.toBe(0)
      expect(insns[i + 1 + insn.off].opcode).not.toBe(ja)
    })
    expect(insns.filter((insn) => rowOf(insn)?.name === 'call_helper').length).toBe(6)
  })

  it('makes one of blocks that do the same for the same place', () => {
    const value = reg(0)
    const exit = (id: number, at: number): LowBlock => ({ id, steps: [{ op: 'exit', a: 1, at }] })
    const build = (at: number): LowProgram => ({
      name: 'run',
      blocks: [
        { id: 0, steps: [{ op: 'branch', cond: 'eq', a: value, b: 1, yes: exit(1, 5), no: exit(2, at), at: 0 }] },
      ],
      regs: 1,
      spills: 0,
    })
    const [same, different] = [build(5), build(6)]
    layout(same, new Map([[value, 1]]))
    layout(different, new Map([[value, 1]]))
    expect(same.blocks.flatMap(({ steps }) => steps.map(({ op }) => op))).toEqual(['jump', 'exit'])
    expect(different.blocks.length).toBe(3)
  })

  it('tells a register from a number', () => {
    const [value, other] = [reg(0), reg(1)]
    const exit = (id: number, a: Reg | number): LowBlock => ({ id, steps: [{ op: 'exit', a, at: 0 }] })
    const program: LowProgram = {
      name: 'run',
      blocks: [
        { id: 0, steps: [{ op: 'branch', cond: 'eq', a: value, b: 1, yes: exit(1, other), no: exit(2, 3), at: 0 }] },
      ],
      regs: 2,
      spills: 0,
    }
    layout(
      program,
      new Map([
        [value, 1],
        [other, 3],
      ]),
    )
    expect(program.blocks.length).toBe(3)
  })
})
