import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Diagnostic } from '../diag/diagnostic.ts'
import { ATTR, ATTR_SIZE, HELPER_IDS, PROG_TYPES, STRUCT_SIZES } from './gen/uapi.ts'
import { HELPERS } from './helpers.ts'
import { atLeast, linux, parseVersion, userPlatform } from './linux.ts'
import { MAP_ROWS } from './maptypes.ts'
import { PROG_ROWS, sectionOf } from './progtypes.ts'
import { parseTracepointFormat } from './tracepoint.ts'

const EXEC = `name: sched_process_exec
ID: 318
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:__data_loc char[] filename;	offset:8;	size:4;	signed:0;
	field:pid_t pid;	offset:12;	size:4;	signed:1;
	field:char comm[16];	offset:16;	size:16;	signed:0;
	field:const char * name;	offset:32;	size:8;	signed:0;
	field:long args[6];	offset:40;	size:48;	signed:1;
	field:__rel_loc u8[] data;	offset:88;	size:4;	signed:0;

print fmt: "filename=%s pid=%d", __get_str(filename), REC->pid
`

describe('generated numbers', () => {
  it('are those of the UAPI header', () => {
    expect([PROG_TYPES.xdp, PROG_TYPES.tracepoint, HELPER_IDS.ringbuf_reserve]).toEqual([6, 5, 131])
    expect(ATTR.prog_load.insns).toEqual({ offset: 8, size: 8 })
    expect(ATTR.prog_load.line_info).toEqual({ offset: 96, size: 8 })
    expect(ATTR.link_create.perf_event.bpf_cookie).toEqual({ offset: 16, size: 8 })
    expect(ATTR_SIZE).toBeGreaterThanOrEqual(168)
    expect([STRUCT_SIZES.xdp_md, STRUCT_SIZES.__sk_buff, STRUCT_SIZES.pt_regs]).toEqual([24, 192, 168])
  })
})

describe('helper rows', () => {
  it('are one for each helper, with a prototype of that name', () => {
    expect(new Set(HELPERS.map(({ id }) => id)).size).toBe(HELPERS.length)
    for (const { name, proto } of HELPERS) expect(proto).toMatch(new RegExp(`\\bbpf_${name}\\(`))
  })

  it('take as many arguments as their prototypes', () => {
    // Those after `...` are not checked; and one whose kernel side takes fewer says so here.
    for (const { name, args, proto } of HELPERS) {
      const params = /\((.*)\)$/.exec(proto)?.[1] ?? ''
      const count = params === 'void' ? 0 : params.split(',').filter((param) => !param.includes('...')).length
      expect([name, args.length]).toEqual([name, count])
    }
  })

  it.each(HELPERS.map((row) => [row.name, row] as const))('%s: sizes stand behind memory', (_, row) => {
    for (const [i, arg] of row.args.entries()) {
      if (arg === 'const_size' || arg === 'const_size_or_zero') expect(row.args[i - 1]).toMatch(/mem/)
      if (arg === 'mem' || arg === 'uninit_mem' || arg === 'mem_or_null') expect(row.args[i + 1]).toMatch(/^const_size/)
      if (arg.endsWith('fixed_mem')) expect(row.argSizes?.[i]).toBeGreaterThan(0)
      if (arg === 'const_map_ptr' && row.name !== 'timer_init') expect(row.maps).not.toEqual([])
    }
    for (const i of [...(row.nullable ?? []), ...(row.writes ?? [])]) expect(row.args[i]).toBeDefined()
    if (row.releases !== undefined) expect(row.args[row.releases]).toBeDefined()
    if (row.acquires) expect(row.ret).toMatch(/_or_null$/)
  })
})

describe('program type rows', () => {
  it.each(PROG_ROWS.map((row) => [row.name, row] as const))('%s: fields in order, without overlap', (_, { fields }) => {
    if ('raw' in fields) return expect(fields.raw).toBeGreaterThan(0)
    let end = 0
    for (const { offset, size, narrow } of fields) {
      expect(offset).toBeGreaterThanOrEqual(end)
      expect(narrow ?? size).toBeLessThanOrEqual(size)
      end = offset + size
    }
  })

  it.each([
    ['tracepoint/sched/sched_process_exec', 'tracepoint', 'sched/sched_process_exec'],
    ['tp/sched/sched_switch', 'tracepoint', 'sched/sched_switch'],
    ['xdp', 'xdp', undefined],
    ['tc/ingress', 'sched_cls', undefined],
    ['tc', 'sched_cls', undefined],
    ['raw_tp/sys_enter', 'raw_tracepoint', 'sys_enter'],
    ['cgroup_skb/egress', 'cgroup_skb', undefined],
    ['socket', 'socket_filter', undefined],
  ])('section %s is a %s', (section, name, target) => {
    const found = sectionOf(section, PROG_ROWS)
    expect([found?.row.name, found?.target]).toEqual([name, target])
  })

  it('no type has the section xdpx', () => {
    expect(sectionOf('xdpx', PROG_ROWS)).toBeUndefined()
  })

  it('a packet context gives packet pointers, and none but where the type has packets', () => {
    for (const { name, fields, packet } of PROG_ROWS) {
      const pointers = 'raw' in fields ? [] : fields.filter(({ kind }) => kind === 'packet')
      expect([name, pointers.length]).toEqual([name, packet ? 1 : 0])
    }
  })
})

