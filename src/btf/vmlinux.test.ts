// The running kernel's BTF, where there is one. The generated numbers were read from such a file.

import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { PROG_TYPES, STRUCT_SIZES, STRUCTS } from '../spec/gen/uapi.ts'
import { findMember, sizeOf } from './layout.ts'
import { readBtf } from './read.ts'

const PATH = '/sys/kernel/btf/vmlinux'
const absent = !existsSync(PATH)
const why = absent ? ` (skipped: no ${PATH} here)` : ''

describe(`the kernel's own BTF${why}`, () => {
  it.skipIf(absent)('agrees with the generated numbers and layouts', () => {
    const btf = readBtf(readFileSync(PATH))
    const found = btf.type(btf.find('bpf_prog_type', 'enum') ?? 0)
    const numbers = new Map(found?.kind === 'enum' ? found.values.map(({ name, value }) => [name, Number(value)]) : [])
    expect(numbers.get('BPF_PROG_TYPE_XDP')).toBe(PROG_TYPES.xdp)
    expect(numbers.get('BPF_PROG_TYPE_SYSCALL') ?? PROG_TYPES.syscall).toBe(PROG_TYPES.syscall)
    const xdp = btf.find('xdp_md', 'struct') ?? 0
    expect(sizeOf(btf, xdp)).toBe(STRUCT_SIZES.xdp_md)
    expect(findMember(btf, xdp, 'data_end')?.bitOffset).toBe(STRUCTS.xdp_md.data_end.offset * 8)
  })

  it.skipIf(absent)('is readable to its last type', () => {
    const btf = readBtf(readFileSync(PATH))
    expect(btf.count).toBeGreaterThan(1000)
    expect(btf.all()).toHaveLength(btf.count - 1)
    const pid = findMember(btf, btf.find('task_struct', 'struct') ?? 0, 'tgid')
    expect(sizeOf(btf, pid?.type ?? 0)).toBe(4)
  })
})
