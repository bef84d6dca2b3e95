// The language in which the syntax columns of the instruction table are written, and the tokens of assembly.
//
// A template is the text of an instruction with its operands in braces:
//
//   r{dst} w{dst} r{src} w{src}   a register: its 64-bit and its 32-bit name
//   {imm}      the 32-bit immediate                       {off}     `+ 4`, `- 8`: displacement of an address
//   {imm64}    both halves of an lddw, as one number      {next}    the high half of an lddw alone
//   {jump}     `+2`, `-3` or a label: off, or imm where the row has it there (gotol, call, func)
//   {helper}   imm as a helper: `14`, `name#14`, a name   {kfunc}   imm as a BTF id: `714`, `name#714`
//   {module}   off of a kfunc call, ` module 3`; nothing if it is 0
//   {map}      a map by its name: imm is filled in at load
//
// The disassembler prints templates; the assembler reads along the tree in grammar.ts that all of them make.

/** The kernel's and clang's way of writing (`r0 += r1`), or that of the conformance vectors (`add %r0, %r1`). */
export type Dialect = 'kernel' | 'vector'

export type OperandKind =
  | 'dst'
  | 'src'
  | 'imm'
  | 'off'
  | 'imm64'
  | 'next'
  | 'jump'
  | 'helper'
  | 'kfunc'
  | 'module'
  | 'map'

export interface Operand {
  readonly kind: OperandKind
  /** The letter before the number of a register; empty for other operands. */
  readonly letter: string
}

const OPERAND = /([rw])\{(dst|src)\}|\{(\w+)\}/g

/** A template cut into its texts (as they are printed) and its operands, in order. */
export function segments(template: string): (string | Operand)[] {
  const out: (string | Operand)[] = []
  let end = 0
  for (const found of template.matchAll(OPERAND)) {
    if (found.index > end) out.push(template.slice(end, found.index))
    out.push({ kind: (found[2] ?? found[3]) as OperandKind, letter: found[1] ?? '' })
    end = found.index + found[0].length
  }
  if (end < template.length) out.push(template.slice(end))
  return out
}

/** A number, a word or a sign, with its place in the line (from 0). */
export interface Token {
  readonly text: string
  readonly start: number
}

// Whitespace and the comments (`;`, `#`, `//` to the end of the line) first, a character of no token last.
const TOKEN = /[^\S]+|(?:\/\/|[;#]).*|0[xX][0-9a-fA-F]+|\d+|[A-Za-z_.$][\w.$]*(?:#\d+)?|<<=|>>=|[-+*/|&%^=!<>]=|./gsu

/** The tokens of a line without its comment. `name#14`, as bpftool prints calls, is one. */
export function tokenize(line: string, from = 0): Token[] {
  const tokens: Token[] = []
  for (const { 0: text, index } of line.slice(from).matchAll(TOKEN)) {
    if (text[0] === ';' || text[0] === '#' || text.startsWith('//')) break
    if (text.trim() !== '') tokens.push({ text, start: from + index })
  }
  return tokens
}
