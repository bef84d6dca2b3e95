import { describe, expect, it } from 'vitest'
import { assemble } from './assemble.ts'
import { type Insn, insn } from './insn.ts'
import type { Machine } from './machine.ts'
import { explain, INSNS, type InsnName, make, makeWide, type Operands, rowNamed, rowOf } from './table.ts'

/** A machine whose values are texts: what an instruction does is what it has written. */
class Recorder implements Machine<string> {
  readonly did: string[] = []

  get = (reg: number): string => `r${reg}`
  set(reg: number, value: string): void {
    this.did.push(`r${reg} = ${value}`)
  }
  imm = (value: number): string => `${value}`
  lddw = (kind: string, lo: number, hi: number): string => `lddw(${kind}, ${lo}, ${hi})`
  bin = (op: string, width: number, a: string, b: string): string => `${op}${width}(${a}, ${b})`
  neg = (width: number, a: string): string => `neg${width}(${a})`
  extend = (signed: boolean, from: number, width: number, a: string): string =>
    `${signed ? 's' : 'z'}ext${from}to${width}(${a})`
  swap = (to: string, bits: number, a: string): string => `${to}${bits}(${a})`
  copy = (width: number, a: string): string => `copy${width}(${a})`
  cast = (to: number, from: number, a: string): string => `cast(${to}, ${from}, ${a})`
  load = (size: number, signed: boolean, base: string, off: number): string =>
    `load${signed ? 's' : 'u'}${size}(${base}, ${off})`
  store(size: number, base: string, off: number, value: string): void {
    this.did.push(`store${size}(${base}, ${off}, ${value})`)
  }
  atomic(
    op: string,
    size: number,
    base: string,
    off: number,
    value: string,
    expected: string | undefined,
    fetch: boolean,
  ): string {
    const text = `atomic_${op}${size}(${base}, ${off}, ${value}${expected === undefined ? '' : `, ${expected}`})`
    if (!fetch) this.did.push(text)
    return text
  }
  loadAcquire = (size: number, base: string, off: number): string => `acquire${size}(${base}, ${off})`
  storeRelease(size: number, base: string, off: number, value: string): void {
    this.did.push(`release${size}(${base}, ${off}, ${value})`)
  }
  loadPacket = (size: number, index: string | undefined, imm: number): string => `packet${size}(${index}, ${imm})`
  branch(op: string, width: number, a: string, b: string, off: number): void {
    this.did.push(`if ${op}${width}(${a}, ${b}) jump ${off}`)
  }
  jump(off: number): void {
    this.did.push(`jump ${off}`)
  }
  mayGoto(off: number): void {
    this.did.push(`may_goto ${off}`)
  }
  call(kind: string, id: number, module: number): void {
    this.did.push(`call ${kind} ${id} ${module}`)
  }
  callReg(reg: number): void {
    this.did.push(`callx r${reg}`)
  }
  exit(): void {
    this.did.push('exit')
  }
}

function meaning(text: string): string {
  const [first, next] = assemble(text)
  const recorder = new Recorder()
  rowOf(first)?.mean(recorder, first, next)
  return recorder.did.join('; ')
}

describe('the meaning of', () => {
  it.each([
    ['r1 += -5', 'r1 = add64(r1, -5)'],
    ['w1 s>>= w2', 'r1 = arsh32(r1, r2)'],
    ['r1 s%= r2', 'r1 = smod64(r1, r2)'],
    ['w1 = 7', 'r1 = copy32(7)'],
    ['r1 = r2', 'r1 = copy64(r2)'],
    ['w3 = -w3', 'r3 = neg32(r3)'],
    ['w1 = (s8)w2', 'r1 = sext8to32(r2)'],
    ['r1 = (s32)r2', 'r1 = sext32to64(r2)'],
    ['r1 = le16 r1', 'r1 = le16(r1)'],
    ['r1 = be64 r1', 'r1 = be64(r1)'],
    ['r1 = bswap32 r1', 'r1 = swap32(r1)'],
    ['r1 = addr_space_cast(r2, 0, 1)', 'r1 = cast(0, 1, r2)'],
    ['r1 = *(u16 *)(r2 + 4)', 'r1 = loadu2(r2, 4)'],
    ['r1 = *(s32 *)(r2 - 4)', 'r1 = loads4(r2, -4)'],
    ['*(u8 *)(r10 - 1) = 255', 'store1(r10, -1, 255)'],
    ['*(u64 *)(r10 - 8) = r2', 'store8(r10, -8, r2)'],
    ['lock *(u64 *)(r1 + 8) += r2', 'atomic_add8(r1, 8, r2)'],
    ['w2 = atomic_fetch_xor((u32 *)(r1 + 8), w2)', 'r2 = atomic_xor4(r1, 8, r2)'],
    ['r2 = xchg_64(r1 + 8, r2)', 'r2 = atomic_xchg8(r1, 8, r2)'],
    ['w0 = cmpxchg32_32(r1 + 8, w0, w2)', 'r0 = atomic_cmpxchg4(r1, 8, r2, r0)'],
    ['r2 = load_acquire((u8 *)(r1 + 3))', 'r2 = acquire1(r1, 3)'],
    ['store_release((u64 *)(r1 + 8), r2)', 'release8(r1, 8, r2)'],
    ['r0 = *(u16 *)skb[12]', 'r0 = packet2(undefined, 12)'],
    ['r0 = *(u32 *)skb[r3 + 12]', 'r0 = packet4(r3, 12)'],
    ['r1 = 0x200000001 ll', 'r1 = lddw(imm, 1, 2)'],
    ['r1 = map_value[fd:3][8] ll', 'r1 = lddw(map_value, 3, 8)'],
    ['r1 = subprog[+4] ll', 'r1 = lddw(func, 4, 0)'],
    ['if w1 s> 3 goto +2', 'if sgt32(r1, 3) jump 2'],
    ['if r1 & r2 goto -2', 'if set64(r1, r2) jump -2'],
    ['goto +100', 'jump 100'],
    ['gotol +100000', 'jump 100000'],
    ['may_goto +3', 'may_goto 3'],
    ['call 14', 'call helper 14 0'],
    ['call pc+5', 'call local 5 0'],
    ['call kfunc 714 module 3', 'call kfunc 714 3'],
    ['callx r4', 'callx r4'],
    ['exit', 'exit'],
  ])('%s', (text, expected) => {
    expect(meaning(text)).toBe(expected)
  })
})

