// The conformance vectors against the assembler and the disassembler. Engines run the same vectors in tests of
// their own.

import { describe, expect, it } from 'vitest'
import { assemble } from '../../src/isa/assemble.ts'
import { decode, encode, validate } from '../../src/isa/codec.ts'
import { type DisassembleOptions, disassemble } from '../../src/isa/disassemble.ts'
import { parseVector, vectors } from './vectors.ts'

const all = vectors()
const BOTH: readonly DisassembleOptions[] = [{ dialect: 'kernel' }, { dialect: 'vector' }]

/** The words of a program, as a `raw` section has them. */
function words(bytes: Uint8Array<ArrayBuffer>): bigint[] {
  return [...new BigUint64Array(bytes.buffer)]
}

describe('conformance vectors', () => {
  it('are all here', () => {
    expect(all).toHaveLength(157)
    expect(all.filter(({ mem }) => mem !== undefined)).toHaveLength(20)
  })

  it.each(all)('$name assembles, and what is disassembled assembles to the same bytes', ({ name, asm, raw }) => {
    const insns = assemble(asm, { file: `${name}.data` })
    expect(validate(insns)).toBeUndefined()
    if (raw) expect(words(encode(insns))).toEqual(raw)
    expect(decode(encode(insns))).toEqual(insns)
    for (const options of BOTH) expect(assemble(disassemble(insns, options))).toEqual(insns)
  })

  it('read every section', () => {
    const vector = parseVector(
      'each',
      '# licence\n-- asm\nmov %r0, 1 # one\nexit\n-- raw\n0x00000001000000b7\n0x95\n-- mem\n01 ff\n00\n-- result\n0x1\n-- no register offset\nwhy\n',
    )
    expect(vector.raw).toEqual([0x1000000b7n, 0x95n])
    expect(words(encode(assemble(vector.asm)))).toEqual(vector.raw)
    expect(vector.mem).toEqual(Uint8Array.of(1, 255, 0))
    expect(vector.result).toBe(1n)
    expect(vector.noRegisterOffset).toBe('why')
  })

  it.each([
    ['no section asm', '-- result\n1\n'],
    ['unknown section asn', '-- asn\nexit\n'],
    ['one of result and error', '-- asm\nexit\n'],
    ['section asm stands twice', '-- asm\nexit\n-- asm\nexit\n'],
    ['mem is not hex bytes', '-- asm\nexit\n-- mem\n1 2\n-- result\n0\n'],
  ])('refuse a file with %s', (message, text) => {
    expect(() => parseVector('bad', text)).toThrow(message)
  })
})
