// Lowering: the statements of a program, and of the functions that it calls, become IR. A function of the
// file is copied to where it is called, which can take structs and headers too, or called where that is
// shorter (src/compile/subprog.ts). Either way recursion cannot be.

import { nearest } from '../diag/nearest.ts'
import type { Platform } from '../spec/platform.ts'
import type { TracepointFormat } from '../spec/tracepoint.ts'
import { ExprLowering } from './expr.ts'
import type { Block, Builder } from './ir.ts'
import { type KType, sizeOf } from './ktype.ts'
import type { Losses } from './mapop.ts'
import { place, readPlace } from './memory.ts'
import type { Operand } from './operand.ts'
import type { Report } from './report.ts'
import type { ProgramEntity, Scope } from './scope.ts'
import { operandOf, type Shape, type Subprog, Subprogs } from './subprog.ts'
import type { Case, Declaration, Expr, Func, Span, Stmt } from './syntax.ts'

export interface Lowered {
  readonly builder: Builder
  readonly deepest: ExprLowering['flow']['deepest']
  /** The functions that it calls, directly or not. */
  readonly subprogs: readonly Subprog[]
  /** What of the file became kernel code, for the type checker's findings. */
  readonly spans: readonly Span[]
}

export interface LowerInput {
  readonly program: ProgramEntity
  readonly format: TracepointFormat | undefined
  readonly scope: Scope
  readonly report: Report
  readonly platform: Platform
  readonly losses: Losses
}

/**
 * Lowers one program, with a copy of each function that it calls; and if some of them should rather be called,
 * once more with calls. What is wrong goes to the report; then the results must not be used.
 */
export function lower(input: LowerInput): { copied: Lowered; calling: Lowered | undefined } {
  const subprogs = new Subprogs()
  const before = input.report.found.length
  const copied = new Lowering(input, subprogs, false).run()
  if (!subprogs.any || input.report.found.length > before) return { copied, calling: undefined }
  return { copied, calling: new Lowering(input, subprogs, true).run() }
}

/** Functions call each other at most this deep: beyond, code would grow without bound. */
const DEPTH = 16

interface Frame {
  readonly fn: Func
  readonly returns: KType | undefined
  /** Undefined in the program itself, whose returns end it. */
  readonly ends: { block: Block; operand: Operand; span: Span }[] | undefined
}

class Lowering extends ExprLowering {
  private readonly input: LowerInput
  private readonly program: ProgramEntity
  private readonly subprogs: Subprogs
  /** Whether functions are called where that is worth it; otherwise all are copied, and noted. */
  private readonly calling: boolean
  private readonly frames: Frame[] = []
  private readonly loops: { again: Block | undefined; out: Block }[] = []
  readonly spans: Span[] = []

  constructor(input: LowerInput, subprogs: Subprogs, calling: boolean) {
    const { program, format, scope, report, platform, losses } = input
    super(program, format, scope, report, platform, losses)
    this.input = input
    this.program = program
    this.subprogs = subprogs
    this.calling = calling
  }

  run(): Lowered {
    const { flow, program, report } = this
    const { fn } = program
    this.spans.push(fn)
    flow.at = fn.at
    const before = report.found.length
    report.attempt(() => {
      if (fn.unsupported) throw report.unsupported(fn, fn.unsupported)
      this.enterProgram()
      if (fn.params.length > 1)
        throw report.error(fn.params[1], 'parameters', `a program gets one parameter, its context`)
      this.push()
      const [param] = fn.params
      if (param) this.bind(param.name, { kind: 'const', operand: { kind: 'context' } })
      this.frames.push({ fn, returns: undefined, ends: undefined })
      this.body(fn.body)
      if (flow.open) {
        flow.at = Math.max(fn.at, fn.end - 1)
        if (program.type === 'xdp') {
          // After another finding the end may be reached only because a return was left out.
          if (this.reachesEnd() && report.found.length === before)
            throw report.error(
              { at: fn.end - 1, end: fn.end },
              'verdict',
              'this XDP program can end without a verdict',
              'return XDP.PASS at its end',
            )
        }
        flow.builder.end({ op: 'exit', value: flow.const(0), at: flow.at })
      }
    })
    const subprogs = this.calling ? this.subprogs.made : []
    return { builder: flow.builder, deepest: flow.deepest, subprogs, spans: this.spans }
  }

