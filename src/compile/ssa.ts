// From variables to static single assignment. First, jumps are threaded while that is still easy: a block
// that only tests a variable which its predecessor has just set to a constant is skipped by it. So a map
// look-up followed by `if (x === undefined)` costs one branch, not two. Then variables become values and
// phis (after Braun et al., "Simple and Efficient Construction of Static Single Assignment Form", 2013).

import { condition } from './arith.ts'
import {
  type Block,
  type Builder,
  type Graph,
  link,
  type Node,
  successors,
  terminatorArgs,
  type Variable,
} from './ir.ts'

export function toSsa(builder: Builder): Graph {
  const { graph } = builder
  link(graph)
  threadJumps(builder)
  for (const block of graph.blocks) block.preds = []
  link(graph)
  rename(builder)
  return graph
}

/** A block longer than this is not copied to thread a jump through it. */
const COPY_LIMIT = 12

function threadJumps(builder: Builder): void {
  const { graph } = builder
  for (let again = true, rounds = 0; again && rounds < 32; rounds++) {
    again = false
    const users = usersByBlock(graph)
    for (const block of graph.blocks) {
      if (!isTest(block, users)) continue
      for (const pred of [...block.preds]) again = threadEdge(builder, pred, block) || again
    }
    for (const block of graph.blocks) block.preds = []
    link(graph)
  }
}

function usersByBlock(graph: Graph): Map<Node, Set<Block>> {
  const users = new Map<Node, Set<Block>>()
  const use = (node: Node, block: Block): void => {
    const set = users.get(node)
    if (set) set.add(block)
    else users.set(node, new Set([block]))
  }
  for (const block of graph.blocks) {
    for (const node of block.nodes) for (const arg of node.args) use(arg, block)
    if (block.end) for (const arg of terminatorArgs(block.end)) use(arg, block)
  }
  return users
}

/** Only moves variables about, then branches; what it computes is used nowhere else. */
function isTest(block: Block, users: Map<Node, Set<Block>>): boolean {
  if (block.end?.op !== 'branch' || block.nodes.length > COPY_LIMIT || block.preds.length < 2) return false
  return block.nodes.every((node) => {
    const { op } = node.operation
    if (op !== 'get' && op !== 'set' && op !== 'const') return false
    return [...(users.get(node) ?? [])].every((user) => user === block)
  })
}

/** Sends `pred` straight to where `block` would go, if the test is decided by what `pred` sets. */
function threadEdge(builder: Builder, pred: Block, block: Block): boolean {
  if (pred === block || block.end?.op !== 'branch' || !pred.end) return false
  const known = new Map<Variable, bigint>()
  for (const node of pred.nodes) {
    if (node.operation.op !== 'set') continue
    const value = node.args[0].operation
    if (value.op === 'const') known.set(node.operation.variable, value.value)
    else known.delete(node.operation.variable)
  }
  const values = new Map<Node, bigint>()
  for (const node of block.nodes) {
    const { operation } = node
    let value: bigint | undefined
    if (operation.op === 'const') value = operation.value
    else if (operation.op === 'get') value = known.get(operation.variable)
    else if (operation.op === 'set') {
      const set = values.get(node.args[0])
      if (set === undefined) known.delete(operation.variable)
      else known.set(operation.variable, set)
    }
    if (value !== undefined) values.set(node, value)
  }
  const constant = (node: Node): bigint | undefined =>
    values.get(node) ?? (node.operation.op === 'const' ? node.operation.value : undefined)
  const a = constant(block.end.a)
  const b = constant(block.end.b)
  if (a === undefined || b === undefined) return false
  const target = condition(block.end.cond, a, b) ? block.end.yes : block.end.no
  retarget(pred, block, copyOf(builder, block, target))
  return true
}

/** A block that does what `block` does to variables, then goes to `target`. */
function copyOf(builder: Builder, block: Block, target: Block): Block {
  if (!block.nodes.some((node) => node.operation.op === 'set')) return target
  const copy = builder.newBlock()
  const copies = new Map<Node, Node>()
  for (const node of block.nodes) {
    const args = node.args.map((arg) => copies.get(arg) ?? arg)
    const made = builder.node(node.operation, args, node.at)
    copies.set(node, made)
    copy.nodes.push(made)
  }
  copy.end = { op: 'jump', to: target, at: block.end?.at ?? 0 }
  return copy
}

