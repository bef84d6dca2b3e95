// Optimisation on SSA: constant folding and propagation, copy propagation (phis whose operands agree),
// common subexpressions along the dominator tree, branch simplification, block merging and dead code.
// Checks that the verifier wants (null, packet bounds) compare values that are not constants, so they stay.

import { binary, condition, extend, fromNetwork } from './arith.ts'
import { type Block, type Builder, isPure, link, type Node, type Operation, terminatorArgs } from './ir.ts'
import { mapTerminator } from './ssa.ts'

/** Passes repeat until nothing changes; this many rounds are enough for any program seen. */
const ROUNDS = 12

export function optimize(builder: Builder): void {
  for (let round = 0; round < ROUNDS; round++) {
    const changed = [simplify(builder), shareValues(builder), foldBranches(builder), mergeBlocks(builder)]
    dropDead(builder)
    if (!changed.some((change) => change)) return
  }
}

const constant = (node: Node): bigint | undefined => (node.operation.op === 'const' ? node.operation.value : undefined)

/** Folds and replaces nodes; true if anything changed. */
function simplify(builder: Builder): boolean {
  const { graph } = builder
  const replaced = new Map<Node, Node>()
  const resolve = (node: Node): Node => {
    let at = node
    for (let next = replaced.get(at); next; next = replaced.get(at)) at = next
    return at
  }
  let changed = false
  for (const block of graph.blocks) {
    for (const node of block.nodes) {
      node.args = node.args.map(resolve)
      const better = simpler(node)
      if (!better) continue
      changed = true
      if ('id' in better) replaced.set(node, better)
      else {
        node.operation = better.operation
        node.args = better.args
      }
    }
    // A phi that became a constant must not stand before one that is left: phis are read from the front.
    const isPhi = ({ operation }: Node): boolean => operation.op === 'phi'
    block.nodes = [...block.nodes.filter(isPhi), ...block.nodes.filter((node) => !isPhi(node))]
  }
  if (replaced.size > 0) {
    for (const block of graph.blocks) {
      block.nodes = block.nodes.filter((node) => !replaced.has(node))
      for (const node of block.nodes) node.args = node.args.map(resolve)
      mapTerminator(block, resolve)
    }
  }
  return changed
}

interface Rewritten {
  readonly operation: Operation
  readonly args: Node[]
}

const asConst = (value: bigint): Rewritten => ({
  operation: { op: 'const', value: BigInt.asIntN(64, value) },
  args: [],
})

/** A node that is the same value, or a cheaper operation for this one. */
function simpler(node: Node): Node | Rewritten | undefined {
  const { operation, args } = node
  switch (operation.op) {
    case 'phi':
      return agreed(node)
    case 'bin':
      return simplerBin(node)
    case 'extend': {
      const value = constant(args[0])
      if (value !== undefined) return asConst(extend(operation.from, operation.signed, value))
      if (alreadyExtended(args[0], operation.from, operation.signed)) return args[0]
      return undefined
    }
    case 'swap': {
      const value = constant(args[0])
      return value === undefined ? undefined : asConst(fromNetwork(operation.bits, value))
    }
    case 'store': {
      // A store keeps the low bytes only: what was extended before it need not be.
      const value = args[1]
      const from = value.operation.op === 'extend' ? value.operation.from : 0
      if (from >= operation.size * 8) return { operation, args: [args[0], value.args[0]] }
      return undefined
    }
    default:
      return undefined
  }
}

/** The one value that a phi stands for, if all its operands are that value or the phi itself. */
function agreed(node: Node): Node | Rewritten | undefined {
  let only: Node | undefined
  for (const arg of node.args) {
    if (arg === node) continue
    if (only && only !== arg) {
      const value = constant(only)
      if (value === undefined || value !== constant(arg)) return undefined
      continue
    }
    only = arg
  }
  if (!only) return undefined
  const value = constant(only)
  // Another block's constant need not dominate this one.
  return value === undefined ? only : asConst(value)
}

