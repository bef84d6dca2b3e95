// Functions of the file that become functions of the program (bpf-to-bpf calls, Linux 4.16) instead of being copied
// to where they are called: those called from two places or more, larger than the call itself would be, and
// whose parameters and result fit registers without losing what their types say.

import type { Builder, Node } from './ir.ts'
import { type IntType, type KType, sizeOf } from './ktype.ts'
import type { IntOperand, Operand } from './operand.ts'
import type { Func } from './syntax.ts'

/** What a register holds: the type of a parameter or of a result. */
export type Shape =
  | { readonly kind: 'int'; readonly type: IntType; readonly weak: boolean }
  | { readonly kind: 'bool' }
  /** The address of a map's value, which both verifiers know as one on the other side too. */
  | { readonly kind: 'ref'; readonly type: KType }

export interface Subprog {
  /** Its name in the program, which no other has. */
  readonly name: string
  readonly fn: Func
  readonly params: readonly Shape[]
  /** Absent for a function that gives nothing. */
  readonly result: Shape | undefined
  readonly builder: Builder
  readonly deepest: { readonly size: number }
}

/** r1 to r5. */
const MAX_PARAMS = 5
/** Nodes of the IR. A smaller function is copied: arguments and the call would cost as much. */
const LEAST_NODES = 12

/** The shape of an argument; undefined for what a register cannot hold, and for constants, which are worth a copy. */
export function shapeOf(operand: Operand): Shape | undefined {
  switch (operand.kind) {
    case 'int':
      return operand.node.operation.op === 'const' ? undefined : { kind: 'int', type: operand.type, weak: operand.weak }
    case 'bool':
      return operand.node.operation.op === 'const' ? undefined : { kind: 'bool' }
    case 'ref':
      return operand.space === 'map' ? { kind: 'ref', type: operand.type } : undefined
    default:
      return undefined
  }
}

export function operandOf(shape: Shape, node: Node): Operand {
  switch (shape.kind) {
    case 'int':
      return { ...shape, node } satisfies IntOperand
    case 'bool':
      return { kind: 'bool', node }
    case 'ref':
      return { kind: 'ref', type: shape.type, base: node, offset: 0, space: 'map' }
  }
}

function same(a: Shape, b: Shape): boolean {
  if (a.kind === 'int' && b.kind === 'int') {
    return sizeOf(a.type) === sizeOf(b.type) && a.type.signed === b.type.signed && a.weak === b.weak
  }
  if (a.kind === 'ref' && b.kind === 'ref') return a.type === b.type
  return a.kind === b.kind
}

/** One function with parameters of certain shapes, and where it is called. */
interface Candidate {
  readonly fn: Func
  readonly params: readonly Shape[]
  readonly sites: Set<number>
  nodes: number
  /** False once it gave something that a register cannot hold. */
  fits: boolean
}

/** The functions of one program: lowering notes each copy here first, and asks in a second round. */
export class Subprogs {
  readonly made: Subprog[] = []
  private readonly candidates: Candidate[] = []

  /** Whether a second round would call anything. */
  get any(): boolean {
    return this.candidates.some(isWorth)
  }

  /** Notes that a copy of `fn` was made, and how large it was. */
  note(fn: Func, args: readonly Operand[], site: number, nodes: number, result: Operand): void {
    const params = shapesOf(args)
    if (!params) return
    let candidate = this.find(fn, params)
    if (!candidate) {
      candidate = { fn, params, sites: new Set(), nodes, fits: true }
      this.candidates.push(candidate)
    }
    candidate.sites.add(site)
    candidate.nodes = Math.max(candidate.nodes, nodes)
    if (result.kind !== 'void' && result.kind !== 'int' && result.kind !== 'bool') candidate.fits = false
  }

  /** The shapes to call `fn` with, if it is to be called and not copied. */
  worth(fn: Func, args: readonly Operand[]): readonly Shape[] | undefined {
    const params = shapesOf(args)
    const candidate = params && this.find(fn, params)
    return candidate && isWorth(candidate) ? params : undefined
  }

  known(fn: Func, params: readonly Shape[]): Subprog | undefined {
    return this.made.find((made) => made.fn === fn && made.params.every((shape, i) => same(shape, params[i])))
  }

  /** A name for `fn` that no other function of the program has. */
  nameFor(fn: Func): string {
    // BTF takes C's names only.
    const base = fn.name.replaceAll(/[^A-Za-z0-9_]/g, '_')
    const taken = (name: string): boolean => this.made.some((made) => made.name === name)
    let name = base
    for (let i = 2; taken(name); i++) name = `${base}_${i}`
    return name
  }

  private find(fn: Func, params: readonly Shape[]): Candidate | undefined {
    return this.candidates.find(
      (candidate) => candidate.fn === fn && candidate.params.every((shape, i) => same(shape, params[i])),
    )
  }
}

const isWorth = ({ sites, nodes, fits }: Candidate): boolean => fits && sites.size >= 2 && nodes >= LEAST_NODES

function shapesOf(args: readonly Operand[]): Shape[] | undefined {
  if (args.length > MAX_PARAMS) return undefined
  const shapes = args.map(shapeOf)
  return shapes.every((shape) => shape !== undefined) ? shapes : undefined
}
