import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TypeBuilder } from '../btf/build.ts'
import { Diagnostic } from '../diag/diagnostic.ts'
import { make } from '../isa/table.ts'
import { linux } from '../spec/linux.ts'
import { configure } from './configure.ts'
import { EXIT_PROGRAM, FORK_PROGRAM, followTree, ROOT_PROGRAM, TREE_MAP } from './follow.ts'
import { specFromJSON, specToJSON } from './json.ts'
import type { ObjectSpec, ProgramSpec } from './spec.ts'

const program: ProgramSpec = {
  name: 'onExec',
  type: 'tracepoint',
  section: 'tracepoint/sched/sched_process_exec',
  target: 'sched/sched_process_exec',
  insns: [make('call_local', { imm: 1 }), make('exit'), make('mov64_imm', { dst: 0, imm: 7 }), make('exit')],
  functions: [
    { insn: 0, name: 'onExec' },
    { insn: 2, name: 'seven' },
  ],
  lines: [
    { insn: 0, file: 'a.ts', line: 3, column: 1, text: 'seven()' },
    { insn: 2, file: 'a.ts', line: 9, column: 3, text: 'return 7' },
  ],
  relocations: [],
}
const spec: ObjectSpec = { name: 'a', license: 'GPL', programs: [program], maps: [], types: [] }

describe('an object as JSON', () => {
  it('is read back as it was', () => {
    const bytes = fc.uint8Array({ maxLength: 40 })
    fc.assert(
      fc.property(bytes, bytes, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }), (key, value, enumerator) => {
        const full: ObjectSpec = {
          ...spec,
          maps: [
            {
              name: 'm',
              type: 'array',
              keySize: 4,
              valueSize: 8,
              maxEntries: 1,
              flags: 0,
              contents: [[key, value]],
              frozen: true,
            },
          ],
          types: [{ kind: 'enum64', name: 'e', size: 8, signed: true, values: [{ name: 'x', value: enumerator }] }],
        }
        expect(specFromJSON(specToJSON(full))).toEqual(full)
      }),
    )
  })

  it('of something else is a Diagnostic', () => {
    for (const text of ['', 'null', '{}', '{"format":0}', '{"format":1}', specToJSON(spec).slice(0, -20)]) {
      expect(() => specFromJSON(text)).toThrow(Diagnostic)
    }
  })
})

describe('following a process tree', () => {
  const format = (...fields: string[]) =>
    `name: x\nID: 7\nformat:\n${fields.map((field) => `\tfield:${field}\n`).join('')}\nprint fmt: ""\n`
  const records: Record<string, string> = {
    'sched/sched_process_fork': format('pid_t child_pid;\toffset:24;\tsize:4;\tsigned:1;'),
    'sched/sched_process_exit': format('bool group_dead;\toffset:32;\tsize:1;\tsigned:0;'),
  }
  const platform = linux({ version: [6, 18], tracepoints: { format: (target) => records[target], list: () => [] } })

  it('puts a prologue before tracing programs and moves what counts in slots', () => {
    const { programs, maps } = followTree(spec, platform)
    expect(programs.map(({ name }) => name)).toEqual([FORK_PROGRAM, 'onExec', EXIT_PROGRAM, ROOT_PROGRAM])
    expect(maps.map(({ name, internal }) => [name, internal])).toEqual([[TREE_MAP, true]])
    const scoped = programs[1]
    const shift = scoped.insns.length - program.insns.length
    expect(scoped.insns.slice(shift)).toEqual(program.insns)
    expect(scoped.functions).toEqual([program.functions[0], { insn: 2 + shift, name: 'seven' }])
    expect(scoped.lines.map(({ insn, line }) => [insn, line])).toEqual([
      [0, 3],
      [shift, 3],
      [2 + shift, 9],
    ])
    expect(scoped.relocations).toEqual([{ insn: expect.any(Number), kind: 'map', map: TREE_MAP }])
  })

  it('leaves packet programs alone: a packet has no process', () => {
    const xdp: ProgramSpec = { ...program, type: 'xdp', section: 'xdp', target: undefined }
    expect(followTree({ ...spec, programs: [xdp] }, platform).programs[1]).toBe(xdp)
  })

  it('says what it needs where there is no such tracepoint', () => {
    expect(() => followTree(spec, linux({ version: [6, 18] }))).toThrow(/sched_process_fork/)
  })
})

describe('config values', () => {
  const types = new TypeBuilder()
  const limit = types.var('limit', types.int('unsigned int', 4))
  const delta = types.var('delta', types.int('short', 2, 'signed'))
  const vars = [
    { type: limit, offset: 0 },
    { type: delta, offset: 4 },
  ]
  types.datasec('.rodata', vars)
  const key = new Uint8Array(4)
  const configured: ObjectSpec = {
    ...spec,
    types: types.types,
    maps: [
      {
        name: '.rodata',
        type: 'array',
        keySize: 4,
        valueSize: 8,
        maxEntries: 1,
        flags: 128,
        frozen: true,
        contents: [[key, Uint8Array.of(1, 0, 0, 0, 255, 255, 0, 0)]],
      },
    ],
  }
  const valueAfter = (name: string, text: string) => [
    ...configure(configured, new Map([[name, text]])).maps[0].contents![0][1],
  ]

  it('are written where they stand, and nowhere else', () => {
    expect(valueAfter('limit', '0x0102_0304')).toEqual([4, 3, 2, 1, 255, 255, 0, 0])
    expect(valueAfter('delta', '-2')).toEqual([1, 0, 0, 0, 254, 255, 0, 0])
    expect([...configured.maps[0].contents![0][1]]).toEqual([1, 0, 0, 0, 255, 255, 0, 0])
  })

  it.each([
    ['limit', '-1', /0 to 4294967295/],
    ['limit', '4294967296', /0 to 4294967295/],
    ['delta', '32768', /-32768 to 32767/],
    ['limit', 'many', /whole number/],
    ['limti', '1', /did you mean limit/],
  ])('%s=%s is refused', (name, text, help) => {
    try {
      valueAfter(name, text)
      expect.unreachable()
    } catch (error) {
      expect((error as Diagnostic).help).toMatch(help)
    }
  })
})