function simplerBin(node: Node): Node | Rewritten | undefined {
  if (node.operation.op !== 'bin') return undefined
  const { bin, width } = node.operation
  const [a, b] = node.args
  const left = constant(a)
  const right = constant(b)
  if (left !== undefined && right !== undefined) return asConst(binary(bin, width, left, right))
  const commutative = bin === 'add' || bin === 'mul' || bin === 'and' || bin === 'or' || bin === 'xor'
  if (left !== undefined && commutative) return { operation: node.operation, args: [b, a] }
  if (right === undefined) return undefined
  const same = width === 64 ? a : { operation: { op: 'extend', from: 32, signed: false } as const, args: [a] }
  if (bin === 'lsh' || bin === 'rsh' || bin === 'arsh') {
    // The verifier refuses a constant count that is not below the width.
    const count = right & BigInt(width - 1)
    if (count !== right) return withConst(node, node.operation, a, count)
  }
  switch (bin) {
    case 'add':
    case 'sub':
    case 'or':
    case 'xor':
    case 'lsh':
    case 'rsh':
    case 'arsh':
      if (right === 0n) return same
      return bin === 'add' && width === 64 ? reassociate(node, a, right) : undefined
    case 'and':
      if (right === 0n) return asConst(0n)
      return BigInt.asUintN(width, right) === BigInt.asUintN(width, -1n) ? same : undefined
    case 'mul':
      if (right === 0n) return asConst(0n)
      return right === 1n ? same : powerOfTwo(node, width, right, 'lsh')
    case 'div':
      if (BigInt.asUintN(width, right) === 0n) return asConst(0n)
      return right === 1n ? same : powerOfTwo(node, width, right, 'rsh')
    case 'mod': {
      const divisor = BigInt.asUintN(width, right)
      if (divisor === 0n) return same
      if ((divisor & (divisor - 1n)) !== 0n || divisor > 0x4000_0000n) return undefined
      return withConst(node, { op: 'bin', bin: 'and', width }, a, divisor - 1n)
    }
    // The verifier refuses a constant zero here, too.
    case 'sdiv':
      if (BigInt.asUintN(width, right) === 0n) return asConst(0n)
      return right === 1n ? same : undefined
    case 'smod':
      return BigInt.asUintN(width, right) === 0n ? same : undefined
    default:
      return undefined
  }
}

/** (x + c) + d is x + (c + d). */
function reassociate(node: Node, a: Node, right: bigint): Rewritten | undefined {
  const inner = a.operation
  if (inner.op !== 'bin' || inner.bin !== 'add' || inner.width !== 64) return undefined
  const other = constant(a.args[1])
  if (other === undefined) return undefined
  return withConst(node, node.operation, a.args[0], BigInt.asIntN(64, other + right))
}

/** A constant has no place of its own: it is made where it is used, so it need not be in a block. */
function withConst(node: Node, operation: Operation, a: Node, value: bigint): Rewritten {
  return { operation, args: [a, { id: node.id, operation: { op: 'const', value }, args: [], at: node.at }] }
}

function powerOfTwo(node: Node, width: 32 | 64, value: bigint, bin: 'lsh' | 'rsh'): Rewritten | undefined {
  const factor = BigInt.asUintN(width, value)
  if (factor <= 0n || (factor & (factor - 1n)) !== 0n) return undefined
  const shift = BigInt(factor.toString(2).length - 1)
  return withConst(node, { op: 'bin', bin, width }, node.args[0], shift)
}

/** Whether the value is known to lie in the range of the type already. */
function alreadyExtended(node: Node, from: number, isSigned: boolean): boolean {
  const { operation } = node
  switch (operation.op) {
    case 'load':
      return operation.size * 8 < from || (!isSigned && operation.size * 8 === from)
    case 'swap':
      return operation.bits < from || (!isSigned && operation.bits === from)
    case 'extend':
      return operation.signed === isSigned ? operation.from <= from : !operation.signed && operation.from < from
    case 'bin': {
      if (isSigned) return false
      if (operation.width === 32 && from === 32) return true
      const mask = operation.bin === 'and' ? constant(node.args[1]) : undefined
      return mask !== undefined && mask >= 0n && mask < 1n << BigInt(from)
    }
    default:
      return false
  }
}

/** One node for the same pure computation, if the first one's block dominates. */
function shareValues(builder: Builder): boolean {
  const { graph } = builder
  const children = dominatorTree(graph.blocks)
  const known = new Map<string, Node>()
  const replaced = new Map<Node, Node>()
  const resolve = (node: Node): Node => replaced.get(node) ?? node
  // Depth is that of the source's nesting: an explicit stack keeps deep programs safe.
  const work: { block: Block; leave?: string[] }[] = [{ block: graph.blocks[0] }]
  while (work.length > 0) {
    const item = work.pop() as { block: Block; leave?: string[] }
    if (item.leave) {
      for (const key of item.leave) known.delete(key)
      continue
    }
    const added: string[] = []
    const kept: Node[] = []
    for (const node of item.block.nodes) {
      if (node.operation.op !== 'phi') node.args = node.args.map(resolve)
      const key = shareKey(node)
      const same = key === undefined ? undefined : known.get(key)
      if (same) {
        replaced.set(node, same)
        continue
      }
      if (key !== undefined) {
        known.set(key, node)
        added.push(key)
      }
      kept.push(node)
    }
    item.block.nodes = kept
    work.push({ block: item.block, leave: added })
    for (const child of children.get(item.block) ?? []) work.push({ block: child })
  }
  if (replaced.size === 0) return false
  for (const block of graph.blocks) {
    for (const node of block.nodes) node.args = node.args.map(resolve)
    mapTerminator(block, resolve)
  }
  return true
}