  /** Whether the current block can be reached from the entry. */
  private reachesEnd(): boolean {
    const { block, graph } = this.flow.builder
    if (block === graph.blocks[0]) return true
    return graph.blocks.some((other) => {
      const { end } = other
      return end?.op === 'jump' ? end.to === block : end?.op === 'branch' && (end.yes === block || end.no === block)
    })
  }

  private body(statements: readonly Stmt[]): void {
    for (const statement of statements) {
      const mark = this.flow.mark()
      const { block } = this.flow.builder
      const fine = this.report.attempt(() => this.stmt(statement))
      if (!fine) {
        this.poison(statement)
        // What was begun is left unfinished: go on as if the statement were empty.
        if (!this.flow.open || this.flow.builder.block !== block) this.flow.enter(this.flow.newBlock())
      }
      if (statement.kind !== 'declare') this.flow.release(mark)
    }
  }

  /** Names that a wrong declaration should have declared are not reported again at each use. */
  private poison(statement: Stmt): void {
    if (statement.kind !== 'declare') return
    for (const { name } of statement.declarations) this.bind(name, { kind: 'poison' })
  }

  private scoped(run: () => void): void {
    const mark = this.flow.mark()
    this.push()
    run()
    this.pop()
    this.flow.release(mark)
  }

  private stmt(statement: Stmt): void {
    const { flow } = this
    flow.at = statement.at
    if (!flow.open) flow.enter(flow.newBlock())
    switch (statement.kind) {
      case 'declare':
        for (const declaration of statement.declarations) this.declaration(declaration)
        return
      case 'expr':
        this.effect(statement.expr)
        return
      case 'if':
        this.if(statement)
        return
      case 'for':
        this.scoped(() => this.for(statement))
        return
      case 'forOf':
        this.scoped(() => this.forOf(statement))
        return
      case 'while':
        this.while(statement)
        return
      case 'switch':
        this.scoped(() => this.switch(statement))
        return
      case 'break':
      case 'continue': {
        const loop = statement.kind === 'break' ? this.loops.at(-1) : this.loops.findLast(({ again }) => again)
        const to = statement.kind === 'break' ? loop?.out : loop?.again
        if (to) flow.jump(to)
        return
      }
      case 'return':
        this.return(statement.value, statement)
        return
      case 'block':
        this.scoped(() => this.body(statement.body))
        return
      case 'unsupported':
        throw this.report.unsupported(statement, statement)
    }
  }

  private declaration(declaration: Declaration): void {
    const { flow, report } = this
    const { name, value } = declaration
    const type = this.scope.annotation(declaration.type)
    if (!value) {
      if (type?.kind !== 'int') {
        throw report.error(declaration, 'initial-value', `${name} needs a value`, `let ${name} = 0`)
      }
      const cell = flow.cell(flow.int(flow.const(0), type), name, declaration)
      flow.write(cell, flow.int(flow.const(0), type), declaration)
      this.bind(name, { kind: 'variable', cell })
      return
    }
    let operand = this.expr(value)
    if (operand.kind === 'void') throw report.error(value, 'type', 'this gives no value')
    if (type) operand = this.typed(operand, type, name, value)
    if (declaration.constant || (type && operand.kind === 'ref')) {
      this.bind(name, { kind: 'const', operand })
      return
    }
    const cell = flow.cell(operand, name, declaration)
    flow.write(cell, operand, value)
    this.bind(name, { kind: 'variable', cell })
  }

  /** An operand as what an annotation says: integers converted, literals of structs and strings put on the stack. */
  private typed(operand: Operand, type: KType, name: string, span: Span): Operand {
    const { flow } = this
    if (operand.kind === 'int' && (type.kind === 'int' || type.kind === 'enum')) {
      return flow.convert(operand, type.kind === 'enum' ? type.base : type)
    }
    if (operand.kind === 'object' || operand.kind === 'list') return place(flow, type, operand, name, span)
    return operand
  }

