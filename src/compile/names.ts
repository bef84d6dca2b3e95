// Names in kernel code: what a name stands for where it is used, local ones first, then those of the file. The
// base of expression lowering (src/compile/expr.ts), for everything else looks names up.

import type { Platform } from '../spec/platform.ts'
import type { TracepointFormat } from '../spec/tracepoint.ts'
import { Flow } from './flow.ts'
import type { Node } from './ir.ts'
import { type Losses, MapOps } from './mapop.ts'
import type { Cell, IntOperand, Operand } from './operand.ts'
import { PacketOps } from './packet.ts'
import type { Report } from './report.ts'
import type { Const, ProgramEntity, Scope } from './scope.ts'
import type { Expr, Span } from './syntax.ts'

export type Binding =
  | { readonly kind: 'const'; readonly operand: Operand }
  | { readonly kind: 'variable'; readonly cell: Cell }
  /** Its declaration was refused: uses are not reported again. */
  | { readonly kind: 'poison' }

export abstract class Names {
  readonly flow: Flow
  protected readonly scope: Scope
  protected readonly report: Report
  protected readonly maps: MapOps
  protected readonly format: TracepointFormat | undefined
  protected readonly type: ProgramEntity['type']
  private names: Map<string, Binding>[] = []
  protected ctx: Node | undefined
  protected packet: PacketOps | undefined

  constructor(
    program: ProgramEntity,
    format: TracepointFormat | undefined,
    scope: Scope,
    report: Report,
    platform: Platform,
    losses: Losses,
  ) {
    this.flow = new Flow(program.name, report, platform)
    this.scope = scope
    this.report = report
    this.maps = new MapOps(this.flow, losses)
    this.format = format
    this.type = program.type
  }

  /** Lowers an expression: src/compile/expr.ts. */
  protected abstract expr(expr: Expr): Operand
  protected abstract unknownName(name: string, span: Span): Error

  protected enterProgram(): void {
    this.ctx = this.flow.emit({ op: 'ctx' })
    if (this.type === 'xdp') this.packet = new PacketOps(this.flow, this.ctx)
  }

  protected push(): void {
    this.names.push(new Map())
  }
  protected pop(): void {
    this.names.pop()
  }
  protected bind(name: string, binding: Binding): void {
    this.names[this.names.length - 1].set(name, binding)
  }
  /** A function sees its own names only. Gives back what `restore` wants. */
  protected isolate(): Map<string, Binding>[] {
    const outer = this.names
    this.names = [new Map()]
    return outer
  }
  protected restore(outer: Map<string, Binding>[]): void {
    this.names = outer
  }
  protected localNames(): string[] {
    return this.names.flatMap((names) => [...names.keys()])
  }
  protected local(name: string): Binding | undefined {
    for (let i = this.names.length - 1; i >= 0; i--) {
      const binding = this.names[i].get(name)
      if (binding) return binding
    }
    return undefined
  }

  protected name(name: string, span: Span): Operand {
    const binding = this.local(name)
    if (binding?.kind === 'const') return binding.operand
    if (binding?.kind === 'variable') return this.flow.read(binding.cell)
    if (binding) {
      // Already reported where it is declared: src/compile/findings.ts drops this one.
      throw this.report.error(span, 'cascade', `${name} has no value`)
    }
    const entity = this.scope.lookup(name)
    switch (entity?.kind) {
      case undefined:
        throw this.unknownName(name, span)
      case 'const':
        return this.constant(entity.value, span)
      case 'user': {
        const notes = entity.span
          ? [
              {
                message: `${name} is declared here`,
                at: this.report.location({ at: entity.span.at, end: entity.span.at + 1 }),
              },
            ]
          : []
        throw this.report.error(
          span,
          'capture',
          `${name} cannot be captured by kernel code: ${entity.why}`,
          entity.help,
          notes,
        )
      }
      case 'config':
        throw this.report.error(span, 'type', `${name} is a config: its value is ${name}.value`, `write ${name}.value`)
      case 'map':
        throw this.report.error(
          span,
          'type',
          `the map ${name} is no value`,
          `call one of its methods: ${name}.get(key)`,
        )
      default:
        throw this.report.error(
          span,
          'type',
          `${name} cannot be used as a value in kernel code`,
          entity?.kind === 'function' || entity?.kind === 'builtin' ? `call it: ${name}()` : undefined,
        )
    }
  }

  protected constant(value: Const, span: Span): Operand {
    const { flow } = this
    if (typeof value === 'bigint') return flow.literal(value)
    if (typeof value === 'boolean') return { kind: 'bool', node: flow.const(value ? 1 : 0) }
    if (typeof value === 'string') return { kind: 'text', value }
    if (Array.isArray(value)) return { kind: 'list', items: value.map((item: Const) => this.constant(item, span)) }
    const fields = [...(value as ReadonlyMap<string, Const>)].map(
      ([key, item]) => [key, this.constant(item, span)] as const,
    )
    return { kind: 'object', fields: new Map(fields) }
  }

  protected entityOf(expr: Expr): ReturnType<Scope['lookup']> {
    return expr.kind === 'name' && !this.local(expr.name) ? this.scope.lookup(expr.name) : undefined
  }

  protected userGlobal(object: Expr & { kind: 'name' }, name: string): Error {
    const help =
      USER_GLOBALS[object.name] ?? 'kernel code may call what it imports from waggle and the functions of this file'
    return this.report.error(object, 'unknown-name', `${object.name}.${name} does not exist in kernel code`, help)
  }

  /** An operand whose presence has been checked, as TypeScript demands before it is used. */
  protected settled(operand: Operand): Operand {
    return operand.kind === 'option' ? this.flow.read(operand.of) : operand
  }

  protected int(expr: Expr): IntOperand {
    return this.flow.toInt(this.expr(expr), expr)
  }
}

/** What people reach for first, and what to take instead. */
export const USER_GLOBALS: Readonly<Record<string, string>> = {
  console: 'emit a record to a ring buffer and print it on the user side',
  Date: 'ktime() gives nanoseconds since boot',
  Math: 'write it out: a < b ? a : b is Math.min(a, b)',
  performance: 'ktime() gives nanoseconds since boot',
  process: 'pid(), uid() and comm() describe the running process',
  JSON: 'emit the fields as a record and format them on the user side',
  setTimeout: 'kernel code runs to its end at once; wait on the user side',
  setInterval: 'kernel code runs to its end at once; repeat on the user side',
  fetch: 'emit a record and make the request on the user side',
  Number: 'convert with u64(x) and its like',
  BigInt: 'write a plain number: integers have 64 bits here',
  Boolean: 'compare with 0: x !== 0',
  String: 'emit the value and format it on the user side',
  Promise: 'kernel code runs to its end at once; wait on the user side',
  require: 'import at the top of the file',
}