describe('the table', () => {
  it('names each instruction once', () => {
    expect(new Set(INSNS.map(({ name }) => name)).size).toBe(INSNS.length)
  })

  it('gives every slot one row: an instance of a row matches that row and no other', () => {
    for (const row of INSNS) {
      const operand = (field: string | number, value: number): number => (typeof field === 'number' ? field : value)
      const slot = insn(
        row.opcode,
        operand(row.dst, 3),
        operand(row.src, 4),
        operand(row.off, -7),
        operand(row.imm, 99),
      )
      const fitting = INSNS.filter(
        (other) =>
          other.opcode === slot.opcode &&
          (['dst', 'src', 'off', 'imm'] as const).every((f) => typeof other[f] !== 'number' || other[f] === slot[f]),
      )
      expect(fitting.map(({ name }) => name)).toEqual([row.name])
      expect(rowOf(slot)).toBe(row)
    }
  })

  it('has the opcodes of the RFC', () => {
    const opcode = (name: InsnName): number => rowNamed(name).opcode
    expect(opcode('add64_reg')).toBe(0x0f)
    expect(opcode('mov32_imm')).toBe(0xb4)
    expect(opcode('ldxdw')).toBe(0x79)
    expect(opcode('stxb')).toBe(0x73)
    expect(opcode('jsle32_reg')).toBe(0xde)
    expect(opcode('cmpxchg64')).toBe(0xdb)
    expect(opcode('lddw')).toBe(0x18)
    expect(opcode('may_goto')).toBe(0xe5)
  })
})

describe('make', () => {
  it('fills in the constants', () => {
    expect(make('sdiv64_reg', { dst: 1, src: 2 })).toEqual(insn(0x3f, 1, 2, 1, 0))
    expect(make('atomic_fetch_add64', { dst: 1, src: 2, off: 8 })).toEqual(insn(0xdb, 1, 2, 8, 1))
    expect(makeWide('lddw', { dst: 1, imm: -1 }, 5)).toEqual([insn(0x18, 1, 0, 0, -1), insn(0, 0, 0, 0, 5)])
  })

  it.each<[string, InsnName, Operands]>([
    ['a register that does not exist', 'mov64_imm', { dst: 11 }],
    ['an offset of more than 16 bits', 'ja', { off: 0x8000 }],
    ['an immediate of more than 32 bits', 'mov64_imm', { imm: 2 ** 31 }],
    ['half an immediate', 'mov64_imm', { imm: 0.5 }],
    ['an operand that there is not', 'exit', { imm: 1 }],
  ])('refuses %s', (_, name, operands) => {
    expect(() => make(name, operands)).toThrow(RangeError)
  })

  it('refuses a second slot where there is none', () => {
    expect(() => makeWide('exit', {})).toThrow('exit has one slot')
    expect(() => makeWide('lddw_map_fd', {}, 1)).toThrow('next of lddw_map_fd is 0, not 1')
  })
})

describe('explain', () => {
  it.each<[string, Insn, string]>([
    ['isa/unknown-opcode', insn(0xff), 'insn 3: unknown opcode 0xff'],
    ['isa/unknown-opcode', insn(0), 'insn 3: unknown opcode 0x00'],
    ['isa/bad-register', insn(0xbf, 1, 12), 'insn 3: src register r12 does not exist'],
    ['isa/reserved-field', insn(0x95, 1), 'insn 3: exit with dst 1: there is no such instruction'],
    ['isa/reserved-field', insn(0x3f, 1, 2, 7), 'insn 3: opcode 0x3f with off 7: there is no such instruction'],
    ['isa/reserved-field', insn(0xdb, 1, 2, 8, 7), 'insn 3: opcode 0xdb with imm 7: there is no such instruction'],
  ])('%s', (code, slot, message) => {
    expect(rowOf(slot)).toBeUndefined()
    expect(explain(slot, 3)).toMatchObject({ code, message })
  })

  it('says which values there are', () => {
    expect(explain(insn(0x3f, 1, 2, 7)).help).toBe('off must be one of 0, 1 here')
  })
})