describe('platforms', () => {
  it('leave out what is newer', () => {
    const old = linux({ version: [5, 7] })
    expect(old.helpers.has('ringbuf_output')).toBe(false)
    expect(old.helpers.has('map_lookup_elem')).toBe(true)
    expect(old.mapTypes.has('ringbuf')).toBe(false)
    expect(old.progTypes.has('syscall')).toBe(false)
    const recent = linux({ version: [6, 18] })
    expect(recent.helpers.size).toBe(HELPERS.length)
    expect(recent.mapTypes.size).toBe(MAP_ROWS.length)
    expect(recent.helpersById.get(1)?.name).toBe('map_lookup_elem')
  })

  it('compare releases as numbers', () => {
    expect(atLeast([5, 10], '5.8')).toBe(true)
    expect(atLeast([4, 20], '5.0')).toBe(false)
    expect(parseVersion('6.18.44-generic')).toEqual([6, 18])
    expect(parseVersion('unknown')).toBeUndefined()
  })

  it('have a fingerprint that changes with the release and the build', () => {
    const prints = [linux({ version: [6, 1] }), linux({ version: [6, 18] }), linux({ version: [6, 18], build: 'x' })]
    expect(new Set(prints.map(({ fingerprint }) => fingerprint)).size).toBe(3)
  })

  it('of the user engine have what it implements', () => {
    const user = userPlatform({ helpers: ['ktime_get_ns'], mapTypes: ['hash'] })
    expect([...user.helpers.keys()]).toEqual(['ktime_get_ns'])
    expect([...user.mapTypes.keys()]).toEqual(['hash'])
    expect(user.progTypes.has('xdp')).toBe(true)
  })

  it('ask their source for a tracepoint once', () => {
    const asked: string[] = []
    const format = (target: string) => {
      asked.push(target)
      return target === 'sched/sched_process_exec' ? EXEC : undefined
    }
    const platform = linux({ version: [6, 18], tracepoints: { format, list: () => ['sched/sched_process_exec'] } })
    expect(platform.tracepoint('sched/sched_process_exec')?.id).toBe(318)
    expect(platform.tracepoint('sched/sched_process_exec')?.category).toBe('sched')
    expect(platform.tracepoint('no/such')).toBeUndefined()
    expect(asked).toEqual(['sched/sched_process_exec', 'no/such'])
    expect(platform.tracepoints()).toEqual(['sched/sched_process_exec'])
  })
})

describe('tracepoint formats', () => {
  it('give name, id and fields', () => {
    const { category, name, id, size, fields } = parseTracepointFormat(EXEC, 'sched/sched_process_exec')
    expect({ category, name, id, size }).toEqual({ category: 'sched', name: 'sched_process_exec', id: 318, size: 92 })
    expect(fields).toHaveLength(10)
    expect(fields.slice(3)).toEqual([
      { name: 'common_pid', type: 'int', offset: 4, size: 4, signed: true, kind: 'scalar' },
      { name: 'filename', type: '__data_loc char[]', offset: 8, size: 4, signed: false, kind: 'dynamic' },
      { name: 'pid', type: 'pid_t', offset: 12, size: 4, signed: true, kind: 'scalar' },
      { name: 'comm', type: 'char[16]', offset: 16, size: 16, signed: false, kind: 'array' },
      { name: 'name', type: 'const char *', offset: 32, size: 8, signed: false, kind: 'scalar' },
      { name: 'args', type: 'long[6]', offset: 40, size: 48, signed: true, kind: 'array' },
      { name: 'data', type: '__rel_loc u8[]', offset: 88, size: 4, signed: false, kind: 'dynamic', relative: true },
    ])
  })

  it.each([
    ['', 'it has no name'],
    ['name: x\nformat:\n', 'it has no ID'],
    ['name: x\nID: 1\nformat:\n', 'it has no fields'],
    [EXEC.replace('ID: 318', 'ID: many'), 'an ID that is not a number'],
    [EXEC.replace('offset:12;', ''), 'a field that does not say offset and size'],
    [EXEC.replace('offset:12;', 'offset:99999;'), 'a field beyond 8192 bytes'],
    [EXEC.replace('pid_t pid;', 'pid;'), 'a field without type and name'],
    [EXEC.replace('format:', 'shape:'), 'a line that is none of name, ID, format, field'],
  ])('that are malformed are refused (%#)', (text, message) => {
    expect(refusal(() => parseTracepointFormat(text, 'sched/sched_process_exec'))).toContain(message)
  })

  it('any mutation gives a format or a Diagnostic', () => {
    const edit = fc.record({ at: fc.nat(EXEC.length - 1), cut: fc.nat(8), text: fc.string({ maxLength: 4 }) })
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 5 }), (edits) => {
        const text = edits.reduce(
          (text, { at, cut, text: put }) => text.slice(0, at) + put + text.slice(at + cut),
          EXEC,
        )
        refusal(() => {
          for (const field of parseTracepointFormat(text, 'a/b').fields) {
            expect(field.offset + field.size).toBeLessThanOrEqual(8192)
            expect(field.name).toMatch(/^\w+$/)
          }
        })
      }),
      { numRuns: 300 },
    )
  })
})

function refusal(run: () => unknown): string | undefined {
  try {
    run()
  } catch (error) {
    if (error instanceof Diagnostic) return error.message
    throw error
  }
  return undefined
}
