// Where a trace or a coverage report is written: standard output, or a file that the user names.

import { closeSync, openSync, writeSync } from 'node:fs'
import { Diagnostic } from '../diag/diagnostic.ts'

export interface Sink extends Disposable {
  readonly write: (text: string) => void
  /** The text with this SGR code around it, where colours are shown. */
  readonly style: (sgr: string, text: string) => string
}

/** Standard output if `file` is undefined. Throws a Diagnostic where the file can't be written. */
export function openSink(file?: string): Sink {
  if (file === undefined) {
    const color = process.stdout.hasColors?.() ?? false
    return {
      write: (text) => {
        process.stdout.write(text)
      },
      style: (sgr, text) => (color ? `\x1b[${sgr}m${text}\x1b[0m` : text),
      [Symbol.dispose]: () => {},
    }
  }
  const fd = open(file)
  return {
    write: (text) => {
      writeSync(fd, text)
    },
    style: (_, text) => text,
    [Symbol.dispose]: () => closeSync(fd),
  }
}

function open(file: string): number {
  try {
    return openSync(file, 'w')
  } catch (cause) {
    throw unwritable(file, cause)
  }
}

/** Why a file that the user named can't be written. */
export function unwritable(file: string, cause: unknown): Diagnostic {
  const errno = (cause as NodeJS.ErrnoException).code
  return new Diagnostic({
    code: 'cli/unwritable',
    message: `${file} can't be written (${errno})`,
    help: 'name a file that this user may write, in a folder that is there',
    errno,
    cause,
  })
}
