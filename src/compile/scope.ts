// What the names at the top level of a probe file stand for in kernel code: types, maps, config values,
// programs, constants and functions. Anything else belongs to the user side and cannot be captured.

import { nearest } from '../diag/nearest.ts'
import { MAP_TYPES } from '../spec/gen/uapi.ts'
import type { MapTypeName, ProgTypeName } from '../spec/names.ts'
import { binary } from './arith.ts'
import { INTEGERS, type IntType, type KType, sizeOf, structOf, U32 } from './ktype.ts'
import type { Report } from './report.ts'
import type { Expr, Func, Module, Span, TopLevel, TypeExpr } from './syntax.ts'

export interface MapEntity {
  readonly kind: 'map'
  readonly name: string
  readonly type: MapTypeName
  /** Absent for a ring buffer. */
  readonly key: KType | undefined
  readonly value: KType
  readonly maxEntries: number
  /** Offset of its counter of loss in the internal map, once a program needs it. */
  lost: number | undefined
}
export interface ConfigEntity {
  readonly kind: 'config'
  readonly name: string
  readonly type: KType
  readonly initial: bigint
  /** Offset in the frozen map. */
  readonly offset: number
}
export interface ProgramEntity {
  readonly kind: 'program'
  readonly name: string
  readonly type: ProgTypeName
  readonly section: string
  readonly target: string | undefined
  readonly fn: Func
  /** The declaration's target, for messages. */
  readonly targetSpan: Span
  readonly span: Span
}
/** A value that is known when the program is compiled. */
export type Const = bigint | boolean | string | readonly Const[] | ReadonlyMap<string, Const>

export type Entity =
  | MapEntity
  | ConfigEntity
  | ProgramEntity
  | { readonly kind: 'type'; readonly type: KType }
  | { readonly kind: 'const'; readonly value: Const }
  | { readonly kind: 'function'; readonly fn: Func }
  /** Imported from 'waggle'. */
  | { readonly kind: 'builtin'; readonly name: string }
  /** It exists, but on the user side only. */
  | { readonly kind: 'user'; readonly why: string; readonly help: string; readonly span: Span | undefined }

/** Constructors of maps in the surface, and the kernel's map type. */
const MAPS: Readonly<Record<string, MapTypeName>> = {
  hash: 'hash',
  lruHash: 'lru_hash',
  percpuHash: 'percpu_hash',
  arrayMap: 'array',
  percpuArray: 'percpu_array',
  ringbuf: 'ringbuf',
}
/** Constructors of programs, their type and section prefix. */
const PROGRAMS: Readonly<Record<string, { type: ProgTypeName; section: string; targeted: boolean }>> = {
  tracepoint: { type: 'tracepoint', section: 'tracepoint', targeted: true },
  rawTracepoint: { type: 'raw_tracepoint', section: 'raw_tracepoint', targeted: true },
  xdp: { type: 'xdp', section: 'xdp', targeted: false },
}
const TYPE_CONSTRUCTORS = new Set(['struct', 'array', 'str', 'enumeration'])
/** Kernel names of programs and maps keep 15 bytes; longer ones are cut there by the engines, so they must be distinct. */
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/

export class Scope {
  private readonly module: Module
  private readonly report: Report
  private readonly entities = new Map<string, Entity | undefined>()
  private readonly working = new Set<string>()
  private configBytes = 0

  constructor(module: Module, report: Report) {
    this.module = module
    this.report = report
  }

  /** Evaluates every top-level declaration; what is wrong with Waggle's own goes to the report. */
  all(): { maps: MapEntity[]; configs: ConfigEntity[]; programs: ProgramEntity[]; license: string } {
    const maps: MapEntity[] = []
    const configs: ConfigEntity[] = []
    const programs: ProgramEntity[] = []
    let license = 'GPL'
    for (const declaration of this.module.declarations) {
      this.report.attempt(() => {
        const entity = this.lookup(declaration.name)
        if (entity?.kind === 'map') maps.push(entity)
        if (entity?.kind === 'config') configs.push(entity)
        if (entity?.kind === 'program') programs.push(entity)
        if (declaration.name === 'license' && entity?.kind === 'const' && typeof entity.value === 'string') {
          license = entity.value
        }
      })
    }
    return { maps, configs, programs, license }
  }

  /** Spans of the declarations that are Waggle's business, for the type checker's findings. */
  declarationSpans(): Span[] {
    return this.module.declarations.filter((declaration) => {
      const entity = this.entities.get(declaration.name)
      return entity !== undefined && entity.kind !== 'user' && entity.kind !== 'const' && entity.kind !== 'function'
    })
  }

