// Diagnostic: the one form in which Waggle tells a person that something is wrong. It says what is
// wrong, where, and what to do. Every layer throws or returns these and nothing else for bad input, a
// refusing kernel or a missing privilege; an ordinary Error that reaches the user is a bug in Waggle.

/** A place in a text that the user wrote. Lines and columns count from 1; a tab is one column. */
export interface Location {
  readonly file: string
  readonly line: number
  readonly column: number
  /** How many columns the caret underlines. 1 if absent. */
  readonly length?: number
  /** The source line itself, without its line end, so that it can be quoted after the file is gone. */
  readonly text?: string
}

/** A further remark, with a place of its own where it has one. */
export interface Note {
  readonly message: string
  readonly at?: Location
}

export interface DiagnosticInit {
  /** Stable and greppable: `layer/what`, as `compile/capture`, `verify/unbounded-loop`, `kernel/eperm`. */
  readonly code: string
  /** One line: what is wrong, in the words of the user's source. No full stop at its end. */
  readonly message: string
  readonly at?: Location
  readonly notes?: readonly (Note | string)[]
  /** What to do, as a sentence or a piece of code that would work. */
  readonly help?: string
  /** The raw text of whoever refused (the kernel's verifier log, say): kept, shown only when asked for. */
  readonly log?: string
  /** The symbolic error number, `EPERM`, where a system call or an engine's map operation gave one. */
  readonly errno?: string
  readonly cause?: unknown
}

export interface RenderOptions {
  /** ANSI colours. */
  readonly color?: boolean
  /** Print `log` too. */
  readonly verbose?: boolean
}

export class Diagnostic extends Error {
  override readonly name: string = 'Diagnostic'
  readonly code: string
  readonly at: Location | undefined
  readonly notes: readonly Note[]
  readonly help: string | undefined
  readonly log: string | undefined
  readonly errno: string | undefined

  constructor(init: DiagnosticInit) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause })
    this.code = init.code
    this.at = init.at
    this.notes = (init.notes ?? []).map((note) => (typeof note === 'string' ? { message: note } : note))
    this.help = init.help
    this.log = init.log
    this.errno = init.errno
  }

  /** The text for a terminal: several lines, no line end after the last. */
  render(options: RenderOptions = {}): string {
    return render(this, options)
  }

  /** Plain data, for `--json`. */
  toJSON(): Record<string, unknown> {
    const { code, message, at, notes, help, log, errno } = this
    return { code, message, at, notes: notes.length > 0 ? notes : undefined, help, log, errno }
  }
}

const paint = (on: boolean | undefined, sgr: string, text: string): string => (on ? `\x1b[${sgr}m${text}\x1b[0m` : text)

function render(diagnostic: Diagnostic, options: RenderOptions): string {
  const { color } = options
  const out = [
    `${paint(color, '1;31', 'error')}${paint(color, '2', `[${diagnostic.code}]`)}: ${paint(color, '1', diagnostic.message)}`,
  ]
  if (diagnostic.at) out.push(...quote(diagnostic.at, color, '1;31'))
  for (const note of diagnostic.notes) {
    out.push(`${paint(color, '1;36', 'note')}: ${note.message}`)
    if (note.at) out.push(...quote(note.at, color, '1;36'))
  }
  if (diagnostic.help) out.push(`${paint(color, '1;32', 'help')}: ${diagnostic.help.replaceAll('\n', '\n      ')}`)
  if (options.verbose && diagnostic.log) out.push(paint(color, '2', diagnostic.log.trimEnd()))
  return out.join('\n')
}

/** `file:line:column`, then the line with carets under the part that is meant. */
function quote(at: Location, color: boolean | undefined, sgr: string): string[] {
  const gutter = ' '.repeat(String(at.line).length)
  const out = [`${gutter}${paint(color, '34', '-->')} ${at.file}:${at.line}:${at.column}`]
  if (at.text === undefined) return out
  const text = at.text.replaceAll('\t', ' ')
  const width = Math.max(1, Math.min(at.length ?? 1, text.length - at.column + 1))
  const bar = paint(color, '34', '|')
  out.push(`${gutter} ${bar}`)
  out.push(`${paint(color, '34', String(at.line))} ${bar} ${text}`)
  out.push(`${gutter} ${bar} ${' '.repeat(at.column - 1)}${paint(color, sgr, '^'.repeat(width))}`)
  return out
}
