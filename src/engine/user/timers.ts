// Timers in map values (struct bpf_timer; bpf_timer_* in kernel/bpf/helpers.c). Time is the host's: what has come due
// runs before the next program and whenever the collection is asked to, and by itself where the host can wait.

import type { Errno } from './errno.ts'
import type { Host } from './host.ts'
import type { UserMap } from './maps/map.ts'

/** CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME. */
const CLOCKS: ReadonlySet<bigint> = new Set([0n, 1n, 7n])
/** BPF_F_TIMER_ABS, BPF_F_TIMER_CPU_PIN. */
const ABSOLUTE = 1n
const PINNED = 2n

interface Timer {
  /** Address of the struct. */
  readonly at: number
  readonly map: UserMap
  readonly handle: bigint
  callback?: (...args: bigint[]) => bigint
  /** In the host's nanoseconds; undefined while it does not run. */
  due?: bigint
  stopWaiting?: () => void
}

export class Timers {
  readonly #host: Host
  /** Four bytes for the key of an array. */
  readonly #scratch: number
  readonly #timers = new Map<number, Timer>()
  #running: Timer | undefined
  #fault: unknown

  constructor(host: Host, scratch: number) {
    this.#host = host
    this.#scratch = scratch
  }

  init(at: number, map: UserMap, handle: bigint, clock: bigint): Errno | undefined {
    if (!CLOCKS.has(clock)) return 'EINVAL'
    if (this.#timers.has(at)) return 'EBUSY'
    this.#timers.set(at, { at, map, handle })
    return undefined
  }

  setCallback(at: number, callback: (...args: bigint[]) => bigint): Errno | undefined {
    const timer = this.#timers.get(at)
    if (!timer) return 'EINVAL'
    timer.callback = callback
    return undefined
  }

  start(at: number, nanoseconds: bigint, flags: bigint): Errno | undefined {
    const timer = this.#timers.get(at)
    if (!timer || (flags & ~(ABSOLUTE | PINNED)) !== 0n) return 'EINVAL'
    timer.due = (flags & ABSOLUTE) !== 0n ? nanoseconds : this.#host.now + nanoseconds
    timer.stopWaiting?.()
    this.#wait(timer)
    return undefined
  }

  #wait(timer: Timer): void {
    if (timer.due === undefined) return
    const left = timer.due - this.#host.now
    timer.stopWaiting = this.#host.after?.(left > 0n ? left : 0n, () => {
      timer.stopWaiting = undefined
      this.#tickUnasked()
      // A host's clocks need not agree: it may have been called a little early.
      if (!timer.stopWaiting) this.#wait(timer)
    })
  }

  /** Whether it was running. */
  cancel(at: number): boolean | Errno {
    const timer = this.#timers.get(at)
    if (!timer) return 'EINVAL'
    if (timer === this.#running) return 'EDEADLK'
    const was = timer.due !== undefined
    stop(timer)
    return was
  }

  /** Ends the timers in a value that is deleted or replaced. */
  release(value: number, size: number): void {
    for (const timer of [...this.#timers.values()]) {
      if (timer.at < value || timer.at >= value + size) continue
      stop(timer)
      this.#timers.delete(timer.at)
    }
  }

  /** A fault in a callback has nobody to go to until somebody asks for something. */
  #tickUnasked(): void {
    try {
      this.tick()
    } catch (fault) {
      this.#fault = fault
    }
  }

  /** Runs what has come due, the earliest first, each once. Throws the Diagnostic of a callback that faults, or has. */
  tick(): void {
    const fault = this.#fault
    this.#fault = undefined
    if (fault !== undefined) throw fault
    const now = this.#host.now
    const due = [...this.#timers.values()].filter((timer) => timer.due !== undefined && timer.due <= now)
    due.sort((a, b) => Number(a.due! - b.due!))
    for (const timer of due) this.#fire(timer, now)
  }

  /** Ends all of them. */
  close(): void {
    for (const timer of this.#timers.values()) stop(timer)
    this.#timers.clear()
  }

  #fire(timer: Timer, now: bigint): void {
    // One that came before may have ended this one, or started it anew.
    if (timer.due === undefined || timer.due > now || this.#timers.get(timer.at) !== timer) return
    stop(timer)
    const element = this.#elementOf(timer)
    // An LRU map drops elements without a word.
    if (!element) this.#timers.delete(timer.at)
    else {
      const before = this.#running
      this.#running = timer
      try {
        timer.callback?.(timer.handle, BigInt(element.key), BigInt(element.value))
      } finally {
        this.#running = before
      }
    }
  }

  #elementOf({ at, map }: Timer): { key: number; value: number } | undefined {
    for (const key of map.keys(this.#scratch)) {
      const value = map.lookup(key, false)
      if (at >= value && at < value + map.spec.valueSize) return { key, value }
    }
    return undefined
  }
}

function stop(timer: Timer): void {
  timer.due = undefined
  timer.stopWaiting?.()
  timer.stopWaiting = undefined
}
