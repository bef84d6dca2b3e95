// From TypeScript's syntax tree to that of src/compile/syntax.ts. What kernel code cannot use stays in the tree
// as `unsupported`, with what to write in its place.

import type ts from 'typescript'
import type {
  BinaryOp,
  Case,
  Declaration,
  Expr,
  Func,
  LogicalOp,
  Module,
  Param,
  Property,
  Span,
  Stmt,
  TopLevel,
  TypeExpr,
  UnaryOp,
  Unsupported,
} from './syntax.ts'

type Api = typeof ts

/** Texts of what kernel code cannot use, by the name of the syntax kind. */
const REFUSED: Readonly<Record<string, readonly [what: string, help: string]>> = {
  RegularExpressionLiteral: ['a regular expression', 'compare whole strings with ===, or match on the user side'],
  TemplateExpression: ['a template literal', 'emit the parts as fields of a record and format them on the user side'],
  // The package's other name for NoSubstitutionTemplateLiteral, and the one that a look-up by number gives.
  FirstTemplateToken: ['a template literal', "write it as a plain string: 'text'"],
  TaggedTemplateExpression: ['a tagged template', 'format text on the user side'],
  AwaitExpression: ['await', 'kernel code runs to its end at once; wait on the user side'],
  YieldExpression: ['yield', 'kernel code runs to its end at once; emit() hands records to the user side'],
  ClassExpression: ['a class', 'use struct() for data and plain functions for code'],
  ClassDeclaration: ['a class', 'use struct() for data and plain functions for code'],
  NewExpression: ['new', 'there is no heap: data lives in maps, ring buffers and structs on the stack'],
  TypeOfExpression: ['typeof', 'the types are known when the program is compiled'],
  DeleteExpression: ['the delete operator', 'use map.delete(key)'],
  SpreadElement: ['a spread', 'name each element'],
  ThisKeyword: ['this', 'pass the value as a parameter'],
  TryStatement: ['try', 'there are no exceptions: helpers return undefined where they fail, so test for that'],
  ThrowStatement: ['throw', 'there are no exceptions: return early instead'],
  LabeledStatement: ['a label', 'move the inner loop to a function and return from it'],
  ForInStatement: ['for … in', 'count with a for loop, or use for … of over a fixed array'],
  WithStatement: ['with', 'name the object'],
  FunctionDeclaration: ['a function inside a function', 'move it to the top level of the file'],
  EnumDeclaration: ['enum', 'declare it with enumeration(u8, { … }) or as a constant object'],
  DebuggerStatement: ['debugger', 'emit a record with what you want to see'],
  CommaListExpression: ['a comma expression', 'write two statements'],
  VoidExpression: ['void', 'leave it out'],
}

const BINARY: ReadonlySet<string> = new Set('+ - * / % & | ^ << >> >>> === !== < <= > >='.split(' '))

export class Converter {
  private readonly ts: Api
  private readonly source: ts.SourceFile

  constructor(api: Api, source: ts.SourceFile) {
    this.ts = api
    this.source = source
  }

  private span(node: ts.Node): Span {
    return { at: node.getStart(this.source), end: node.end }
  }

  private refused(node: ts.Node, what?: string, help?: string): Span & Unsupported {
    const [known, way] = REFUSED[this.ts.SyntaxKind[node.kind]] ?? []
    return {
      ...this.span(node),
      kind: 'unsupported',
      what: what ?? known ?? `this kind of TypeScript (${this.ts.SyntaxKind[node.kind]})`,
      help: help ?? way ?? 'see docs/language.md for what kernel code can use',
    }
  }

