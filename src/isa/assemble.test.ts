import { describe, expect, it } from 'vitest'
import { Diagnostic } from '../diag/diagnostic.ts'
import { type AssembleOptions, assemble, assembleProgram } from './assemble.ts'
import { disassemble, format } from './disassemble.ts'
import { insn } from './insn.ts'
import { make, makeWide } from './table.ts'

function refusal(text: string, options?: AssembleOptions): Diagnostic {
  try {
    assemble(text, options)
  } catch (error) {
    if (error instanceof Diagnostic) return error
    throw error
  }
  throw new Error('it was accepted')
}

describe('assemble', () => {
  it.each([
    ['w1 = *(u32 *)(r2 + 4)', 'r1 = *(u32 *)(r2 + 4)'],
    ['r1 = *(u32 *)(r2 +4)', 'r1 = *(u32 *)(r2 + 4)'],
    ['r1=*(u32*)(r2)', 'r1 = *(u32 *)(r2 + 0)'],
    ['r1 = 0x10', 'r1 = 16'],
    ['r1 = 0xffffffff', 'r1 = -1'],
    ['mov %r1, 4294967295', 'r1 = -1'],
    ['mov64 %r1, -1', 'r1 = -1'],
    ['r1 = 0xfffffffffffffffe', 'r1 = -2'],
    ['r1 = -1 ll', 'r1 = 0xffffffffffffffff ll'],
    ['if r1 == 0x0 goto pc+2', 'if r1 == 0 goto +2'],
    ['*(u8 *)(r10 -1) = w3', '*(u8 *)(r10 - 1) = r3'],
    ['r2 = atomic64_fetch_add((u64 *)(r1 +0), r2)', 'r2 = atomic_fetch_add((u64 *)(r1 + 0), r2)'],
    ['call bpf_ktime_get_ns#5', 'call 5'],
    ['call helper 5', 'call 5'],
    ['call -1', 'call pc-1'],
    ['call kfunc bpf_rcu_read_lock#714 module 2', 'call kfunc 714 module 2'],
    ['call local +2', 'call pc+2'],
    ['call %r2', 'callx r2'],
    ['swap16 %r3', 'r3 = bswap16 r3'],
    ['12: (b7) r0 = 3', 'r0 = 3'],
    ['       0:\tb7 00 00 00 03 00 00 00\tr0 = 3', 'r0 = 3'],
    ['if r1 == 0 goto +1 <LBB0_2>', 'if r1 == 0 goto +1'],
    ['r0 = 3 ; three', 'r0 = 3'],
    ['r0 = 3 // three', 'r0 = 3'],
    ['r0 = 3 # three', 'r0 = 3'],
    ['r0 = *(u8 *)skb[r3]', 'r0 = *(u8 *)skb[r3 + 0]'],
  ])('reads %s', (text, printed) => {
    expect(disassemble(assemble(text))).toBe(printed)
  })

  it('counts jumps to labels in slots, lddw as two', () => {
    const { insns, labels } = assembleProgram(`
    start:
      r1 = 5 ll
      if r1 == 5 goto done   ; forward
      goto start
    done: exit
      call start
      gotol done
      r2 = subprog[start] ll`)
    expect(labels).toEqual(new Map([['start', 0], ['done', 4]])) // biome-ignore format: one line
    expect(insns.map(({ off, imm }) => off || imm)).toEqual([5, 0, 1, -4, 0, -6, -3, -8, 0])
  })

  it('takes `exit` for the first exit where there is no such label', () => {
    expect(assemble('ja exit\nmov %r0, 1\nexit\nexit')[0].off).toBe(1)
    expect(assemble('ja exit\nmov %r0, 1\nexit\nexit: exit')[0].off).toBe(2)
  })

  it('reads helpers by name', () => {
    const helpers = new Map([['map_lookup_elem', 1]])
    expect(assemble('call map_lookup_elem\ncall bpf_map_lookup_elem', { helpers })).toEqual([
      make('call_helper', { imm: 1 }),
      make('call_helper', { imm: 1 }),
    ])
  })

  it('returns maps as relocations', () => {
    const { insns, relocations } = assembleProgram('r0 = 0\nr1 = map[counts] ll\nlddw %r2, map_value[.rodata][8]\nexit')
    expect(relocations).toEqual([
      { insn: 1, kind: 'map', map: 'counts' },
      { insn: 3, kind: 'map_value', map: '.rodata', offset: 8 },
    ])
    expect(insns.slice(1, 5)).toEqual([
      ...makeWide('lddw_map_fd', { dst: 1 }),
      ...makeWide('lddw_map_value', { dst: 2 }, 8),
    ])
    expect(refusal('r1 = map[counts] ll')).toMatchObject({ code: 'isa/map-by-name' })
  })

  it('tells which line each instruction is from', () => {
    const { lines } = assembleProgram('\n  r1 = 5 ll\nexit', { file: 'count.asm' })
    expect(lines).toEqual([
      { insn: 0, file: 'count.asm', line: 2, column: 3, text: '  r1 = 5 ll' },
      { insn: 2, file: 'count.asm', line: 3, column: 1, text: 'exit' },
    ])
  })

  it('assembles a fragment whose last label marks its end', () => {
    expect(assemble('goto end\nend:')).toEqual([insn(5, 0, 0, 0, 0)])
  })
})

