// Layout: which blocks remain once registers are known, and in which order. Moves that became none are dropped,
// jumps to a block that only jumps on go where it does, equal blocks become one, and each block is followed by
// one that it leads to, where one is left. Runs before src/compile/emit.ts, which jumps to all others.

import { type LowBlock, type LowProgram, lowSuccessors, type Step } from './low.ts'
import type { Allocation } from './regalloc.ts'

/** Rewrites `program.blocks`. */
export function layout(program: LowProgram, allocation: Allocation): void {
  for (const block of program.blocks) block.steps = block.steps.filter((step) => !isNothing(step, allocation))
  for (let changed = true; changed; ) {
    const before = program.blocks.length
    thread(program.blocks)
    program.blocks = reachable(program.blocks[0])
    unite(program.blocks, allocation)
    program.blocks = reachable(program.blocks[0])
    changed = program.blocks.length < before
  }
  program.blocks = ordered(program.blocks)
}

/** A move from a register to itself. */
function isNothing(step: Step, allocation: Allocation): boolean {
  if (step.op === 'mov') return allocation.get(step.d) === allocation.get(step.a)
  return step.op === 'entry' && step.d !== undefined && (allocation.get(step.d) ?? step.from) === step.from
}

function redirect(block: LowBlock, to: (target: LowBlock) => LowBlock): void {
  const end = block.steps[block.steps.length - 1]
  if (end.op === 'jump') end.to = to(end.to)
  if (end.op !== 'branch') return
  end.yes = to(end.yes)
  end.no = to(end.no)
  if (end.yes === end.no) block.steps[block.steps.length - 1] = { op: 'jump', to: end.yes, at: end.at }
}

/** Jumps to a block that only jumps on go where that one goes. */
function thread(blocks: readonly LowBlock[]): void {
  const destination = (block: LowBlock): LowBlock => {
    // A loop of such blocks has no destination: any of them will do.
    const seen = new Set<LowBlock>()
    let at = block
    for (;;) {
      const [only] = at.steps
      if (only.op !== 'jump' || seen.has(at)) return at
      seen.add(at)
      at = only.to
    }
  }
  for (const block of blocks) redirect(block, destination)
}

/** Blocks that do the same, on the same registers and for the same place in the source, become one. */
function unite(blocks: readonly LowBlock[], allocation: Allocation): void {
  const known = new Map<string, LowBlock>()
  const same = new Map<LowBlock, LowBlock>()
  for (const block of blocks) {
    const key = JSON.stringify(block.steps, (name, value) => {
      if (typeof value === 'bigint') return String(value)
      if (name === 'yes' || name === 'no' || name === 'to') return (value as LowBlock).id
      const reg = allocation.get(value)
      // A result that nobody reads has no register.
      return reg !== undefined ? `r${reg}` : name === 'd' ? undefined : value
    })
    const other = known.get(key)
    if (other) same.set(block, other)
    else known.set(key, block)
  }
  if (same.size > 0) for (const block of blocks) redirect(block, (target) => same.get(target) ?? target)
}

/** The blocks that the entry leads to, in reverse postorder: a block comes after those that lead to it, loops aside. */
function reachable(entry: LowBlock): LowBlock[] {
  const order: LowBlock[] = []
  const seen = new Set([entry])
  const stack = [{ block: entry, left: lowSuccessors(entry) }]
  while (stack.length > 0) {
    const top = stack[stack.length - 1]
    const next = top.left.pop()
    if (!next) {
      order.push(top.block)
      stack.pop()
    } else if (!seen.has(next)) {
      seen.add(next)
      stack.push({ block: next, left: lowSuccessors(next) })
    }
  }
  return order.reverse()
}

/** Puts behind each block one that it leads to, if possible one that nothing still to come leads to. */
function ordered(blocks: readonly LowBlock[]): LowBlock[] {
  const index = new Map(blocks.map((block, i) => [block, i]))
  const at = (block: LowBlock): number => index.get(block) as number
  const waiting = new Map(blocks.map((block) => [block, 0]))
  for (const block of blocks) {
    for (const next of lowSuccessors(block)) {
      // Edges back to the head of a loop do not hold it up.
      if (at(next) > at(block)) waiting.set(next, (waiting.get(next) as number) + 1)
    }
  }
  const placed = new Set<LowBlock>()
  const order: LowBlock[] = []
  const place = (block: LowBlock): void => {
    placed.add(block)
    order.push(block)
    for (const next of lowSuccessors(block)) {
      if (at(next) > at(block)) waiting.set(next, (waiting.get(next) as number) - 1)
    }
  }
  const follower = (block: LowBlock): LowBlock | undefined => {
    const left = lowSuccessors(block).filter((next) => !placed.has(next))
    const ready = left.filter((next) => waiting.get(next) === 0)
    if (ready.length > 0) return ready.reduce((a, b) => (at(a) <= at(b) ? a : b))
    // A branch needs one side behind it, or it takes a jump more.
    return block.steps[block.steps.length - 1].op === 'branch' ? left[0] : undefined
  }
  for (const block of blocks) {
    for (let next: LowBlock | undefined = block; next && !placed.has(next); next = follower(next)) place(next)
  }
  return order
}
