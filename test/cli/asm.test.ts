// Assembly from the command line: waggle asm, and assembly files where a probe may stand.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { finalMap, Scratch, waggle } from './waggle.ts'

const CODE = 'r0 = 2\nr1 = 5 ll\ncall ktime_get_ns\nexit\n'
const HEX =
  'b7 00 00 00 02 00 00 00\n18 01 00 00 05 00 00 00\n00 00 00 00 00 00 00 00\n85 00 00 00 05 00 00 00\n95 00 00 00 00 00 00 00\n'
const COUNT = `.section xdp count
.map counts array 4 8 1
  *(u32 *)(r10 - 4) = 0
  r2 = r10
  r2 += -4
  r1 = map[counts] ll
  call map_lookup_elem
  if r0 == 0 goto out
  r1 = 1
  lock *(u64 *)(r0 + 0) += r1
out:
  r0 = 2
  exit
`

describe('waggle asm', () => {
  it('prints hexadecimal digits, a slot a line', () => {
    using scratch = new Scratch()
    expect(waggle(['asm', scratch.write('a.asm', CODE)])).toMatchObject({ status: 0, stdout: HEX, stderr: '' })
  })

  it('writes raw bytes, and reads them, digits and C arrays back', () => {
    using scratch = new Scratch()
    const source = scratch.write('a.asm', CODE)
    const raw = join(scratch.path, 'a.bin')
    expect(waggle(['asm', source, '-o', raw]).status).toBe(0)
    expect(readFileSync(raw).toString('hex')).toBe(HEX.replaceAll(/\s/g, ''))
    const c = scratch.write('a.c', waggle(['asm', source, '--format', 'c']).stdout)
    for (const file of [raw, scratch.write('a.hex', HEX), c]) {
      const { stdout } = waggle(['asm', '--disassemble', file])
      expect(stdout).toBe('r0 = 2\nr1 = 0x5 ll\ncall ktime_get_ns#5\nexit\n')
    }
    const { stdout } = waggle(['asm', '--disassemble', '--dialect', 'vector', raw])
    expect(stdout).toBe('mov %r0, 2\nlddw %r1, 0x5\ncall ktime_get_ns#5\nexit\n')
  })

  it('prints JSON', () => {
    using scratch = new Scratch()
    const { stdout } = waggle(['asm', scratch.write('a.asm', CODE), '--json'])
    const { insns, text, hex } = JSON.parse(stdout)
    expect(insns[0]).toEqual({ opcode: 0xb7, dst: 0, src: 0, off: 0, imm: 2 })
    expect(text).toHaveLength(4)
    expect(hex).toBe(HEX.replaceAll(/\s/g, ''))
  })

  it('says which line is no instruction', () => {
    using scratch = new Scratch()
    const { status, stderr } = waggle(['asm', scratch.write('a.asm', 'r0 = 0\nr0 = r11\nexit\n')])
    expect(status).toBe(1)
    expect(stderr).toContain('there is no register r11')
    expect(stderr).toContain('a.asm:2:6')
  })

  it('has no bytes for the name of a map, but text', () => {
    using scratch = new Scratch()
    const file = scratch.write('count.asm', COUNT)
    expect(waggle(['asm', file])).toMatchObject({ status: 1, stdout: '' })
    expect(waggle(['asm', file, '--format', 'text']).stdout).toContain('r1 = map[counts] ll')
  })

  it('refuses bytes that are no program', () => {
    using scratch = new Scratch()
    const { status, stderr } = waggle(['asm', '--disassemble', scratch.write('a.bin', Uint8Array.of(1, 2, 3))])
    expect(status).toBe(1)
    expect(stderr).toContain('isa/partial-insn')
  })

  it('knows its formats', () => {
    expect(waggle(['asm', '/dev/null', '--format', 'elf'])).toMatchObject({ status: 2 })
  })
})

describe('an assembly file', () => {
  it('is dumped, in both notations and as JSON', () => {
    using scratch = new Scratch()
    const file = scratch.write('count.asm', COUNT)
    const dump = (...more: string[]) => waggle(['prog', 'dump', file, '--target', 'user', ...more])
    expect(dump().stdout).toMatch(/^xdp count, 11 instructions\n 0: \*\(u32 \*\)\(r10 - 4\) = 0\n/)
    expect(dump().stdout).toContain(' 3: r1 = map[counts] ll\n 5: call map_lookup_elem#1\n')
    expect(dump('--dialect', 'vector').stdout).toContain(' 3: lddw %r1, map[counts]\n')
    const [program, first, , , wide, call] = dump('--json').lines
    expect(program).toMatchObject({ type: 'program', programType: 'xdp', name: 'count', insns: 11 })
    expect(first).toMatchObject({ type: 'insn', slot: 0, text: '*(u32 *)(r10 - 4) = 0', at: { line: 3 } })
    expect([wide.slot, call.slot]).toEqual([3, 5])
  })

  it('is verified, with findings at its lines', () => {
    using scratch = new Scratch()
    const good = scratch.write('count.asm', COUNT)
    expect(waggle(['verify', good, '--target', 'user']).stdout).toContain('count: safe')
    const bad = scratch.write('bad.asm', '.section xdp\nr0 = *(u32 *)(r1 + 0)\nr0 = *(u8 *)(r0 + 3)\nexit\n')
    const { status, stderr } = waggle(['verify', bad, '--target', 'user'])
    expect(status).toBe(1)
    expect(stderr).toContain('bad.asm:3:1')
  })

  it('runs over a capture', () => {
    using scratch = new Scratch()
    const file = scratch.write('count.asm', COUNT)
    const { lines, status } = waggle(['run', file, '--pcap', 'examples/data/mixed.pcap'])
    expect(status).toBe(0)
    const { verdicts } = lines.at(-1) as unknown as { verdicts: { PASS: number } }
    const [[, count]] = finalMap(lines, 'counts')
    expect(Number.parseInt((count as string).split(' ').slice(0, 2).reverse().join(''), 16)).toBe(verdicts.PASS)
  })
})