  module(): Module {
    const { ts } = this
    const imports = new Map<string, { from: string; name: string }>()
    const declarations: TopLevel[] = []
    for (const statement of this.source.statements) {
      if (ts.isImportDeclaration(statement)) this.import(statement, imports)
      else if (ts.isVariableStatement(statement)) {
        const exported = this.isExported(statement)
        const constant = (statement.declarationList.flags & ts.NodeFlags.Const) !== 0
        for (const declaration of statement.declarationList.declarations) {
          declarations.push(...this.topLevel(declaration, constant ? 'const' : 'let', exported, statement))
        }
      } else if (ts.isFunctionDeclaration(statement) && statement.name) {
        const fn = this.func(statement, statement.name.text)
        declarations.push({
          ...this.span(statement),
          name: statement.name.text,
          exported: this.isExported(statement),
          kind: 'function',
          type: undefined,
          value: { ...this.span(statement), kind: 'function', fn },
        })
      } else if ((ts.isClassDeclaration(statement) || ts.isEnumDeclaration(statement)) && statement.name) {
        const value = this.refused(statement)
        declarations.push({
          ...this.span(statement),
          name: statement.name.text,
          exported: this.isExported(statement),
          kind: 'other',
          type: undefined,
          value,
        })
      }
    }
    return { imports, declarations }
  }

  private isExported(statement: ts.Statement): boolean {
    const { ts } = this
    if (!ts.canHaveModifiers(statement)) return false
    return ts.getModifiers(statement)?.some((modifier) => modifier.kind === ts.SyntaxKind.ExportKeyword) ?? false
  }

  private import(statement: ts.ImportDeclaration, imports: Map<string, { from: string; name: string }>): void {
    const { ts } = this
    if (!ts.isStringLiteral(statement.moduleSpecifier)) return
    const from = statement.moduleSpecifier.text
    const clause = statement.importClause
    if (clause?.name) imports.set(clause.name.text, { from, name: 'default' })
    const bindings = clause?.namedBindings
    if (!bindings) return
    if (ts.isNamespaceImport(bindings)) {
      imports.set(bindings.name.text, { from, name: '*' })
      return
    }
    for (const element of bindings.elements) {
      imports.set(element.name.text, { from, name: (element.propertyName ?? element.name).text })
    }
  }

  private topLevel(
    declaration: ts.VariableDeclaration,
    kind: 'const' | 'let',
    exported: boolean,
    statement: ts.Statement,
  ): TopLevel[] {
    const { ts } = this
    const span = this.span(statement)
    if (!ts.isIdentifier(declaration.name)) {
      return declaration.name.elements.flatMap((element): TopLevel[] =>
        ts.isBindingElement(element) && ts.isIdentifier(element.name)
          ? [{ ...span, name: element.name.text, exported, kind: 'other', type: undefined, value: undefined }]
          : [],
      )
    }
    return [
      {
        ...span,
        name: declaration.name.text,
        exported,
        kind,
        type: declaration.type && this.type(declaration.type),
        value: declaration.initializer && this.expr(declaration.initializer),
      },
    ]
  }

  private func(node: ts.FunctionDeclaration | ts.ArrowFunction | ts.FunctionExpression, name: string): Func {
    const { ts } = this
    const params: Param[] = []
    let unsupported: Unsupported | undefined
    for (const param of node.parameters) {
      if (!ts.isIdentifier(param.name)) {
        unsupported = this.refused(
          param,
          'a destructured parameter',
          'take the value under one name and read its fields',
        )
      } else if (param.dotDotDotToken) {
        unsupported = this.refused(param, 'a rest parameter', 'name each parameter')
      } else if (param.initializer || param.questionToken) {
        unsupported = this.refused(param, 'an optional parameter', 'pass the value at each call')
      } else params.push({ ...this.span(param), name: param.name.text, type: param.type && this.type(param.type) })
    }
    const modifiers = ts.getModifiers(node)
    if (modifiers?.some((modifier) => modifier.kind === ts.SyntaxKind.AsyncKeyword)) {
      unsupported = this.refused(
        node,
        'an async function',
        'kernel code runs to its end at once; wait on the user side',
      )
    }
    if (node.asteriskToken) unsupported = this.refused(node, 'a generator', 'use a bounded for loop')
    return {
      ...this.span(node),
      name,
      params,
      returns: node.type && this.type(node.type),
      body: this.functionBody(node),
      unsupported,
    }
  }

