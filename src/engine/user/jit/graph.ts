// Control-flow graphs and what structured code is made from: the order of the blocks, their dominators, loops and
// places where paths meet. Depth-first search with a stack of its own, dominators after Cooper, Harvey and
// Kennedy ("A Simple, Fast Dominance Algorithm"). Nothing here knows of instructions: blocks are numbers.

/** By block: where control goes next. Two successors are those of a branch: taken, and not taken. Block 0 is the entry. */
export type Successors = readonly (readonly number[])[]

export interface Graph {
  readonly successors: Successors
  /** The blocks that can be reached, each before those it dominates, and before its successors but for edges that go back. */
  readonly order: readonly number[]
  /** By block: its place in `order`, or -1. */
  readonly place: Int32Array
  /** By block: its immediate dominator; the entry is its own. */
  readonly idom: Int32Array
  /** By block: the blocks whose immediate dominator it is, in order. */
  readonly dominated: readonly (readonly number[])[]
  /** By block: whether an edge goes back to it. */
  readonly loop: Uint8Array
  /** By block: whether two edges or more come forward to it. */
  readonly merge: Uint8Array
  /** Whether each edge that goes back goes to a block that dominates its source. */
  readonly reducible: boolean
}

export function graphOf(successors: Successors): Graph {
  const order = reversePostorder(successors)
  const place = new Int32Array(successors.length).fill(-1)
  for (let i = 0; i < order.length; i++) place[order[i]] = i
  const idom = dominators(successors, order, place)
  const dominated: number[][] = successors.map(() => [])
  for (let i = 1; i < order.length; i++) dominated[idom[order[i]]].push(order[i])
  const loop = new Uint8Array(successors.length)
  const merge = new Uint8Array(successors.length)
  const seen = new Uint8Array(successors.length)
  const dominates = dominance(dominated, successors.length)
  let reducible = true
  for (const block of order) {
    for (const to of successors[block]) {
      if (place[to] <= place[block]) {
        loop[to] = 1
        if (!dominates(to, block)) reducible = false
      } else if (seen[to]) merge[to] = 1
      else seen[to] = 1
    }
  }
  return { successors, order, place, idom, dominated, loop, merge, reducible }
}

/** The last successor is visited last, so that it comes next where it can. */
function reversePostorder(successors: Successors): number[] {
  const order: number[] = []
  const visited = new Uint8Array(successors.length)
  const next = new Int32Array(successors.length)
  const stack = [0]
  visited[0] = 1
  while (stack.length > 0) {
    const block = stack[stack.length - 1]
    if (next[block] < successors[block].length) {
      const to = successors[block][next[block]++]
      if (visited[to]) continue
      visited[to] = 1
      stack.push(to)
    } else {
      order.push(block)
      stack.pop()
    }
  }
  return order.reverse()
}

function dominators(successors: Successors, order: readonly number[], place: Int32Array): Int32Array {
  const predecessors: number[][] = successors.map(() => [])
  for (const block of order) for (const to of successors[block]) predecessors[to].push(block)
  const idom = new Int32Array(successors.length).fill(-1)
  idom[0] = 0
  const meet = (a: number, b: number): number => {
    while (a !== b) {
      while (place[a] > place[b]) a = idom[a]
      while (place[b] > place[a]) b = idom[b]
    }
    return a
  }
  for (let changed = true; changed; ) {
    changed = false
    for (let i = 1; i < order.length; i++) {
      const block = order[i]
      let best = -1
      for (const from of predecessors[block]) if (idom[from] >= 0) best = best < 0 ? from : meet(from, best)
      if (idom[block] === best) continue
      idom[block] = best
      changed = true
    }
  }
  return idom
}

/** Whether a dominates b: by the intervals in which a walk over the dominator tree is inside each. */
function dominance(dominated: readonly (readonly number[])[], count: number): (a: number, b: number) => boolean {
  const enter = new Int32Array(count)
  const leave = new Int32Array(count)
  const next = new Int32Array(count)
  const stack = [0]
  let time = 1
  enter[0] = time
  while (stack.length > 0) {
    const block = stack[stack.length - 1]
    if (next[block] < dominated[block].length) {
      const child = dominated[block][next[block]++]
      enter[child] = ++time
      stack.push(child)
    } else {
      leave[block] = time
      stack.pop()
    }
  }
  return (a, b) => enter[a] <= enter[b] && leave[b] <= leave[a]
}
