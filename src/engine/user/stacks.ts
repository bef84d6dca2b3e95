// Stacks: 512 bytes for each of the eight frames that a program may be deep (MAX_BPF_STACK and MAX_CALL_FRAMES of
// the kernel). A frame is a region of its own that lives while its function runs and begins as zeros, so
// that a run never sees what an earlier one left.

import type { Memory, Region } from './memory.ts'

/** MAX_BPF_STACK, in bytes. */
export const STACK_SIZE = 512
/** MAX_CALL_FRAMES. */
export const MAX_FRAMES = 8

export class Stacks {
  readonly #memory: Memory
  readonly #regions: readonly Region[]
  /** The last argument of `live`; -1 after `open` or `close`. */
  #live = 0

  constructor(memory: Memory, frames: number) {
    this.#memory = memory
    this.#regions = Array.from({ length: frames }, (_, depth) =>
      memory.allocate({ name: depth === 0 ? 'the stack' : `the stack of call ${depth}`, size: STACK_SIZE }),
    )
    for (const region of this.#regions) region.end = region.start
  }

  /** The start of the first frame, and the bytes from one to the next. */
  get layout(): { readonly start: number; readonly stride: number } {
    const [first, second] = this.#regions
    return { start: first.start, stride: second.start - first.start }
  }

  /** Makes the frames up to the one that starts at `frame` live, and no others, as they are; 0 is no frame at all. */
  live(frame: number): void {
    if (frame === this.#live) return
    this.#live = frame
    const { start, stride } = this.layout
    const count = frame === 0 ? 0 : (frame - start) / stride + 1
    this.#regions.forEach((region, depth) => {
      region.end = depth < count ? region.start + STACK_SIZE : region.start
    })
  }

  /** Gives the frame at `depth` its stack; the result is its end, the frame pointer r10. */
  open(depth: number): number {
    this.#live = -1
    const region = this.#regions[depth]
    region.end = region.start + STACK_SIZE
    this.#memory.bytes.fill(0, region.start, region.end)
    return region.end
  }

  close(depth: number): void {
    this.#live = -1
    this.#regions[depth].end = this.#regions[depth].start
  }
}