/** Equal keys are equal values. Constants and addresses cost nothing to make again, so they are not shared. */
function shareKey(node: Node): string | undefined {
  const { operation } = node
  if (!isPure(node) || operation.op === 'phi' || operation.op === 'ctx') return undefined
  if (operation.op === 'const' || operation.op === 'slot') return undefined
  const args = node.args.map(argKey).join(',')
  switch (operation.op) {
    case 'bin':
      return `${operation.bin}${operation.width} ${args}`
    case 'extend':
      return `extend${operation.from}${operation.signed} ${args}`
    case 'swap':
      return `swap${operation.bits} ${args}`
    case 'load':
      return `load${operation.size}@${operation.offset} ${args}`
    default:
      return undefined
  }
}

const argKey = (arg: Node): string => {
  const { operation } = arg
  if (operation.op === 'const') return `#${operation.value}`
  if (operation.op === 'mapValue') return `${operation.map}+${operation.offset}`
  return `%${arg.id}`
}

/** Children in the dominator tree (after Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm"). */
function dominatorTree(blocks: readonly Block[]): Map<Block, Block[]> {
  const order = new Map(blocks.map((block, i) => [block, i]))
  const idom: number[] = blocks.map(() => -1)
  idom[0] = 0
  const meet = (a: number, b: number): number => {
    while (a !== b) {
      while (a > b) a = idom[a]
      while (b > a) b = idom[b]
    }
    return a
  }
  for (let changed = true; changed; ) {
    changed = false
    for (let i = 1; i < blocks.length; i++) {
      let next = -1
      for (const pred of blocks[i].preds) {
        const p = order.get(pred)
        if (p === undefined || idom[p] < 0) continue
        next = next < 0 ? p : meet(next, p)
      }
      if (next !== idom[i]) {
        idom[i] = next
        changed = true
      }
    }
  }
  const children = new Map<Block, Block[]>(blocks.map((block) => [block, []]))
  for (let i = blocks.length - 1; i > 0; i--) children.get(blocks[idom[i]])?.push(blocks[i])
  return children
}

/** A branch on constants, or to one place only, becomes a jump. */
function foldBranches(builder: Builder): boolean {
  let changed = false
  for (const block of builder.graph.blocks) {
    const { end } = block
    if (end?.op !== 'branch') continue
    const a = constant(end.a)
    const b = constant(end.b)
    const known = a !== undefined && b !== undefined ? condition(end.cond, a, b) : undefined
    const hasPhis = end.yes.nodes[0]?.operation.op === 'phi'
    if (known === undefined && (end.yes !== end.no || hasPhis)) continue
    block.end = { op: 'jump', to: known === false ? end.no : end.yes, at: end.at }
    changed = true
  }
  if (changed) link(builder.graph)
  return changed
}

/** A block and its only successor, of which it is the only predecessor, become one; empty ones are skipped. */
function mergeBlocks(builder: Builder): boolean {
  const { graph } = builder
  let changed = false
  for (const block of graph.blocks) {
    for (let end = block.end; end?.op === 'jump'; end = block.end) {
      const { to } = end
      if (to === block || to.preds.length !== 1 || to === graph.blocks[0]) break
      if (to.nodes[0]?.operation.op === 'phi') break
      block.nodes.push(...to.nodes)
      block.end = to.end
      for (const other of graph.blocks) {
        other.preds = other.preds.map((pred) => (pred === to ? block : pred))
      }
      to.nodes = []
      to.preds = []
      to.end = undefined
      changed = true
    }
  }
  changed = skipEmpty(graph.blocks) || changed
  if (changed) link(graph)
  return changed
}

/** Edges into a block that only jumps on go to where it jumps, unless phis there tell the edges apart. */
function skipEmpty(blocks: readonly Block[]): boolean {
  let changed = false
  for (const block of blocks) {
    const { end } = block
    if (block.nodes.length > 0 || end?.op !== 'jump' || end.to === block || block === blocks[0]) continue
    const { to } = end
    if (to.nodes[0]?.operation.op === 'phi' || block.preds.includes(block)) continue
    for (const pred of block.preds) {
      if (!pred.end || pred.end.op === 'exit') continue
      if (pred.end.op === 'jump') pred.end.to = to
      else {
        if (pred.end.yes === block) pred.end.yes = to
        if (pred.end.no === block) pred.end.no = to
      }
      to.preds.push(pred)
      changed = true
    }
    if (block.preds.length > 0) {
      to.preds = to.preds.filter((pred) => pred !== block)
      block.preds = []
    }
  }
  return changed
}

/** Nodes that nobody uses and that do nothing but compute. */
function dropDead(builder: Builder): void {
  const { graph } = builder
  const live = new Set<Node>()
  const work: Node[] = []
  for (const block of graph.blocks) {
    for (const node of block.nodes) if (!isPure(node)) work.push(node)
    if (block.end) work.push(...terminatorArgs(block.end))
  }
  for (let node = work.pop(); node; node = work.pop()) {
    if (live.has(node)) continue
    live.add(node)
    work.push(...node.args)
  }
  for (const block of graph.blocks) block.nodes = block.nodes.filter((node) => live.has(node))
}