  lookup(name: string): Entity | undefined {
    if (this.entities.has(name)) return this.entities.get(name)
    const imported = this.module.imports.get(name)
    if (imported) return this.keep(name, this.imported(name, imported))
    const declaration = this.module.declarations.find((other) => other.name === name)
    if (!declaration) return undefined
    if (this.working.has(name)) {
      throw this.report.error(declaration, 'circular', `${name} is declared in terms of itself`, 'take the cycle apart')
    }
    this.working.add(name)
    try {
      // Kept first, so that a declaration that is wrong is reported once.
      this.entities.set(name, {
        kind: 'user',
        why: 'its declaration has an error',
        help: 'mend that first',
        span: declaration,
      })
      return this.keep(name, this.evaluate(declaration))
    } finally {
      this.working.delete(name)
    }
  }

  /** Names that could have been meant. */
  similar(name: string, more: Iterable<string> = []): string[] {
    return nearest(name, [
      ...more,
      ...this.module.imports.keys(),
      ...this.module.declarations.map((declaration) => declaration.name),
    ])
  }

  private keep(name: string, entity: Entity): Entity {
    this.entities.set(name, entity)
    return entity
  }

  private imported(name: string, { from, name: original }: { from: string; name: string }): Entity {
    if (from !== 'waggle') {
      const why = `it is imported from '${from}'`
      return { kind: 'user', why, help: 'move what kernel code needs into this file', span: undefined }
    }
    const integer = INTEGERS.get(original)
    if (integer) return { kind: 'type', type: integer }
    if (original === 'bool') return { kind: 'type', type: { kind: 'bool' } }
    if (original === 'XDP') return { kind: 'const', value: XDP }
    if (original === '*') {
      return {
        kind: 'user',
        why: `it is a whole module`,
        help: `import the names: import { hash, … } from 'waggle'`,
        span: undefined,
      }
    }
    return { kind: 'builtin', name: original === 'default' ? name : original }
  }

  private evaluate(declaration: TopLevel): Entity {
    const { value, name } = declaration
    if (declaration.kind === 'let') {
      const help = `make it a constant, or declare export const ${name} = config(u64, …) and read ${name}.value`
      return { kind: 'user', why: 'it may change on the user side', help, span: declaration }
    }
    if (declaration.kind === 'other' || !value) {
      const help = value?.kind === 'unsupported' ? value.help : 'declare each name with a const of its own'
      return { kind: 'user', why: 'it is no constant that the compiler knows', help, span: declaration }
    }
    if (value.kind === 'function') return { kind: 'function', fn: value.fn.name ? value.fn : { ...value.fn, name } }
    if (value.kind === 'call' && value.callee.kind === 'name') {
      const callee = this.module.imports.get(value.callee.name)
      if (callee?.from === 'waggle') {
        const entity = this.constructed(declaration, callee.name, value.args, value)
        if (entity) return entity
      }
    }
    const constant = this.constant(value)
    if (constant !== undefined) return { kind: 'const', value: constant }
    const help = `use a constant expression, or declare export const ${name} = config(u64, …) and read ${name}.value`
    return { kind: 'user', why: 'its value is known only when the user side runs', help, span: declaration }
  }

  /** A declaration that calls a constructor of the surface. */
  private constructed(declaration: TopLevel, callee: string, args: readonly Expr[], call: Span): Entity | undefined {
    const { name } = declaration
    if (TYPE_CONSTRUCTORS.has(callee)) {
      const type = this.typeCall(callee, args, call)
      if ((type.kind === 'struct' || type.kind === 'enum') && !type.name) type.name = name
      return { kind: 'type', type }
    }
    const mapType = Object.hasOwn(MAPS, callee) ? MAPS[callee] : undefined
    if (mapType) return this.map(declaration, mapType, args, call)
    if (Object.hasOwn(PROGRAMS, callee)) return this.program(declaration, callee, args, call)
    if (callee === 'config') return this.config(name, args, call)
    return undefined
  }

  private checkName(declaration: TopLevel): void {
    if (NAME.test(declaration.name)) return
    const help = 'use letters, digits and underscores'
    throw this.report.error(declaration, 'name', `the kernel has no name for ${declaration.name}`, help)
  }