  private functionBody(node: ts.FunctionDeclaration | ts.ArrowFunction | ts.FunctionExpression): readonly Stmt[] {
    if (!node.body) return []
    if (this.ts.isBlock(node.body)) return node.body.statements.flatMap((statement) => this.stmt(statement))
    return [{ ...this.span(node.body), kind: 'return', value: this.expr(node.body) }]
  }

  private type(node: ts.TypeNode): TypeExpr {
    const { ts } = this
    const span = this.span(node)
    if (ts.isTypeReferenceNode(node) && ts.isIdentifier(node.typeName)) {
      const [argument] = node.typeArguments ?? []
      if (!argument) return { ...span, kind: 'name', name: node.typeName.text }
      if (node.typeName.text === 'Value' && ts.isTypeQueryNode(argument) && ts.isIdentifier(argument.exprName)) {
        return { ...span, kind: 'value', name: argument.exprName.text }
      }
    }
    const text = node.getText(this.source)
    if (text === 'number' || text === 'boolean' || text === 'string' || text === 'void') {
      return { ...span, kind: 'name', name: text }
    }
    return { ...span, kind: 'other', text }
  }

  private block(node: ts.Statement): Stmt {
    const body = this.stmt(node)
    return body.length === 1 ? body[0] : { ...this.span(node), kind: 'block', body }
  }

  private stmt(node: ts.Statement): Stmt[] {
    const { ts } = this
    const span = this.span(node)
    if (ts.isExpressionStatement(node)) return [{ ...span, kind: 'expr', expr: this.expr(node.expression) }]
    if (ts.isVariableStatement(node)) return [this.variables(node.declarationList, span)]
    if (ts.isIfStatement(node)) {
      const no = node.elseStatement && this.block(node.elseStatement)
      return [{ ...span, kind: 'if', test: this.expr(node.expression), yes: this.block(node.thenStatement), no }]
    }
    if (ts.isReturnStatement(node)) {
      return [{ ...span, kind: 'return', value: node.expression && this.expr(node.expression) }]
    }
    if (ts.isBlock(node))
      return [{ ...span, kind: 'block', body: node.statements.flatMap((inner) => this.stmt(inner)) }]
    if (ts.isForStatement(node)) return [this.for(node, span)]
    if (ts.isForOfStatement(node)) return [this.forOf(node, span)]
    if (ts.isWhileStatement(node) || ts.isDoStatement(node)) {
      const testFirst = ts.isWhileStatement(node)
      return [{ ...span, kind: 'while', test: this.expr(node.expression), body: this.block(node.statement), testFirst }]
    }
    if (ts.isSwitchStatement(node)) return [this.switch(node, span)]
    if (ts.isBreakStatement(node) || ts.isContinueStatement(node)) {
      if (node.label)
        return [this.refused(node, 'a jump to a label', 'move the inner loop to a function and return from it')]
      return [{ ...span, kind: ts.isBreakStatement(node) ? 'break' : 'continue' }]
    }
    if (ts.isEmptyStatement(node) || ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) return []
    return [this.refused(node)]
  }

  private variables(list: ts.VariableDeclarationList, span: Span): Stmt {
    const { ts } = this
    const constant = (list.flags & ts.NodeFlags.Const) !== 0
    if ((list.flags & ts.NodeFlags.BlockScoped) === 0) return this.refused(list, 'var', 'write const or let')
    const declarations: Declaration[] = []
    for (const declaration of list.declarations) {
      const { name } = declaration
      const value = declaration.initializer && this.expr(declaration.initializer)
      if (ts.isIdentifier(name)) {
        const type = declaration.type && this.type(declaration.type)
        declarations.push({ ...this.span(declaration), name: name.text, constant, type, value })
        continue
      }
      return this.refused(declaration, 'destructuring', 'read the fields one by one: const x = value.x')
    }
    return { ...span, kind: 'declare', declarations }
  }

