import { describe, expect, it } from 'vitest'
import { decode, encode, validate } from './codec.ts'
import { insn } from './insn.ts'

const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ')

describe('encode and decode', () => {
  it('lays a slot out as struct bpf_insn', () => {
    const slot = insn(0x7b, 10, 1, -8, 0)
    expect(hex(encode([slot]))).toBe('7b 1a f8 ff 00 00 00 00')
    expect(hex(encode([insn(0xb7, 3, 0, 0, -2)]))).toBe('b7 03 00 00 fe ff ff ff')
    expect(decode(encode([slot]))).toEqual([slot])
  })

  it('reads big-endian programs, whose registers are swapped too', () => {
    const bytes = Uint8Array.of(0x7b, 0xa1, 0xff, 0xf8, 0, 0, 0, 5)
    expect(decode(bytes, { bigEndian: true })).toEqual([insn(0x7b, 10, 1, -8, 5)])
  })

  it('reads bytes from the middle of a buffer', () => {
    const bytes = new Uint8Array(24)
    bytes.set(encode([insn(0x95)]), 8)
    expect(decode(bytes.subarray(8, 16))).toEqual([insn(0x95)])
  })

  it('refuses half an instruction', () => {
    expect(() => decode(new Uint8Array(12))).toThrow('a program of 12 bytes ends in the middle of an instruction')
  })

  it('refuses registers that do not exist', () => {
    expect(() => decode(Uint8Array.of(0xb7, 0x0b, 0, 0, 0, 0, 0, 0))).toThrow('insn 0: dst register r11 does not exist')
  })
})

describe('validate', () => {
  it('accepts an lddw with its second slot', () => {
    expect(validate([insn(0x18, 1, 0, 0, 5), insn(0, 0, 0, 0, 6), insn(0x95)])).toBeUndefined()
  })

  it.each([
    ['isa/unknown-opcode', [insn(0x95), insn(0xff)], 'insn 1: unknown opcode 0xff'],
    ['isa/reserved-field', [insn(0x95, 0, 0, 0, 1)], 'insn 0: exit with imm 1: there is no such instruction'],
    ['isa/lddw-cut-short', [insn(0x18, 1)], 'insn 0: the program ends between the two slots of lddw'],
    ['isa/lddw-second-slot', [insn(0x18, 1), insn(0x95)], 'insn 1: this is no second slot of lddw'],
    ['isa/lddw-second-slot', [insn(0x18, 1, 1), insn(0, 0, 0, 0, 1)], 'insn 1: this is no second slot of lddw_map_fd'],
    ['isa/unknown-opcode', [insn(0)], 'insn 0: unknown opcode 0x00'],
  ])('%s', (code, insns, message) => {
    expect(validate(insns)).toMatchObject({ code, message })
  })
})