describe('a line that is no instruction', () => {
  it('is shown with a caret and a way out', () => {
    expect(refusal('r0 = 1\n  bswp16 %r1', { file: 'a.asm' }).render()).toBe(
      [
        "error[isa/unknown-instruction]: 'bswp16' begins no instruction",
        ' --> a.asm:2:3',
        '  |',
        '2 |   bswp16 %r1',
        '  |   ^^^^^^',
        'help: did you mean `bswap16` or `swap16`?',
      ].join('\n'),
    )
  })

  it.each([
    ['r1 = bwap16 r1', 6, "'bwap16' cannot stand here", 'did you mean `bswap16`?'],
    ['w1 += r2', 7, "'r2' cannot stand here", 'this is a 32-bit instruction: write w2'],
    ['r1 +=', 6, 'the instruction is not complete', 'expected a number or a register, as r1'],
    ['exit 5', 6, "'5' cannot stand here", "the instruction ends after 'exit'"],
    ['r11 = 5', 1, 'there is no register r11', 'registers are r0 to r10, and w0 to w10 for their low 32 bits'],
    ['goto 5', 6, "'5' cannot stand here", 'expected a distance, as +2, or a label'],
    [
      'goto nowhere',
      6,
      "there is no label 'nowhere'",
      'put `nowhere:` before the instruction that is meant, or write a distance, as +2',
    ],
    ['loop: goto lop', 12, "there is no label 'lop'", 'did you mean `loop`?'],
    ['a: exit\na: exit', 1, "the label 'a' stands twice", 'a label marks one place: give the second another name'],
    ['r1: exit', 1, 'a label cannot have the name of a register, r1', 'give the label another name'],
    [
      'r1 = 4294967295',
      6,
      '4294967295 does not fit in the 32 bits of a signed immediate',
      'load it into a register of its own first, as in `r1 = 4294967295 ll`, or write the bit pattern 0xffffffff',
    ],
    ['r1 = 0x10000000000000000 ll', 6, '18446744073709551616 does not fit in 64 bits', 'a register holds 64 bits'],
    [
      'r1 = *(u8 *)(r2 + 40000)',
      17,
      '40000 does not fit in the 16 bits of an offset',
      'an offset is between -32768 and 32767: add the rest to the register first',
    ],
    [
      'goto +40000',
      6,
      'the jump goes 40000 slots, which does not fit in 16 bits',
      'only `gotol +N` (kernel 6.6) reaches further than 32767 slots; jump to one of those',
    ],
    ['r1 = -r2', 7, "'r2' cannot stand here", 'the same register must stand in both places'],
  ])('%s', (text, column, message, help) => {
    const found = refusal(text)
    expect({ column: found.at?.column, message: found.message, help: found.help }).toEqual({ column, message, help })
  })

  it('may be a helper without a table of helpers', () => {
    const helpers = new Map([['map_lookup_elem', 1]])
    expect(refusal('call map_lookup_elm', { helpers })).toMatchObject({
      message: "there is no label or helper 'map_lookup_elm'",
      help: 'did you mean `map_lookup_elem`?',
    })
  })
})

describe('disassemble', () => {
  const insns = assemble('r1 = map[fd:3] ll\ncall 1\ncall pc+1\nexit\nexit')

  it('annotates with names, lines and numbers', () => {
    const text = disassemble(insns, {
      numbers: true,
      mapName: (slot) => (slot === 0 ? 'counts' : undefined),
      callName: (kind, id) => (kind === 'helper' ? 'map_lookup_elem' : `subprog at ${id}`),
      source: (slot) => (slot === 2 ? 'counts.inc(1)' : undefined),
    })
    expect(text).toBe(
      [
        '0: r1 = map[counts] ll',
        '; counts.inc(1)',
        '2: call map_lookup_elem#1',
        '3: call pc+1 ; subprog at 5',
        '4: exit',
        '5: exit',
      ].join('\n'),
    )
    expect(assembleProgram(text).insns.slice(2)).toEqual(insns.slice(2))
  })

  it('writes the vectors too', () => {
    expect(disassemble(assemble('r1 = *(u8 *)(r10 - 1)\nw1 s/= 3\nexit'), { dialect: 'vector' })).toBe(
      'ldxb %r1, [%r10-1]\nsdiv32 %r1, 3\nexit',
    )
    expect(format(make('xchg64', { dst: 1, src: 2 }), undefined, { dialect: 'vector' })).toBe('lock xchg [%r1], %r2')
  })

  it('refuses what is no instruction', () => {
    expect(() => disassemble([insn(0x95), insn(0xff)])).toThrow('insn 1: unknown opcode 0xff')
  })
})
