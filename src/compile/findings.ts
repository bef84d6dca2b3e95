// Which of TypeScript's findings concern the kernel side, and what to do about the usual ones. Its words
// stay; where the compiler has found the same thing, the better of the two is kept.

import { Diagnostic } from '../diag/diagnostic.ts'
import type { Report } from './report.ts'
import type { Span } from './syntax.ts'
import type { Finding } from './typescript.ts'

const NULL_CHECK = 'a missing null check: it may be undefined, so test it first: if (x === undefined) return'

/** A way out, by TypeScript's number. */
const WAYS_OUT: Readonly<Record<number, string>> = {
  2531: NULL_CHECK,
  2532: NULL_CHECK,
  2533: NULL_CHECK,
  18047: NULL_CHECK,
  18048: NULL_CHECK,
  18049: NULL_CHECK,
  2339: 'the fields of a context, a header or a struct are listed where it is declared',
  2551: 'take the suggested name',
  2554: 'the docstring of what is called says what it takes',
  2345: 'convert a number that is too wide: u16(x) keeps its low bits',
  2322: 'convert a number that is too wide: u16(x) keeps its low bits',
}

const SYNTAX = 'something is missing or too much, here or at the end of the line before'
const DECLARATION = 'the editor shows the declaration of what is used here, with its types'

/** Names that the checker cannot know: the compiler says it better. */
const UNKNOWN_NAME: ReadonlySet<number> = new Set([
  2304, 2552, 2580, 2581, 2582, 2583, 2584, 2585, 2591, 2592, 2593, 18004,
])
/** Complaints about a bigint literal where kernel code takes any integer. */
const BIGINT = /'bigint'|'-?\d+n'/
/** What TypeScript explains better. */
const DEFERRED: ReadonlySet<string> = new Set([
  'compile/unknown-field',
  'compile/type',
  'compile/arguments',
  'compile/unknown-method',
  'compile/missing-field',
  'compile/capture',
  'compile/call',
  'compile/verdict',
  'compile/constant',
])
const PREFERS_OWN: ReadonlySet<string> = new Set([
  'compile/missing-field',
  'compile/capture',
  'compile/verdict',
  'compile/call',
  'compile/constant',
])

/**
 * The diagnostics to show, in the order of the source. `own` is what the compiler found, `spans` what of
 * the file is kernel code or Waggle's declarations: findings elsewhere are the user side's business.
 */
export function judge(
  findings: readonly Finding[],
  own: readonly Diagnostic[],
  spans: readonly Span[],
  report: Report,
): Diagnostic[] {
  const relevant = findings.filter((finding) => {
    if (finding.syntactic) return true
    if (BIGINT.test(finding.message)) return false
    return spans.some((span) => finding.at >= span.at && finding.at < span.end)
  })
  const mine = own.filter(({ code }) => code !== 'compile/cascade')
  const lineOf = ({ at }: Diagnostic): number => at?.line ?? 0
  const theirs = relevant.map((finding) => ({ finding, diagnostic: asDiagnostic(finding, report) }))
  const kept = theirs.filter(({ finding, diagnostic }) => {
    const same = mine.filter((other) => lineOf(other) === lineOf(diagnostic))
    if (same.length === 0) return true
    if (UNKNOWN_NAME.has(finding.code)) return false
    return same.every(({ code }) => DEFERRED.has(code) && !PREFERS_OWN.has(code))
  })
  const result = [
    ...mine.filter(
      (other) => !DEFERRED.has(other.code) || !kept.some(({ diagnostic }) => lineOf(diagnostic) === lineOf(other)),
    ),
    ...kept.map(({ diagnostic }) => diagnostic),
  ]
  return result.sort((a, b) => lineOf(a) - lineOf(b) || (a.at?.column ?? 0) - (b.at?.column ?? 0))
}

function asDiagnostic(finding: Finding, report: Report): Diagnostic {
  const undefinedArgument = /undefined' is not assignable/.test(finding.message)
  return new Diagnostic({
    code: `typescript/TS${finding.code}`,
    message: finding.message.replace(/\.$/, ''),
    at: report.location(finding),
    help: undefinedArgument ? NULL_CHECK : (WAYS_OUT[finding.code] ?? (finding.syntactic ? SYNTAX : DECLARATION)),
  })
}