  private if(statement: Stmt & { kind: 'if' }): void {
    const { flow } = this
    const [yes, no, after] = [flow.newBlock(), flow.newBlock(), flow.newBlock()]
    this.condition(statement.test, yes, statement.no ? no : after)
    flow.enter(yes)
    this.scoped(() => this.body([statement.yes]))
    flow.jump(after)
    if (statement.no) {
      flow.enter(no)
      const other = statement.no
      this.scoped(() => this.body([other]))
      flow.jump(after)
    }
    flow.enter(after)
  }

  private for(statement: Stmt & { kind: 'for' }): void {
    const { flow } = this
    if (statement.init) this.stmt(statement.init)
    const [head, body, step, out] = [flow.newBlock(), flow.newBlock(), flow.newBlock(), flow.newBlock()]
    this.checkBound(statement, statement.test, statement.step)
    flow.jump(head)
    flow.enter(head)
    if (statement.test) this.condition(statement.test, body, out)
    else flow.jump(body)
    this.loopBody(statement.body, body, step, out)
    flow.enter(step)
    if (statement.step) this.effect(statement.step)
    flow.jump(head)
    flow.enter(out)
  }

  private while(statement: Stmt & { kind: 'while' }): void {
    const { flow } = this
    this.checkBound(statement, statement.test, undefined)
    const [head, body, out] = [flow.newBlock(), flow.newBlock(), flow.newBlock()]
    flow.jump(statement.testFirst ? head : body)
    flow.enter(head)
    this.condition(statement.test, body, out)
    this.loopBody(statement.body, body, head, out)
    flow.enter(out)
  }

  private loopBody(statement: Stmt, body: Block, again: Block, out: Block): void {
    const { flow } = this
    flow.enter(body)
    this.loops.push({ again, out })
    this.scoped(() => this.body([statement]))
    this.loops.pop()
    flow.jump(again)
  }

  /** Refuses a loop that nothing in it can end. The verifier judges the bounds of all others. */
  private checkBound(
    statement: Stmt & { kind: 'for' | 'while' },
    test: Expr | undefined,
    step: Expr | undefined,
  ): void {
    if (leaves(statement.body)) return
    const constant = test && this.scope.constant(test)
    if (constant === false || constant === 0n) return
    if (test && constant === undefined && mayChange(test, statement.body, step)) return
    throw this.report.error(
      { at: statement.at, end: test?.end ?? statement.body.at },
      'unbounded-loop',
      'this loop never ends: nothing in it changes its condition, and nothing leaves it',
      'count to a bound that the verifier can see: for (let i = 0; i < 16; i++)',
    )
  }

  private forOf(statement: Stmt & { kind: 'forOf' }): void {
    const { flow, report } = this
    const over = this.expr(statement.over)
    const out = flow.newBlock()
    const each = (operand: Operand): void => {
      const [body, next] = [flow.newBlock(), flow.newBlock()]
      flow.jump(body)
      this.push()
      this.bind(statement.name, { kind: 'const', operand })
      this.loopBody(statement.body, body, next, out)
      this.pop()
      flow.enter(next)
    }
    if (over.kind === 'list') for (const item of over.items) each(item)
    else if (over.kind === 'ref' && over.type.kind === 'array') {
      const { element, length } = over.type
      const step = sizeOf(element)
      for (let i = 0; i < length; i++) {
        const [body, next] = [flow.newBlock(), flow.newBlock()]
        flow.jump(body)
        flow.enter(body)
        const item = readPlace(flow, element, over.base, over.offset + i * step, over.space)
        this.push()
        this.bind(statement.name, { kind: 'const', operand: item })
        const inner = flow.newBlock()
        flow.jump(inner)
        this.loopBody(statement.body, inner, next, out)
        this.pop()
        flow.enter(next)
      }
    } else throw report.error(statement.over, 'type', 'for … of goes over fixed arrays', 'count with a for loop')
    flow.jump(out)
    flow.enter(out)
  }