  private for(node: ts.ForStatement, span: Span): Stmt {
    const { ts } = this
    const { initializer } = node
    let init: Stmt | undefined
    if (initializer) {
      const at = this.span(initializer)
      init = ts.isVariableDeclarationList(initializer)
        ? this.variables(initializer, at)
        : { ...at, kind: 'expr', expr: this.expr(initializer) }
    }
    return {
      ...span,
      kind: 'for',
      init,
      test: node.condition && this.expr(node.condition),
      step: node.incrementor && this.expr(node.incrementor),
      body: this.block(node.statement),
    }
  }

  private forOf(node: ts.ForOfStatement, span: Span): Stmt {
    const { ts } = this
    const list = node.initializer
    const [declaration] = ts.isVariableDeclarationList(list) ? list.declarations : []
    if (node.awaitModifier || !declaration || !ts.isIdentifier(declaration.name)) {
      return this.refused(node, 'this form of for … of', 'write for (const x of array)')
    }
    const over = this.expr(node.expression)
    return { ...span, kind: 'forOf', name: declaration.name.text, over, body: this.block(node.statement) }
  }

  private switch(node: ts.SwitchStatement, span: Span): Stmt {
    const cases = node.caseBlock.clauses.map(
      (clause): Case => ({
        ...this.span(clause),
        test: this.ts.isCaseClause(clause) ? this.expr(clause.expression) : undefined,
        body: clause.statements.flatMap((statement) => this.stmt(statement)),
      }),
    )
    return { ...span, kind: 'switch', subject: this.expr(node.expression), cases }
  }

  private expr(node: ts.Expression): Expr {
    const { ts } = this
    const span = this.span(node)
    if (ts.isParenthesizedExpression(node) || ts.isAsExpression(node) || ts.isSatisfiesExpression(node)) {
      return this.expr(node.expression)
    }
    if (ts.isIdentifier(node)) {
      return node.text === 'undefined' ? { ...span, kind: 'undefined' } : { ...span, kind: 'name', name: node.text }
    }
    if (ts.isNumericLiteral(node) || ts.isBigIntLiteral(node)) return this.number(node, span)
    if (ts.isStringLiteral(node)) return { ...span, kind: 'string', value: node.text }
    if (node.kind === ts.SyntaxKind.TrueKeyword) return { ...span, kind: 'boolean', value: true }
    if (node.kind === ts.SyntaxKind.FalseKeyword) return { ...span, kind: 'boolean', value: false }
    if (node.kind === ts.SyntaxKind.NullKeyword)
      return this.refused(node, 'null', 'what may be missing is undefined here')
    if (ts.isNonNullExpression(node)) return { ...span, kind: 'nonnull', operand: this.expr(node.expression) }
    if (ts.isPropertyAccessExpression(node)) {
      if (node.questionDotToken)
        return this.refused(node, 'optional chaining', 'test for undefined first: if (x === undefined) return')
      return { ...span, kind: 'member', object: this.expr(node.expression), name: node.name.text }
    }
    if (ts.isElementAccessExpression(node)) {
      return { ...span, kind: 'index', object: this.expr(node.expression), index: this.expr(node.argumentExpression) }
    }
    if (ts.isCallExpression(node)) {
      if (node.questionDotToken) return this.refused(node, 'an optional call', 'test for undefined first')
      return {
        ...span,
        kind: 'call',
        callee: this.expr(node.expression),
        args: node.arguments.map((arg) => this.expr(arg)),
      }
    }
    if (ts.isPrefixUnaryExpression(node)) return this.prefix(node, span)
    if (ts.isPostfixUnaryExpression(node)) {
      const op = node.operator === ts.SyntaxKind.PlusPlusToken ? '+' : '-'
      return { ...span, kind: 'update', op, prefix: false, target: this.expr(node.operand) }
    }
    if (ts.isBinaryExpression(node)) return this.binary(node, span)
    if (ts.isConditionalExpression(node)) {
      const [test, yes, no] = [node.condition, node.whenTrue, node.whenFalse].map((part) => this.expr(part))
      return { ...span, kind: 'conditional', test, yes, no }
    }
    if (ts.isObjectLiteralExpression(node)) return this.object(node, span)
    if (ts.isArrayLiteralExpression(node)) {
      return { ...span, kind: 'array', elements: node.elements.map((element) => this.expr(element)) }
    }
    if (ts.isArrowFunction(node) || ts.isFunctionExpression(node)) {
      return { ...span, kind: 'function', fn: this.func(node, node.name?.text ?? '') }
    }
    return this.refused(node)
  }

