import { describe, expect, it } from 'vitest'
import type { ProgramSpec } from '../../object/spec.ts'
import { verifierDiagnostic } from './verifier.ts'

const line = (insn: number, number: number) => ({
  insn,
  file: 'probe.ts',
  line: number,
  column: 3,
  text: `line ${number}`,
})
const PROBE: ProgramSpec = {
  name: 'probe',
  type: 'tracepoint',
  section: 'tracepoint/a/b',
  insns: [],
  functions: [],
  lines: [line(0, 10), line(3, 12), line(7, 20)],
  relocations: [],
}

const explain = (log: string) => verifierDiagnostic(PROBE, log, 'EACCES')

describe('the log of the kernel verifier', () => {
  it('gives its last complaint, at the line of the last instruction', () => {
    const diagnostic = explain(`func#0 @0
0: R1=ctx() R10=fp0
; line 10 @ probe.ts:10
0: (b7) r0 = 0                        ; R0_w=0
; line 12 @ probe.ts:12
4: (61) r2 = *(u32 *)(r0 +0)
R0 invalid mem access 'scalar'
processed 5 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
`)
    expect(diagnostic.message).toBe("R0 invalid mem access 'scalar'")
    expect(diagnostic.at).toEqual({ file: 'probe.ts', line: 12, column: 3, text: 'line 12' })
    expect(diagnostic.notes[0].message).toMatch(/at instruction 4: r2 = \*\(u32 \*\)\(r0 \+0\)$/)
  })

  it('passes over states that follow the complaint', () => {
    const diagnostic = explain(`8: (05) goto pc-2
infinite loop detected at insn 7
cur state: R0=0 R10=fp0
old state: R0=0 R10=fp0
processed 20 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0`)
    expect(diagnostic.message).toBe('infinite loop detected at insn 7')
    expect(diagnostic.at?.line).toBe(20)
  })

  it('says something where it recognises nothing', () => {
    const diagnostic = explain('processed 0 insns (limit 1000000)\n')
    expect(diagnostic.message).toBe("the kernel's verifier refuses program probe (EACCES)")
    expect(diagnostic.at).toBeUndefined()
    expect(diagnostic.log).toContain('processed 0 insns')
  })
})
