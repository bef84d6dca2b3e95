// The compiler's typed intermediate representation: basic blocks of nodes. Lowering writes it with
// variables (`get`, `set`), src/compile/ssa.ts turns those into values and phis, and every later pass
// sees static single assignment. A value is 64 bits wide; narrower integers are kept zero- or
// sign-extended, so that a 64-bit comparison is right for all of them.

import type { Size, Width } from '../isa/insn.ts'
import type { BinOp, CondOp } from '../isa/machine.ts'
import type { HelperName } from '../spec/helper.ts'

/** A piece of the stack: an aggregate that has an address. Its place is found by src/compile/flow.ts. */
export interface Slot {
  /** What it holds, in the words of the source, for the message about a stack that is too large. */
  readonly name: string
  /** Bytes, a multiple of 8. */
  readonly size: number
  /** Bytes below the frame pointer where it starts. */
  readonly top: number
}

/** A local variable before SSA. */
export interface Variable {
  readonly id: number
  readonly name: string
}

/** What a node does. Addresses are nodes too: a slot, a map value, a packet pointer, a ring-buffer record. */
export type Operation =
  | { readonly op: 'const'; readonly value: bigint }
  | { readonly op: 'ctx' }
  /** The parameter of a function that is called, from 0. */
  | { readonly op: 'param'; readonly index: number }
  | { readonly op: 'slot'; readonly slot: Slot }
  | { readonly op: 'map'; readonly map: string }
  | { readonly op: 'mapValue'; readonly map: string; readonly offset: number }
  | { readonly op: 'bin'; readonly bin: BinOp; readonly width: Width }
  /** The low `from` bits, sign- or zero-extended to 64. */
  | { readonly op: 'extend'; readonly from: 8 | 16 | 32; readonly signed: boolean }
  /** From network byte order, of the low `bits` bits. */
  | { readonly op: 'swap'; readonly bits: 16 | 32 | 64 }
  /** args: base. `pure`: reads what no store of the program can change (context, packet, frozen data). */
  | { readonly op: 'load'; readonly size: Size; readonly offset: number; readonly pure: boolean }
  /** args: base, value. */
  | { readonly op: 'store'; readonly size: Size; readonly offset: number }
  /** args: base, operand. */
  | { readonly op: 'atomicAdd'; readonly size: 4 | 8; readonly offset: number }
  /** args: up to five. */
  | { readonly op: 'call'; readonly helper: HelperName; readonly id: number }
  /** A call of a function of the file, by its name among the program's. args: up to five. */
  | { readonly op: 'invoke'; readonly callee: string }
  | { readonly op: 'phi' }
  | { readonly op: 'get'; readonly variable: Variable }
  /** args: value. */
  | { readonly op: 'set'; readonly variable: Variable }

export interface Node {
  readonly id: number
  operation: Operation
  /** For a phi, one for each predecessor of its block, in their order. */
  args: Node[]
  /** Where in the source, as an offset into its text. */
  readonly at: number
}

export type Terminator =
  | { readonly op: 'jump'; to: Block; readonly at: number }
  | { readonly op: 'branch'; readonly cond: CondOp; a: Node; b: Node; yes: Block; no: Block; readonly at: number }
  | { readonly op: 'exit'; value: Node; readonly at: number }

export interface Block {
  readonly id: number
  nodes: Node[]
  /** Absent only while lowering is still in the block. */
  end: Terminator | undefined
  /** Filled by `link`. */
  preds: Block[]
}

/** One program: its blocks, the entry first. */
export interface Graph {
  readonly name: string
  blocks: Block[]
}

/** Makes nodes and blocks with ids that count from 0 in each program, so that output is deterministic. */
export class Builder {
  private nodes = 0
  private blockCount = 0
  private variables = 0
  readonly graph: Graph
  /** Where nodes go now. */
  block: Block

  /** How many nodes were made: the size of what was lowered. */
  get size(): number {
    return this.nodes
  }

  constructor(name: string) {
    this.graph = { name, blocks: [] }
    this.block = this.newBlock()
    this.graph.blocks.push(this.block)
  }

  newBlock(): Block {
    return { id: this.blockCount++, nodes: [], end: undefined, preds: [] }
  }

  variable(name: string): Variable {
    return { id: this.variables++, name }
  }

  node(operation: Operation, args: Node[], at: number): Node {
    return { id: this.nodes++, operation, args, at }
  }

  emit(operation: Operation, args: Node[], at: number): Node {
    const node = this.node(operation, args, at)
    this.block.nodes.push(node)
    return node
  }

  /** Goes on in `block`, which becomes part of the graph. */
  enter(block: Block): void {
    this.block = block
    this.graph.blocks.push(block)
  }

  /** Ends the current block; what is lowered after it until the next `enter` is unreachable and dropped. */
  end(terminator: Terminator): void {
    if (this.block.end) return
    this.block.end = terminator
  }
}

export function successors(block: Block): Block[] {
  const { end } = block
  if (!end || end.op === 'exit') return []
  return end.op === 'jump' ? [end.to] : [end.yes, end.no]
}

export function terminatorArgs(end: Terminator): Node[] {
  if (end.op === 'branch') return [end.a, end.b]
  return end.op === 'exit' ? [end.value] : []
}

/** Drops unreachable blocks, puts the rest in reverse postorder and fills `preds` (phis keep their order). */
export function link(graph: Graph): void {
  const order: Block[] = []
  const seen = new Set<Block>()
  const stack: { block: Block; next: number }[] = [{ block: graph.blocks[0], next: 0 }]
  seen.add(graph.blocks[0])
  while (stack.length > 0) {
    const top = stack[stack.length - 1]
    // The last successor first, so that the first one comes right after its block in the reversed order.
    const after = successors(top.block).reverse()
    if (top.next === after.length) {
      order.push(top.block)
      stack.pop()
      continue
    }
    const block = after[top.next++]
    if (seen.has(block)) continue
    seen.add(block)
    stack.push({ block, next: 0 })
  }
  order.reverse()
  graph.blocks = order
  const preds = new Map<Block, Block[]>(order.map((block) => [block, []]))
  for (const block of order) for (const next of successors(block)) preds.get(next)?.push(block)
  for (const block of order) {
    const now = preds.get(block) ?? []
    if (block.preds.length > 0) keepPhis(block, now)
    else block.preds = now
  }
}

/** Predecessors that are left keep their place, so that phi operands still match. */
function keepPhis(block: Block, now: Block[]): void {
  const rest = [...now]
  const kept: number[] = []
  block.preds.forEach((pred, i) => {
    const at = rest.indexOf(pred)
    if (at < 0) return
    rest.splice(at, 1)
    kept.push(i)
  })
  for (const node of block.nodes) {
    if (node.operation.op === 'phi' && node.args.length > 0) node.args = kept.map((i) => node.args[i])
  }
  block.preds = [...kept.map((i) => block.preds[i]), ...rest]
}

/** Whether the node may be dropped when nobody uses it, and computed once for several users. */
export function isPure(node: Node): boolean {
  const { operation } = node
  switch (operation.op) {
    case 'store':
    case 'atomicAdd':
    case 'call':
    case 'invoke':
    case 'get':
    case 'set':
      return false
    case 'load':
      return operation.pure
    default:
      return true
  }
}