  /** Literals keep their digits: they never pass through a double. */
  private number(node: ts.NumericLiteral | ts.BigIntLiteral, span: Span): Expr {
    const text = node.getText(this.source).replaceAll('_', '').replace(/n$/, '')
    if (/^(0[xob][0-9a-f]+|[0-9]+)$/i.test(text)) return { ...span, kind: 'number', value: BigInt(text) }
    const value = Number(text)
    if (Number.isSafeInteger(value)) return { ...span, kind: 'number', value: BigInt(value) }
    return this.refused(
      node,
      `${text}, a number with a fraction,`,
      'there are no floats in kernel code: count in a smaller unit, as 1500 µs for 1.5 ms',
    )
  }

  private prefix(node: ts.PrefixUnaryExpression, span: Span): Expr {
    const { ts } = this
    const operand = this.expr(node.operand)
    const op = ts.tokenToString(node.operator)
    if (op === '++' || op === '--')
      return { ...span, kind: 'update', op: op === '++' ? '+' : '-', prefix: true, target: operand }
    return { ...span, kind: 'unary', op: op as UnaryOp, operand }
  }

  private binary(node: ts.BinaryExpression, span: Span): Expr {
    const op = node.operatorToken.getText(this.source)
    const left = this.expr(node.left)
    const right = this.expr(node.right)
    if (op === '=') return { ...span, kind: 'assign', op: undefined, target: left, value: right }
    if (op === '&&' || op === '||' || op === '??') return { ...span, kind: 'logical', op: op as LogicalOp, left, right }
    if (BINARY.has(op)) return { ...span, kind: 'binary', op: op as BinaryOp, left, right }
    if (op.endsWith('=') && BINARY.has(op.slice(0, -1))) {
      return { ...span, kind: 'assign', op: op.slice(0, -1) as BinaryOp, target: left, value: right }
    }
    if (op === '==' || op === '!=') return this.refused(node, op, `write ${op}=`)
    if (op === '**') return this.refused(node, 'the power operator', 'multiply, or shift: 1 << n is 2 ** n')
    if (op === ',') return this.refused(node, 'a comma expression', 'write two statements')
    return this.refused(node, `the operator ${op}`)
  }

  private object(node: ts.ObjectLiteralExpression, span: Span): Expr {
    const { ts } = this
    const properties: Property[] = []
    for (const property of node.properties) {
      const at = this.span(property)
      if (ts.isShorthandPropertyAssignment(property)) {
        const { text } = property.name
        properties.push({ ...at, name: text, value: { ...at, kind: 'name', name: text } })
      } else if (
        ts.isPropertyAssignment(property) &&
        (ts.isIdentifier(property.name) || ts.isStringLiteral(property.name))
      ) {
        properties.push({ ...at, name: property.name.text, value: this.expr(property.initializer) })
      } else return this.refused(property, 'this kind of property', 'write name: value for each field')
    }
    return { ...span, kind: 'object', properties }
  }
}