  private switch(statement: Stmt & { kind: 'switch' }): void {
    const { flow } = this
    const subject = this.expr(statement.subject)
    const out = flow.newBlock()
    const blocks = statement.cases.map(() => flow.newBlock())
    const fallback = statement.cases.findIndex(({ test }) => !test)
    statement.cases.forEach(({ test }: Case, i) => {
      if (!test) return
      const next = flow.newBlock()
      this.equal('===', subject, this.expr(test), blocks[i], next, test)
      flow.enter(next)
    })
    flow.jump(fallback < 0 ? out : blocks[fallback])
    this.loops.push({ again: undefined, out })
    statement.cases.forEach(({ body }, i) => {
      flow.enter(blocks[i])
      this.body(body)
      flow.jump(blocks[i + 1] ?? out)
    })
    this.loops.pop()
    flow.enter(out)
  }

  private return(value: Expr | undefined, span: Span): void {
    const { flow, report } = this
    const frame = this.frames.at(-1)
    let operand: Operand = value ? this.expr(value) : { kind: 'void' }
    flow.at = span.at
    if (frame?.ends) {
      if (frame.returns && operand.kind === 'int') operand = this.typed(operand, frame.returns, 'result', span)
      frame.ends.push({ block: flow.builder.block, operand, span })
      flow.enter(flow.newBlock())
      return
    }
    if (this.program.type !== 'xdp') {
      flow.builder.end({ op: 'exit', value: flow.const(0), at: span.at })
      return
    }
    if (operand.kind !== 'int')
      throw report.error(span, 'verdict', 'an XDP program returns a verdict', 'return XDP.PASS')
    flow.builder.end({ op: 'exit', value: operand.node, at: span.at })
  }

  protected override callFunction(fn: Func, args: readonly Operand[], call: Span): Operand {
    const { flow, report } = this
    if (fn.unsupported) throw report.unsupported(call, fn.unsupported)
    if (this.frames.some((frame) => frame.fn === fn)) {
      throw report.error(
        call,
        'recursion',
        `${fn.name} calls itself: kernel code has no recursion`,
        'use a loop with a bound',
      )
    }
    if (this.frames.length > DEPTH)
      throw report.error(call, 'depth', `functions call each other more than ${DEPTH} deep here`)
    if (args.length !== fn.params.length) {
      throw report.error(call, 'arguments', `${fn.name}() takes ${fn.params.length} arguments, not ${args.length}`)
    }
    if (!this.spans.some((span) => span.at === fn.at)) this.spans.push(fn)
    const mark = flow.mark()
    const typed = fn.params.map((param, i) => {
      const type = this.scope.annotation(param.type)
      return type ? this.typed(args[i], type, param.name, call) : args[i]
    })
    const params = this.calling ? this.subprogs.worth(fn, typed) : undefined
    if (params) return this.invoke(this.subprogs.known(fn, params) ?? this.makeSubprog(fn, params, call), typed)
    const before = flow.builder.size
    const result = this.copy(fn, typed, call, mark)
    if (!this.calling) this.subprogs.note(fn, typed, call.at, flow.builder.size - before, result)
    return result
  }

  private invoke(subprog: Subprog, args: readonly Operand[]): Operand {
    const { flow } = this
    const nodes = args.flatMap((arg) => {
      if (arg.kind === 'int' || arg.kind === 'bool') return [arg.node]
      return arg.kind === 'ref' ? [flow.plus(arg.base, arg.offset)] : []
    })
    const result = flow.emit({ op: 'invoke', callee: subprog.name }, ...nodes)
    return subprog.result ? operandOf(subprog.result, result) : { kind: 'void' }
  }

