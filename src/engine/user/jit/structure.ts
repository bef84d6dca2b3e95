// From a control-flow graph to structured control flow, as WebAssembly has it: blocks, loops and ifs from the
// dominator tree (Norman Ramsey, "Beyond Relooper", ICFP 2022), with a list of things to do in place of recursion.
// A graph with a loop that is entered in two places cannot be had so: there a variable says which block is next,
// and a loop around a table of all blocks goes to it.

import type { Graph } from './graph.ts'

/** What structured code is written to. Depths count enclosing constructs from the inside, as `br` does. */
export interface Sink {
  block(): void
  loop(): void
  /** Takes a condition. */
  if(): void
  else(): void
  end(): void
  br(depth: number): void
  /** Takes a condition. */
  brIf(depth: number): void
  /** Turns a condition around. */
  not(): void
  /** The block's own code; with two successors it leaves the condition for the first, with none it ends the function. */
  body(block: number): void
  /** Code on an edge that goes back. */
  back(from: number, to: number): void
  /** Sets the variable that says which block is next; takes nothing. */
  choose(block: number): void
  /** Goes out of as many of the `count` innermost blocks, and one more, as the variable says. */
  dispatch(count: number): void
}

type Task =
  | { readonly kind: 'tree' | 'body'; readonly block: number }
  | { readonly kind: 'goto'; readonly from: number; readonly to: number }
  | { readonly kind: 'else' | 'end' }

const END: Task = { kind: 'end' }
const ELSE: Task = { kind: 'else' }
/** A label that nobody branches to. */
const NOBODY = -1

/** Writes the code of the graph. The end of the code is never reached. */
export function structure(graph: Graph, sink: Sink): void {
  if (graph.reducible) nested(graph, sink)
  else dispatched(graph, sink)
}

function nested({ successors, place, dominated, loop, merge }: Graph, sink: Sink): void {
  /** The blocks that the enclosing constructs lead to, the innermost last, and by block where its own is. */
  const labels: number[] = []
  const labelOf = new Int32Array(successors.length)
  const open = (target: number): void => {
    if (target !== NOBODY) labelOf[target] = labels.length
    labels.push(target)
  }
  const depth = (target: number): number => labels.length - 1 - labelOf[target]
  const tasks: Task[] = [{ kind: 'tree', block: 0 }]
  /** The last that is pushed is done first. */
  const push = (...next: Task[]): void => {
    for (let i = next.length - 1; i >= 0; i--) tasks.push(next[i])
  }
  const jumps = (from: number, to: number): boolean => place[to] <= place[from] || merge[to] === 1

  const tree = (block: number): void => {
    const after = dominated[block].filter((child) => merge[child])
    if (loop[block]) {
      sink.loop()
      open(block)
      tasks.push(END)
    }
    for (let i = after.length - 1; i >= 0; i--) {
      sink.block()
      open(after[i])
      tasks.push({ kind: 'tree', block: after[i] }, END)
    }
    tasks.push({ kind: 'body', block })
  }

  const goto = (from: number, to: number): void => {
    if (!jumps(from, to)) {
      tasks.push({ kind: 'tree', block: to })
      return
    }
    if (place[to] <= place[from]) sink.back(from, to)
    sink.br(depth(to))
  }

  const body = (block: number): void => {
    sink.body(block)
    const [taken, other] = successors[block]
    if (taken === undefined) return
    if (other === undefined) {
      goto(block, taken)
      return
    }
    const plain = (to: number): boolean => merge[to] === 1 && place[to] > place[block]
    if (plain(taken)) {
      sink.brIf(depth(taken))
      goto(block, other)
    } else if (plain(other)) {
      sink.not()
      sink.brIf(depth(other))
      goto(block, taken)
    } else {
      sink.if()
      open(NOBODY)
      push({ kind: 'goto', from: block, to: taken }, ELSE, { kind: 'goto', from: block, to: other }, END)
    }
  }

  for (let task = tasks.pop(); task; task = tasks.pop()) {
    if (task.kind === 'tree') tree(task.block)
    else if (task.kind === 'body') body(task.block)
    else if (task.kind === 'goto') goto(task.from, task.to)
    else if (task.kind === 'else') sink.else()
    else {
      sink.end()
      labels.pop()
    }
  }
}

function dispatched({ successors, order, place }: Graph, sink: Sink): void {
  sink.loop()
  for (let i = 0; i < order.length; i++) sink.block()
  sink.dispatch(order.length)
  order.forEach((block, i) => {
    sink.end()
    const loopDepth = order.length - 1 - i
    const go = (to: number, deeper: number): void => {
      if (place[to] <= place[block]) sink.back(block, to)
      sink.choose(place[to])
      sink.br(loopDepth + deeper)
    }
    sink.body(block)
    const [taken, other] = successors[block]
    if (taken === undefined) return
    if (other !== undefined) {
      sink.if()
      go(taken, 1)
      sink.end()
      go(other, 0)
    } else go(taken, 0)
  })
  sink.end()
}
