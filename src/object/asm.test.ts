import { describe, expect, it } from 'vitest'
import { Diagnostic } from '../diag/diagnostic.ts'
import { readAssembly } from './asm.ts'

const COUNT = `; counts every packet
.section xdp count
.license GPL
.map counts array 4 8 1

  *(u32 *)(r10 - 4) = 0
  r2 = r10
  r2 += -4
  r1 = map[counts] ll
  call map_lookup_elem
  if r0 == 0 goto out
  call bump
out:
  r0 = 2
  exit
bump:
  r0 = 0
  exit
`

function refusal(text: string): Diagnostic {
  try {
    readAssembly(text, 'a.asm')
  } catch (error) {
    if (error instanceof Diagnostic) return error
    throw error
  }
  throw new Error('it was accepted')
}

describe('readAssembly', () => {
  it('makes an object of one program', () => {
    const { license, maps, programs } = readAssembly(COUNT, 'dir/my-count.asm')
    expect(license).toBe('GPL')
    expect(maps).toEqual([{ name: 'counts', type: 'array', keySize: 4, valueSize: 8, maxEntries: 1, flags: 0 }])
    const [program] = programs
    expect(program).toMatchObject({ name: 'count', type: 'xdp', section: 'xdp' })
    expect(program.relocations).toEqual([{ insn: 3, kind: 'map', map: 'counts' }])
    expect(program.functions).toEqual([
      { insn: 0, name: 'count' },
      { insn: 10, name: 'bump' },
    ])
    expect(program.lines[0]).toMatchObject({ insn: 0, line: 6, column: 3 })
  })

  it('takes names from the file and targets from the section', () => {
    const { name, programs } = readAssembly('.section tp/sched/sched_switch\nr0 = 0\nexit', 'dir/my-count.s')
    expect(name).toBe('my_count')
    expect(programs[0]).toMatchObject({ name: 'my_count', type: 'tracepoint', target: 'sched/sched_switch' })
  })

  it('reads the dialect of the conformance vectors too, and labels that begin with a dot', () => {
    const { programs } = readAssembly('.section xdp\nja .out\n.out: mov %r0, 2\nexit', 'a.asm')
    expect(programs[0].insns).toHaveLength(3)
  })

  it.each([
    ['r0 = 0\nexit', 'object/no-section', /\.section xdp/],
    ['.section xdp', 'object/no-instructions', /r0 = 0/],
    ['.section xpd\nr0 = 0\nexit', 'object/unknown-section', /did you mean xdp/],
    ['.sectoin xdp\nr0 = 0\nexit', 'object/unknown-directive', /did you mean \.section/],
    ['.section xdp\n.map m hash 4 8\nexit', 'object/directive', /\.map counts hash 4 8 1024/],
    ['.section xdp\n.map m hsh 4 8 1\nexit', 'object/unknown-map-type', /did you mean hash/],
    ['.section xdp\n.map m hash 4 8 1\n.map m hash 4 8 1\nexit', 'object/duplicate-map', /another name/],
    ['.section xdp\n.map counts hash 4 8 1\nr1 = map[count] ll\nexit', 'object/no-such-map', /did you mean counts/],
    ['.section xdp\nr0 = 0\nr0 =\nexit', 'isa/syntax', /./],
  ])('refuses %j', (text, code, help) => {
    const error = refusal(text)
    expect(error.code).toBe(code)
    expect(error.help).toMatch(help)
  })

  it('says the line, the directives counted', () => {
    expect(refusal('.section xdp\n.license GPL\nr0 =\nexit').at).toMatchObject({ file: 'a.asm', line: 3 })
  })
})
