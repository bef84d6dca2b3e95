// The kernel's verifier says no in a log, hundreds of lines of it, for people who read kernel code. Here the log
// becomes a Diagnostic: its last complaint as the message, the source line through the program's line info, and
// the instruction. The log's form is that of kernel/bpf/verifier.c and log.c; it is no interface, so whatever is
// not recognised is left out and the log itself is kept whole.

import { Diagnostic, type Location } from '../../diag/diagnostic.ts'
import type { LineInfo, ProgramSpec } from '../../object/spec.ts'

/** An instruction as the log prints it: `7: (79) r0 = *(u64 *)(r1 +8)   ; R0_w=scalar()`. */
const INSN = /^(\d+): \([0-9a-f]{2}\) (.*)$/

/** Lines that carry no complaint: source lines, jumps back, register states, statistics. */
const NOISE = [
  /^;/,
  /^\d+: /,
  /^from \d+ to \d+/,
  /^(cur|old) state:/,
  /^frame\d+:/,
  /^R\d+(_\w+)?=/,
  /^(mark_precise|Live regs|func#|caller:|callee:|returning from|Func#|Validating |last_idx|parent )/,
  /^(processed \d+ insns|verification time|stack depth|propagating)/,
]

/** A complaint that names an instruction means that one, wherever the log ends: `unreachable insn 5`. */
const NAMED = /\binsn (\d+)/

/** `errno` is the name of what PROG_LOAD gave. */
export function verifierDiagnostic(program: ProgramSpec, log: string, errno: string): Diagnostic {
  const lines = log.split('\n').map((line) => line.trim())
  const complaint = lines.findLast((line) => line !== '' && !NOISE.some((noise) => noise.test(line)))
  const insns = lines.filter((line) => INSN.test(line))
  const last = INSN.exec(insns.at(-1) ?? '')
  const named = NAMED.exec(complaint ?? '')
  const insn = named ? Number(named[1]) : last ? Number(last[1]) : undefined
  return new Diagnostic({
    code: 'kernel/verifier',
    message: complaint ?? `the kernel's verifier refuses program ${program.name} (${errno})`,
    at: insn === undefined ? undefined : locate(program.lines, insn),
    notes: [where(program.name, insn, insns)],
    help: 'The whole log of the kernel is shown with --verbose.',
    errno,
    log,
  })
}

function where(name: string, insn: number | undefined, insns: readonly string[]): string {
  const refused = `the kernel's verifier refuses program ${name}`
  if (insn === undefined) return refused
  const text = insns.findLast((line) => line.startsWith(`${insn}: `))
  const syntax = text && INSN.exec(text)![2].split(/\s+;/)[0]
  return syntax ? `${refused} at instruction ${insn}: ${syntax}` : `${refused} at instruction ${insn}`
}

/** The source of an instruction: of the nearest entry at or before it. */
function locate(lines: readonly LineInfo[], insn: number): Location | undefined {
  const entry = lines.findLast((line) => line.insn <= insn)
  if (!entry) return undefined
  const { file, line, column, text } = entry
  return { file, line, column: Math.max(1, column), text }
}
