// The tree of all templates of the instruction table, both dialects in one: a line of assembly is read along its
// tokens, and where no branch goes on, the furthest place reached and what could stand there make the error.

import { type Dialect, type Operand, segments, type Token, tokenize } from './syntax.ts'
import { INSNS, type NamedRow } from './table.ts'

interface Branch {
  readonly operand: Operand
  readonly node: Node
}

interface Node {
  readonly literals: Map<string, Node>
  readonly operands: Branch[]
  /** The row whose template ends here. */
  row?: NamedRow
  dialect?: Dialect
}

/** An operand as it was read: the tokens from `from` up to, not including, `to`. */
export interface Capture {
  readonly operand: Operand
  readonly from: number
  readonly to: number
}

export interface Match {
  readonly row: NamedRow
  readonly dialect: Dialect
  readonly captures: readonly Capture[]
}

export interface Mismatch {
  /** Index of the token that could not be read; the number of tokens if the line ended too early. */
  readonly at: number
  /** Words and signs that could stand there. */
  readonly words: ReadonlySet<string>
  /** Operands that could stand there. */
  readonly operands: readonly Operand[]
}

const newNode = (): Node => ({ literals: new Map(), operands: [] })

function addTemplate(root: Node, row: NamedRow, dialect: Dialect, template: string): void {
  let node = root
  for (const segment of segments(template)) {
    if (typeof segment !== 'string') {
      node = operandNode(node, segment)
      continue
    }
    for (const { text } of tokenize(segment)) node = literalNode(node, text)
  }
  if (node.row && node.row !== row) throw new Error(`${node.row.name} and ${row.name} are both written ${template}`)
  node.row = row
  node.dialect ??= dialect
}

function literalNode(node: Node, text: string): Node {
  const known = node.literals.get(text)
  if (known) return known
  const made = newNode()
  node.literals.set(text, made)
  return made
}

function operandNode(node: Node, operand: Operand): Node {
  const known = node.operands.find(
    ({ operand: { kind, letter } }) => kind === operand.kind && letter === operand.letter,
  )
  if (known) return known.node
  const made = newNode()
  node.operands.push({ operand, node: made })
  return made
}

const ROOT: Node = newNode()
for (const row of INSNS) {
  for (const template of [row.syntax, ...(row.also ?? [])]) addTemplate(ROOT, row, 'kernel', template)
  for (const template of [row.vector, ...(row.alsoVector ?? [])]) addTemplate(ROOT, row, 'vector', template)
}

/** The words with which an instruction may begin. */
export const MNEMONICS: readonly string[] = [...ROOT.literals.keys()].filter((word) => /^[a-z]/.test(word))

const NUMBER = /^\d/
const WORD = /^[A-Za-z_.$]/
export const REGISTER: RegExp = /^[rw]\d+$/

const isSign = (token: Token | undefined): boolean => token?.text === '+' || token?.text === '-'
const isNumber = (token: Token | undefined): boolean => token !== undefined && NUMBER.test(token.text)
const isName = (token: Token | undefined): boolean =>
  token !== undefined && WORD.test(token.text) && !token.text.includes('#') && !REGISTER.test(token.text)

/** How many tokens at `at` are such an operand; -1 if they are none. */
type Reader = (tokens: readonly Token[], at: number, isHelper: (name: string) => boolean) => number

const readNumber: Reader = (tokens, at) => {
  const sign = isSign(tokens[at]) ? 1 : 0
  return isNumber(tokens[at + sign]) ? sign + 1 : -1
}

const readId: Reader = (tokens, at) => (isNumber(tokens[at]) || tokens[at]?.text.includes('#') ? 1 : -1)

const readName: Reader = (tokens, at) => (isName(tokens[at]) ? 1 : -1)

const READERS: Readonly<Record<Exclude<Operand['kind'], 'dst' | 'src'>, Reader>> = {
  imm: readNumber,
  imm64: readNumber,
  next: readNumber,
  off: (tokens, at) => (isSign(tokens[at]) && isNumber(tokens[at + 1]) ? 2 : 0),
  jump: (tokens, at) => {
    const pc = tokens[at]?.text === 'pc' ? 1 : 0
    if (isSign(tokens[at + pc]) && isNumber(tokens[at + pc + 1])) return pc + 2
    return isName(tokens[at]) ? 1 : -1
  },
  helper: (tokens, at, isHelper) => {
    if (isName(tokens[at])) return isHelper(tokens[at].text) ? 1 : -1
    return readId(tokens, at, isHelper)
  },
  kfunc: readId,
  module: (tokens, at) => (tokens[at]?.text === 'module' && isNumber(tokens[at + 1]) ? 2 : 0),
  map: readName,
}

/** Reads one instruction, all of `tokens`. `isHelper` says which bare words name a helper. */
export function match(tokens: readonly Token[], isHelper: (name: string) => boolean): Match | Mismatch {
  const captures: Capture[] = []
  let furthest = 0
  let stuck: Node[] = []

  const reached = (node: Node, at: number): void => {
    if (at < furthest) return
    if (at > furthest) stuck = []
    furthest = at
    stuck.push(node)
  }

  const register = ({ kind, letter }: Operand, at: number): number => {
    const text = tokens[at]?.text
    if (text === undefined || !REGISTER.test(text) || text[0] !== letter || Number(text.slice(1)) > 10) return -1
    const before = captures.find(({ operand }) => operand.kind === kind)
    return before === undefined || tokens[before.from].text === text ? 1 : -1
  }

  const walk = (node: Node, at: number): Node | undefined => {
    if (at === tokens.length && node.row) return node
    reached(node, at)
    const literal = at < tokens.length ? node.literals.get(tokens[at].text) : undefined
    const end = literal && walk(literal, at + 1)
    if (end) return end
    for (const { operand, node: after } of node.operands) {
      const { kind } = operand
      const count = kind === 'dst' || kind === 'src' ? register(operand, at) : READERS[kind](tokens, at, isHelper)
      if (count < 0) continue
      captures.push({ operand, from: at, to: at + count })
      const found = walk(after, at + count)
      if (found) return found
      captures.pop()
    }
    return undefined
  }

  const end = walk(ROOT, 0)
  if (end?.row && end.dialect) return { row: end.row, dialect: end.dialect, captures }
  return {
    at: furthest,
    words: new Set(stuck.flatMap(({ literals }) => [...literals.keys()])),
    operands: stuck.flatMap((node) => node.operands.map(({ operand }) => operand)),
  }
}
