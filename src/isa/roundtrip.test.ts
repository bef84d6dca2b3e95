// Properties of the whole instruction set: what is printed is read back, and nothing that is thrown at the readers
// makes them fail with anything but a Diagnostic.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Diagnostic } from '../diag/diagnostic.ts'
import { assemble, assembleProgram } from './assemble.ts'
import { decode, encode, validate } from './codec.ts'
import { disassemble } from './disassemble.ts'
import type { Insn } from './insn.ts'
import type { Field } from './row.ts'
import { INSNS, make, makeWide, type NamedRow } from './table.ts'

const edge = (least: number, most: number): fc.Arbitrary<number> =>
  fc.oneof(fc.integer({ min: least, max: most }), fc.constantFrom(least, most, 0, 1, -1))
const VALUES = { reg: fc.nat(10), off: edge(-0x8000, 0x7fff), imm: edge(-0x8000_0000, 0x7fff_ffff) }

const operand = (field: Field): fc.Arbitrary<number> => (typeof field === 'number' ? fc.constant(field) : VALUES[field])

const instance = (row: NamedRow): fc.Arbitrary<Insn[]> =>
  fc
    .record({
      dst: operand(row.dst),
      src: operand(row.src),
      off: operand(row.off),
      imm: operand(row.imm),
      next: operand(row.next ?? 0),
    })
    .map(({ next, ...operands }) => (row.slots === 2 ? makeWide(row.name, operands, next) : [make(row.name, operands)]))

const program = fc.array(fc.constantFrom(...INSNS).chain(instance), { maxLength: 20 }).map((insns) => insns.flat())

/** Runs `work`; only a Diagnostic may come out of it. */
function onlyDiagnostics(work: () => void): void {
  try {
    work()
  } catch (error) {
    if (!(error instanceof Diagnostic)) throw error
    expect(error.message).not.toBe('')
    error.render()
  }
}

describe('every instruction', () => {
  it('is printed and read back, in both dialects and as bytes', () => {
    for (const row of INSNS) {
      fc.assert(
        fc.property(instance(row), (insns) => {
          expect(validate(insns)).toBeUndefined()
          expect(decode(encode(insns))).toEqual(insns)
          for (const dialect of ['kernel', 'vector'] as const) {
            const text = disassemble(insns, { dialect })
            expect(assemble(text), text).toEqual(insns)
          }
        }),
        { numRuns: 12 },
      )
    }
  })

  it('keeps its place in a program with numbers and comments', () => {
    fc.assert(
      fc.property(program, (insns) => {
        const text = disassemble(insns, { numbers: true, source: (slot) => `line ${slot} // r0 = 1` })
        expect(assemble(text)).toEqual(insns)
      }),
      { numRuns: 50 },
    )
  })
})

describe('anything at all', () => {
  it('as bytes gives instructions or a Diagnostic', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      fc
        .array(fc.uint8Array({ minLength: 8, maxLength: 8 }), { maxLength: 6 })
        .map((slots) => Uint8Array.from(slots.flatMap((slot) => [...slot]))),
      // A good program with one byte changed.
      fc.tuple(program, fc.nat(), fc.nat(255)).map(([insns, at, value]) => {
        const out = encode(insns)
        if (out.length > 0) out[at % out.length] = value
        return out
      }),
    )
    fc.assert(
      fc.property(bytes, fc.boolean(), (input, bigEndian) =>
        onlyDiagnostics(() => {
          const insns = decode(input, { bigEndian })
          const wrong = validate(insns)
          if (wrong) throw wrong
          expect(assemble(disassemble(insns))).toEqual(insns)
        }),
      ),
      { numRuns: 500 },
    )
  })

  it('as text gives instructions or a Diagnostic', () => {
    const piece = fc.constantFrom(
      ...'r1 r10 r11 w3 = += - + ( ) [ ] *(u8 ll map goto if == 0x 0xffffffffffffffffff 5 : ; # exit call lock %r2 , pc a: \n é \0'.split(
        ' ',
      ),
    )
    const changed = fc
      .tuple(program, fc.constantFrom('kernel' as const, 'vector' as const), fc.nat(), fc.nat(3), piece)
      .map(([insns, dialect, at, cut, put]) => {
        const text = disassemble(insns, { dialect })
        const start = text.length === 0 ? 0 : at % text.length
        return `${text.slice(0, start)}${put}${text.slice(start + cut)}`
      })
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(piece, { maxLength: 12 }).map((all) => all.join(' ')),
      changed,
    )
    fc.assert(
      fc.property(text, (input) =>
        onlyDiagnostics(() => {
          expect(validate(assembleProgram(input).insns)).toBeUndefined()
        }),
      ),
      { numRuns: 800 },
    )
  })
})
