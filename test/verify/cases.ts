// Reads the corpus in cases/*.txt: one program a case, with the verdict that is expected and the reason for it.

import { readdirSync, readFileSync } from 'node:fs'
import type { ProgTypeName } from '../../src/spec/names.ts'

export interface Case {
  readonly file: string
  readonly name: string
  readonly type: ProgTypeName
  /** `accept`, or the code of the diagnostic. */
  readonly verdict: string
  readonly why: string
  /** A part of the message. */
  readonly message: string | undefined
  readonly text: string
}

const folder = new URL('cases/', import.meta.url)

function read(file: string): Case[] {
  const blocks = readFileSync(new URL(file, folder), 'utf8').split(/^== /m).slice(1)
  return blocks.map((block) => {
    const [head, ...lines] = block.split('\n')
    const [name, type, verdict, why] = head.split(' | ')
    const message = lines[0]?.startsWith('! ') ? lines[0].slice(2) : undefined
    const text = lines.slice(message === undefined ? 0 : 1).join('\n')
    return { file, name, type: type as ProgTypeName, verdict, why, message, text }
  })
}

/** Every case, in the order of the files. */
export const CASES: readonly Case[] = readdirSync(folder).sort().flatMap(read)