  /** Lowers `fn` as a function of its own, whose parameters arrive in registers. */
  private makeSubprog(fn: Func, params: readonly Shape[], call: Span): Subprog {
    const name = this.subprogs.nameFor(fn)
    const inner = new Lowering({ ...this.input, program: { ...this.program, name } }, this.subprogs, true)
    const { flow } = inner
    flow.at = fn.at
    inner.frames.push(...this.frames)
    inner.push()
    const args = params.map((shape, index) => operandOf(shape, flow.emit({ op: 'param', index })))
    const operand = inner.copy(fn, args, call, flow.mark())
    const scalar = operand.kind === 'int' || operand.kind === 'bool' ? operand : undefined
    flow.builder.end({ op: 'exit', value: scalar?.node ?? flow.const(0), at: flow.at })
    for (const span of inner.spans) if (!this.spans.some(({ at }) => at === span.at)) this.spans.push(span)
    const result: Shape | undefined =
      scalar?.kind === 'int' ? { kind: 'int', type: scalar.type, weak: scalar.weak } : scalar && { kind: 'bool' }
    const made: Subprog = { name, fn, params, result, builder: flow.builder, deepest: flow.deepest }
    this.subprogs.made.push(made)
    return made
  }

  /** Lowers the body here. What has been put on the stack since `mark` is given back. */
  private copy(fn: Func, args: readonly Operand[], call: Span, mark: number): Operand {
    const { flow } = this
    const { at } = flow
    const outer = this.isolate()
    const frame: Frame = { fn, returns: this.scope.annotation(fn.returns), ends: [] }
    this.frames.push(frame)
    const loops = this.loops.splice(0)
    fn.params.forEach((param, i) => {
      this.bindParam(param.name, args[i], fn, param)
    })
    this.body(fn.body)
    if (flow.open && this.reachesEnd())
      frame.ends?.push({ block: flow.builder.block, operand: { kind: 'void' }, span: call })
    this.loops.push(...loops)
    this.frames.pop()
    this.restore(outer)
    flow.at = at
    const ends = frame.ends ?? []
    const after = flow.newBlock()
    if (ends.length === 0) {
      flow.enter(after)
      return { kind: 'void' }
    }
    const result = flow.merge(ends, after, call, frame.returns)
    // A struct that the function returns lies in its part of the stack, so that part is kept.
    if (result.kind !== 'ref') flow.release(mark)
    return result
  }

  /** A parameter that the function assigns to is a variable of its own. */
  private bindParam(name: string, operand: Operand, fn: Func, span: Span): void {
    const { flow } = this
    if ((operand.kind === 'int' || operand.kind === 'bool') && fn.body.some((statement) => assigns(statement, name))) {
      const cell = flow.cell(operand, name, span)
      flow.write(cell, operand, span)
      this.bind(name, { kind: 'variable', cell })
    } else this.bind(name, { kind: 'const', operand })
  }

  protected override unknownName(name: string, span: Span): Error {
    const near = nearest(name, [...this.localNames(), ...this.scope.similar(name)])
    const help =
      near.length > 0
        ? `did you mean ${near.join(' or ')}?`
        : 'kernel code knows what this file declares and what it imports from waggle'
    return this.report.error(span, 'unknown-name', `there is no ${name} in kernel code`, help)
  }
}

/** Visits every expression and statement below a node of the tree. */
function some(node: unknown, test: (node: { kind?: string } & Record<string, unknown>) => boolean): boolean {
  if (Array.isArray(node)) return node.some((item) => some(item, test))
  if (typeof node !== 'object' || node === null) return false
  const record = node as { kind?: string } & Record<string, unknown>
  if (test(record)) return true
  return Object.values(record).some((value) => some(value, test))
}

const leaves = (body: Stmt): boolean => some(body, (node) => node.kind === 'break' || node.kind === 'return')

/** Whether something in the tree assigns to the variable `name`. */
export function assigns(tree: unknown, name: string): boolean {
  return some(tree, (node) => {
    if (node.kind !== 'assign' && node.kind !== 'update') return false
    const target = node.target as Expr
    return target.kind === 'name' && target.name === name
  })
}

/** Whether the condition reads anything that the loop may change: a variable that it assigns, or memory. */
function mayChange(test: Expr, body: Stmt, step: Expr | undefined): boolean {
  return some(test, (node) => {
    if (
      node.kind === 'call' ||
      node.kind === 'member' ||
      node.kind === 'index' ||
      node.kind === 'assign' ||
      node.kind === 'update'
    )
      return true
    return node.kind === 'name' && (assigns(body, node.name as string) || assigns(step, node.name as string))
  })
}
