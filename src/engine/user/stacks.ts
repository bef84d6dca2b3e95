// Stacks: 512 bytes for each of the eight frames that a program may be deep (MAX_BPF_STACK and MAX_CALL_FRAMES of
// the kernel). A frame is a region of its own that lives while its function runs and begins as zeros, so
// that a run never sees what an earlier one left.

import type { Memory, Region } from './memory.ts'

/** MAX_BPF_STACK, in bytes. */
export const STACK_SIZE = 512

export class Stacks {
  readonly #memory: Memory
  readonly #regions: readonly Region[]

  constructor(memory: Memory, frames: number) {
    this.#memory = memory
    this.#regions = Array.from({ length: frames }, (_, depth) =>
      memory.allocate({ name: depth === 0 ? 'the stack' : `the stack of call ${depth}`, size: STACK_SIZE }),
    )
    for (const region of this.#regions) region.end = region.start
  }

  /** Gives the frame at `depth` its stack; the result is its end, the frame pointer r10. */
  open(depth: number): number {
    const region = this.#regions[depth]
    region.end = region.start + STACK_SIZE
    this.#memory.bytes.fill(0, region.start, region.end)
    return region.end
  }

  close(depth: number): void {
    this.#regions[depth].end = this.#regions[depth].start
  }
}