export function retarget(block: Block, from: Block, to: Block): void {
  const { end } = block
  if (end?.op === 'jump' && end.to === from) end.to = to
  if (end?.op !== 'branch') return
  if (end.yes === from) end.yes = to
  if (end.no === from) end.no = to
}

/** Replaces `get` and `set` by values and phis. */
function rename(builder: Builder): void {
  const { graph } = builder
  const atEntry = new Map<Block, Map<Variable, Node>>(graph.blocks.map((block) => [block, new Map()]))
  const atExit = new Map<Block, Map<Variable, Node>>(graph.blocks.map((block) => [block, new Map()]))
  const done = new Set<Block>()
  const phis: { phi: Node; block: Block; variable: Variable }[] = []
  const replaced = new Map<Node, Node>()
  const entry = graph.blocks[0]
  const undefinedValue = builder.node({ op: 'const', value: 0n }, [], 0)

  const readEntry = (block: Block, variable: Variable): Node => {
    const known = atEntry.get(block)?.get(variable)
    if (known) return known
    let value: Node
    if (block === entry && block.preds.length === 0) value = undefinedValue
    else if (block.preds.length === 1 && done.has(block.preds[0])) value = readExit(block.preds[0], variable)
    else {
      value = builder.node({ op: 'phi' }, [], block.nodes[0]?.at ?? block.end?.at ?? 0)
      phis.push({ phi: value, block, variable })
    }
    atEntry.get(block)?.set(variable, value)
    return value
  }
  const readExit = (block: Block, variable: Variable): Node =>
    atExit.get(block)?.get(variable) ?? readEntry(block, variable)

  const resolve = (node: Node): Node => {
    let at = node
    for (let next = replaced.get(at); next; next = replaced.get(at)) at = next
    return at
  }
  for (const block of graph.blocks) {
    const now = atExit.get(block) as Map<Variable, Node>
    const kept: Node[] = []
    for (const node of block.nodes) {
      node.args = node.args.map(resolve)
      const { operation } = node
      if (operation.op === 'set') now.set(operation.variable, node.args[0])
      else if (operation.op === 'get') {
        replaced.set(node, now.get(operation.variable) ?? readEntry(block, operation.variable))
      } else kept.push(node)
    }
    block.nodes = kept
    if (block.end) mapTerminator(block, resolve)
    done.add(block)
  }
  for (let i = 0; i < phis.length; i++) {
    const { phi, block, variable } = phis[i]
    phi.args = block.preds.map((pred) => readExit(pred, variable))
  }
  for (let i = phis.length - 1; i >= 0; i--) phis[i].block.nodes.unshift(phis[i].phi)
  entry.nodes.unshift(undefinedValue)
}

export function mapTerminator(block: Block, f: (node: Node) => Node): void {
  const { end } = block
  if (end?.op === 'branch') {
    end.a = f(end.a)
    end.b = f(end.b)
  } else if (end?.op === 'exit') end.value = f(end.value)
}

/** Replaces an edge from a branch to a block that has other edges, or phis, by a block of its own. */
export function splitCriticalEdges(builder: Builder): void {
  const { graph } = builder
  for (const block of [...graph.blocks]) {
    if (successors(block).length < 2 || block.end?.op !== 'branch') continue
    for (const side of ['yes', 'no'] as const) {
      const to = block.end[side]
      // A phi is written at the end of a predecessor, which must lead nowhere else.
      if (to.preds.length < 2 && to.nodes[0]?.operation.op !== 'phi') continue
      const middle = builder.newBlock()
      middle.end = { op: 'jump', to, at: block.end.at }
      middle.preds = [block]
      block.end[side] = middle
      to.preds[to.preds.indexOf(block)] = middle
      graph.blocks.push(middle)
    }
  }
  link(graph)
}
