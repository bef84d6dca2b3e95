// The syntax of a probe file as the compiler sees it: a small tree of its own, so that nothing behind the
// front end depends on the TypeScript package. What kernel code cannot use is kept as `unsupported`, with
// the reason: it is an error only where kernel code reaches it.

/** Half-open range of offsets into the source text. */
export interface Span {
  readonly at: number
  readonly end: number
}

export type UnaryOp = '-' | '+' | '!' | '~'
export type BinaryOp =
  | '+'
  | '-'
  | '*'
  | '/'
  | '%'
  | '&'
  | '|'
  | '^'
  | '<<'
  | '>>'
  | '>>>'
  | '==='
  | '!=='
  | '<'
  | '<='
  | '>'
  | '>='
export type LogicalOp = '&&' | '||' | '??'

export type Expr = Span &
  (
    | { readonly kind: 'number'; readonly value: bigint }
    | { readonly kind: 'string'; readonly value: string }
    | { readonly kind: 'boolean'; readonly value: boolean }
    | { readonly kind: 'undefined' }
    | { readonly kind: 'name'; readonly name: string }
    | { readonly kind: 'member'; readonly object: Expr; readonly name: string }
    | { readonly kind: 'index'; readonly object: Expr; readonly index: Expr }
    | { readonly kind: 'call'; readonly callee: Expr; readonly args: readonly Expr[] }
    | { readonly kind: 'unary'; readonly op: UnaryOp; readonly operand: Expr }
    | { readonly kind: 'update'; readonly op: '+' | '-'; readonly prefix: boolean; readonly target: Expr }
    | { readonly kind: 'binary'; readonly op: BinaryOp; readonly left: Expr; readonly right: Expr }
    | { readonly kind: 'logical'; readonly op: LogicalOp; readonly left: Expr; readonly right: Expr }
    /** `op` is absent in a plain assignment. */
    | { readonly kind: 'assign'; readonly op: BinaryOp | undefined; readonly target: Expr; readonly value: Expr }
    | { readonly kind: 'conditional'; readonly test: Expr; readonly yes: Expr; readonly no: Expr }
    | { readonly kind: 'object'; readonly properties: readonly Property[] }
    | { readonly kind: 'array'; readonly elements: readonly Expr[] }
    | { readonly kind: 'function'; readonly fn: Func }
    /** `x!`: the author's word that x is not undefined. */
    | { readonly kind: 'nonnull'; readonly operand: Expr }
    | Unsupported
  )

export interface Unsupported {
  readonly kind: 'unsupported'
  /** What it is, as the subject of a sentence: `a regular expression`. */
  readonly what: string
  readonly help: string
}

export interface Property extends Span {
  readonly name: string
  readonly value: Expr
}

/** A type annotation, as far as kernel code needs to understand it. */
export type TypeExpr = Span &
  (
    | { readonly kind: 'name'; readonly name: string }
    /** `Value<typeof name>`. */
    | { readonly kind: 'value'; readonly name: string }
    | { readonly kind: 'other'; readonly text: string }
  )

export type Stmt = Span &
  (
    | { readonly kind: 'declare'; readonly declarations: readonly Declaration[] }
    | { readonly kind: 'expr'; readonly expr: Expr }
    | { readonly kind: 'if'; readonly test: Expr; readonly yes: Stmt; readonly no: Stmt | undefined }
    | {
        readonly kind: 'for'
        readonly init: Stmt | undefined
        readonly test: Expr | undefined
        readonly step: Expr | undefined
        readonly body: Stmt
      }
    | { readonly kind: 'forOf'; readonly name: string; readonly over: Expr; readonly body: Stmt }
    | { readonly kind: 'while'; readonly test: Expr; readonly body: Stmt; readonly testFirst: boolean }
    | { readonly kind: 'switch'; readonly subject: Expr; readonly cases: readonly Case[] }
    | { readonly kind: 'break' }
    | { readonly kind: 'continue' }
    | { readonly kind: 'return'; readonly value: Expr | undefined }
    | { readonly kind: 'block'; readonly body: readonly Stmt[] }
    | Unsupported
  )

/** `test` is absent for `default`. */
export interface Case extends Span {
  readonly test: Expr | undefined
  readonly body: readonly Stmt[]
}

export interface Declaration extends Span {
  readonly name: string
  readonly constant: boolean
  readonly type: TypeExpr | undefined
  readonly value: Expr | undefined
}

export interface Param extends Span {
  readonly name: string
  readonly type: TypeExpr | undefined
}

export interface Func extends Span {
  readonly name: string
  readonly params: readonly Param[]
  readonly returns: TypeExpr | undefined
  readonly body: readonly Stmt[]
  /** Why it cannot be kernel code, if it cannot: async, a generator, destructured parameters. */
  readonly unsupported: Unsupported | undefined
}

/** A file: what it imports and what it declares at its top level. Other statements are the user side's. */
export interface Module {
  /** Local name to module and name there. */
  readonly imports: ReadonlyMap<string, { readonly from: string; readonly name: string }>
  readonly declarations: readonly TopLevel[]
}

export interface TopLevel extends Span {
  readonly name: string
  readonly exported: boolean
  /** `other`: a class, an enum, a destructured name: it exists, but kernel code cannot use it. */
  readonly kind: 'const' | 'let' | 'function' | 'other'
  readonly type: TypeExpr | undefined
  readonly value: Expr | undefined
}
