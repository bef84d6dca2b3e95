// Refusal: why a path ends badly, as the layers below the report throw it. The report (report.ts) adds the
// place in the source, the path and the registers, and makes a Diagnostic of it.

export type RefusalCode =
  | 'structure'
  | 'unreachable'
  | 'uninitialised'
  | 'null-check'
  | 'packet-bounds'
  | 'map-bounds'
  | 'memory-bounds'
  | 'stack-bounds'
  | 'stack-limit'
  | 'alignment'
  | 'bad-pointer'
  | 'read-only'
  | 'context-access'
  | 'pointer-arithmetic'
  | 'helper-argument'
  | 'helper-not-allowed'
  | 'leaked-reference'
  | 'return-value'
  | 'unbounded-loop'
  | 'too-complex'
  | 'not-yet'

export class Refusal {
  readonly code: RefusalCode
  readonly message: string
  readonly help: string | undefined
  /** The instruction that it is about, where that is not the one being looked at. */
  readonly insn: number | undefined

  constructor(code: RefusalCode, message: string, help?: string, insn?: number) {
    this.code = code
    this.message = message
    this.help = help
    this.insn = insn
  }
}

/** What Waggle does not judge yet is refused, never accepted. */
export const notYet = (what: string): Refusal =>
  new Refusal(
    'not-yet',
    `not yet verified: ${what}`,
    'Waggle refuses what it cannot judge; the kernel may well accept it',
  )
