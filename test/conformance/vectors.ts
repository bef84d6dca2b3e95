// The conformance vectors of bpf_conformance as data: programs in assembly with the memory they start on and the r0
// they must end with. Any engine can be held against them: `vectors()` lists them all.
//
// A file is a sequence of sections, each begun by `-- NAME`; `#` begins a comment. Sections: `asm` (the program),
// `raw` (the same as 64-bit words), `mem` (hex bytes: r1 points at a copy of them, r2 is their number), `result`
// (r0), `error` (the program must fail; the text is one implementation's), `c` (the source that the assembly came
// from), `no register offset` (why engines without callx by register leave it out).

import { readdirSync, readFileSync } from 'node:fs'

export interface Vector {
  /** File name without its ending, `rfc9669_add64`. */
  readonly name: string
  /** The assembly, with its comments. */
  readonly asm: string
  /** The instructions as 64-bit words: the opcode is the lowest byte. */
  readonly raw: readonly bigint[] | undefined
  /** What r1 points at when the program starts. Without it r1 and r2 are 0. */
  readonly mem: Uint8Array | undefined
  /** r0 when the program exits, as an unsigned number; undefined if it must fail. */
  readonly result: bigint | undefined
  readonly error: string | undefined
  /** Set where the register of a callx stands in imm in one encoding and in dst in another. */
  readonly noRegisterOffset: string | undefined
}

const FOLDER = new URL('./vectors/', import.meta.url)

/** All vectors, by name. */
export function vectors(): Vector[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.data'))
    .sort()
    .map((file) => parseVector(file.slice(0, -'.data'.length), readFileSync(new URL(file, FOLDER), 'utf8')))
}

/** One vector from the text of its file. Throws an Error that says what is wrong with it. */
export function parseVector(name: string, text: string): Vector {
  const sections = split(name, text)
  const asm = sections.get('asm')
  if (asm === undefined) throw new Error(`${name}: no section asm`)
  const result = content(sections, 'result')
  const error = content(sections, 'error')
  if ((result === undefined) === (error === undefined)) throw new Error(`${name}: one of result and error, not both`)
  return {
    name,
    asm,
    raw: content(sections, 'raw')
      ?.split(/\s+/)
      .map((word) => BigInt(word)),
    mem: bytes(name, content(sections, 'mem')),
    result: result === undefined ? undefined : BigInt.asUintN(64, BigInt(result)),
    error,
    noRegisterOffset: content(sections, 'no register offset'),
  }
}

function split(name: string, text: string): Map<string, string> {
  const sections = new Map<string, string>()
  let title: string | undefined
  for (const line of text.split('\n')) {
    if (line.startsWith('-- ')) {
      title = line.slice(3).trim()
      if (!TITLES.has(title)) throw new Error(`${name}: unknown section ${title}`)
      if (sections.has(title)) throw new Error(`${name}: section ${title} stands twice`)
      sections.set(title, '')
    } else if (title !== undefined) {
      sections.set(title, `${sections.get(title)}${line}\n`)
    }
  }
  return sections
}

const TITLES: ReadonlySet<string> = new Set(['asm', 'raw', 'mem', 'result', 'error', 'c', 'no register offset'])

/** A section without its comments. */
const content = (sections: ReadonlyMap<string, string>, title: string): string | undefined =>
  sections
    .get(title)
    ?.split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '')
    .join('\n')

function bytes(name: string, text: string | undefined): Uint8Array | undefined {
  if (text === undefined) return undefined
  const pairs = text.split(/\s+/)
  if (!pairs.every((pair) => /^[0-9a-f]{2}$/i.test(pair))) throw new Error(`${name}: mem is not hex bytes`)
  return Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16))
}