  private map(declaration: TopLevel, type: MapTypeName, args: readonly Expr[], call: Span): MapEntity {
    this.checkName(declaration)
    const keyed = type === 'hash' || type === 'lru_hash' || type === 'percpu_hash'
    const rest = keyed ? args.slice(1) : args
    if (rest.length !== 2 || (keyed && args.length !== 3)) {
      const form = keyed ? 'a key type, a value type and a number of entries' : 'a type and a size'
      throw this.report.error(call, 'arguments', `${declaration.name} needs ${form}`)
    }
    const key = keyed ? this.type(args[0]) : type === 'ringbuf' ? undefined : U32
    const value = this.type(rest[0])
    const maxEntries = this.count(rest[1])
    if (type === 'ringbuf' && (maxEntries < 4096 || (maxEntries & (maxEntries - 1)) !== 0)) {
      const size = 2 ** Math.max(12, Math.ceil(Math.log2(maxEntries)))
      throw this.report.error(
        rest[1],
        'ringbuf-size',
        `a ring buffer's size is a power of two of at least 4096 bytes, not ${maxEntries}`,
        `${size} would do`,
      )
    }
    if (MAP_TYPES[type] === undefined) throw new Error(`no map type ${type}`)
    return { kind: 'map', name: declaration.name, type, key, value, maxEntries, lost: undefined }
  }

  private program(declaration: TopLevel, callee: string, args: readonly Expr[], call: Span): ProgramEntity {
    this.checkName(declaration)
    const { type, section, targeted } = PROGRAMS[callee]
    const [target, last] = targeted ? args : [undefined, ...args]
    const fn = this.functionOf(last)
    if (!fn) {
      throw this.report.error(
        last ?? call,
        'program',
        `${callee}() needs the program's function, written here or at the top level of this file`,
        targeted ? `${callee}('…', (ctx) => { … })` : `${callee}((ctx) => { … })`,
      )
    }
    const text = target && this.constant(target)
    if (targeted && typeof text !== 'string') {
      throw this.report.error(target ?? call, 'target', `${callee}() needs its target as a constant string`)
    }
    const at = typeof text === 'string' ? text : undefined
    return {
      kind: 'program',
      name: declaration.name,
      type,
      section: at === undefined ? section : `${section}/${at}`,
      target: at,
      fn,
      targetSpan: target ?? call,
      span: call,
    }
  }

  private functionOf(expr: Expr | undefined): Func | undefined {
    if (expr?.kind === 'function') return expr.fn
    const entity = expr?.kind === 'name' ? this.lookup(expr.name) : undefined
    return entity?.kind === 'function' ? entity.fn : undefined
  }

  private config(name: string, args: readonly Expr[], call: Span): ConfigEntity {
    if (args.length !== 2)
      throw this.report.error(call, 'arguments', `config() needs a type and a default: config(u64, 1000)`)
    const type = this.type(args[0])
    if (type.kind !== 'int' && type.kind !== 'bool' && type.kind !== 'enum') {
      throw this.report.error(args[0], 'config', 'a config value is an integer or a bool', 'config(u64, 1000)')
    }
    const initial = this.constant(args[1])
    if (typeof initial !== 'bigint' && typeof initial !== 'boolean') {
      throw this.report.error(args[1], 'config', 'the default of a config value is a constant number')
    }
    const size = sizeOf(type)
    const offset = Math.ceil(this.configBytes / size) * size
    this.configBytes = offset + size
    return { kind: 'config', name, type, initial: BigInt(initial), offset }
  }

  private count(expr: Expr): number {
    const value = this.constant(expr)
    if (typeof value !== 'bigint' || value < 1n || value > 0xffff_ffffn) {
      throw this.report.error(
        expr,
        'size',
        'a size is a constant whole number of at least 1',
        'write the number here or declare it as a const at the top level',
      )
    }
    return Number(value)
  }

  /** The type that an expression such as `u32`, `Flow` or `str(16)` stands for. */
  type(expr: Expr): KType {
    if (expr.kind === 'name') {
      const entity = this.lookup(expr.name)
      if (entity?.kind === 'type') return entity.type
    }
    if (expr.kind === 'call' && expr.callee.kind === 'name') {
      const callee = this.module.imports.get(expr.callee.name)
      if (callee?.from === 'waggle' && TYPE_CONSTRUCTORS.has(callee.name))
        return this.typeCall(callee.name, expr.args, expr)
    }
    throw this.report.error(
      expr,
      'type',
      'this is not a type that Waggle knows',
      'use u8 … u64, i8 … i64, bool, str(n), struct({ … }), array(T, n) or enumeration(T, { … })',
    )
  }

