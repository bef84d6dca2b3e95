// Where the compiler's Diagnostics come from: a place in the probe's text, and the list of what was found.
// A refusal is thrown to leave the statement that it is about; the next statement is still looked at.

import { Diagnostic, type Location, type Note } from '../diag/diagnostic.ts'
import type { Span, Unsupported } from './syntax.ts'

export class Report {
  readonly file: string
  readonly found: Diagnostic[] = []
  private readonly lines: string[]
  private readonly starts: number[] = [0]

  constructor(file: string, text: string) {
    this.file = file
    this.lines = text.split(/\r\n|\n|\r/)
    for (const match of text.matchAll(/\r\n|\n|\r/g)) this.starts.push(match.index + match[0].length)
  }

  /** Line and column, from 1, of an offset into the text. */
  position(at: number): { line: number; column: number; text: string } {
    let low = 0
    let high = this.starts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.starts[middle] <= at) low = middle
      else high = middle - 1
    }
    return { line: low + 1, column: at - this.starts[low] + 1, text: this.lines[low] }
  }

  location(span: Span): Location {
    const start = this.position(span.at)
    const end = this.position(span.end)
    const length = end.line === start.line ? end.column - start.column : start.text.length - start.column + 1
    return { file: this.file, ...start, length: Math.max(1, length) }
  }

  /** A Diagnostic at `span`, to be thrown. */
  error(span: Span, code: string, message: string, help?: string, notes?: readonly (Note | string)[]): Diagnostic {
    return new Diagnostic({ code: `compile/${code}`, message, at: this.location(span), help, notes })
  }

  unsupported(span: Span, { what, help }: Unsupported): Diagnostic {
    return this.error(span, 'unsupported', `${what} cannot be used in kernel code`, help)
  }

  /** Keeps what `run` throws, if it is a Diagnostic, and says whether it came through. */
  attempt(run: () => void): boolean {
    try {
      run()
      return true
    } catch (error) {
      if (!(error instanceof Diagnostic)) throw error
      this.add(error)
      return false
    }
  }

  /** One Diagnostic for a place and a kind: a function that is inlined twice is wrong once. */
  add(diagnostic: Diagnostic): void {
    const key = ({ code, message, at }: Diagnostic): string => `${code} ${at?.line}:${at?.column} ${message}`
    if (!this.found.some((other) => key(other) === key(diagnostic))) this.found.push(diagnostic)
  }
}