  private typeCall(callee: string, args: readonly Expr[], call: Span): KType {
    const [first, second] = args
    if (callee === 'str' && first) return { kind: 'str', size: this.count(first) }
    if (callee === 'array' && first && second) {
      return { kind: 'array', element: this.type(first), length: this.count(second) }
    }
    if (callee === 'struct' && first?.kind === 'object') {
      return structOf(first.properties.map(({ name, value }) => ({ name, type: this.type(value) })))
    }
    if (callee === 'enumeration' && first && second?.kind === 'object') {
      const base = this.type(first)
      if (base.kind !== 'int') throw this.report.error(first, 'type', 'an enumeration is of an integer type')
      const members = new Map<string, bigint>()
      for (const { name, value } of second.properties) {
        const member = this.constant(value)
        if (typeof member !== 'bigint') throw this.report.error(value, 'type', `${name} needs a constant number`)
        members.set(name, member)
      }
      return { kind: 'enum', name: '', base, members }
    }
    throw this.report.error(
      call,
      'type',
      `${callee}() is called in a way that the compiler cannot read`,
      'write its fields, members and sizes out here',
    )
  }

  /** The type that an annotation stands for; undefined where it does not say how wide a value is. */
  annotation(type: TypeExpr | undefined): KType | undefined {
    if (!type || type.kind === 'other') return undefined
    if (type.name === 'boolean') return { kind: 'bool' }
    const entity = this.lookup(type.name)
    return entity?.kind === 'type' ? entity.type : undefined
  }

  /** The value of a constant expression, or undefined if it is none. */
  constant(expr: Expr): Const | undefined {
    switch (expr.kind) {
      case 'number':
      case 'boolean':
      case 'string':
        return expr.value
      case 'name': {
        const entity = this.working.has(expr.name) ? undefined : this.lookup(expr.name)
        return entity?.kind === 'const' ? entity.value : undefined
      }
      case 'member':
        return this.constantMember(expr.object, expr.name)
      case 'index': {
        const list = this.constant(expr.object)
        const at = this.constant(expr.index)
        return Array.isArray(list) && typeof at === 'bigint' ? list[Number(at)] : undefined
      }
      case 'unary': {
        const value = this.constant(expr.operand)
        if (typeof value === 'boolean') return expr.op === '!' ? !value : undefined
        if (typeof value !== 'bigint') return undefined
        return expr.op === '-' ? -value : expr.op === '~' ? ~value : expr.op === '+' ? value : undefined
      }
      case 'binary': {
        const a = this.constant(expr.left)
        const b = this.constant(expr.right)
        if (typeof a !== 'bigint' || typeof b !== 'bigint') return undefined
        return constantBinary(expr.op, a, b)
      }
      case 'array': {
        const values = expr.elements.map((element) => this.constant(element))
        return values.every((value) => value !== undefined) ? (values as Const[]) : undefined
      }
      case 'object': {
        const members = new Map<string, Const>()
        for (const { name, value } of expr.properties) {
          const constant = this.constant(value)
          if (constant === undefined) return undefined
          members.set(name, constant)
        }
        return members
      }
      default:
        return undefined
    }
  }

  private constantMember(object: Expr, name: string): Const | undefined {
    if (object.kind === 'name') {
      const entity = this.working.has(object.name) ? undefined : this.lookup(object.name)
      if (entity?.kind === 'type' && entity.type.kind === 'enum') return entity.type.members.get(name)
    }
    const value = this.constant(object)
    return value instanceof Map ? value.get(name) : undefined
  }
}

/** Literals have as many bits as they need; only what does not fit 64 bits wraps. */
export function constantBinary(op: string, a: bigint, b: bigint): bigint | undefined {
  const wrap = (value: bigint): bigint =>
    value > 0x7fff_ffff_ffff_ffffn ? BigInt.asUintN(64, value) : BigInt.asIntN(64, value)
  const shift = b & 63n
  switch (op) {
    case '+':
      return wrap(a + b)
    case '-':
      return wrap(a - b)
    case '*':
      return wrap(a * b)
    case '/':
      return b === 0n ? 0n : wrap(a / b)
    case '%':
      return b === 0n ? a : wrap(a % b)
    case '&':
      return wrap(a & b)
    case '|':
      return wrap(a | b)
    case '^':
      return wrap(a ^ b)
    case '<<':
      return wrap(a << shift)
    case '>>':
      return a >> shift
    case '>>>':
      return BigInt.asUintN(64, binary('rsh', 64, a, shift))
    default:
      return undefined
  }
}

/** enum xdp_action. */
const XDP: Const = new Map([
  ['ABORTED', 0n],
  ['DROP', 1n],
  ['PASS', 2n],
  ['TX', 3n],
  ['REDIRECT', 4n],
])

/** The type of a literal that nothing else gives a type. */
export function literalType(value: bigint): IntType {
  return value > 0x7fff_ffff_ffff_ffffn
    ? { kind: 'int', bits: 64, signed: false }
    : { kind: 'int', bits: 64, signed: true }
}
