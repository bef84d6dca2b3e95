// When a job ends: a signal, its time being over, the command it follows having ended, or nobody reading its output
// any more. Whatever comes first decides, and the caller then takes everything down in one place.

import type { ChildProcess } from 'node:child_process'
import { constants } from 'node:os'

export interface Ending {
  /** For the last line of the report: `interrupted`, `the time is over`. */
  readonly reason: string
  /** The status that the command ended with, or 128 plus the signal that killed it. */
  readonly status?: number
}

const SIGNALS: Readonly<Partial<Record<NodeJS.Signals, string>>> = {
  SIGINT: 'interrupted',
  SIGTERM: 'terminated',
  SIGHUP: 'the terminal was closed',
}

export class Until implements Disposable {
  readonly ended: Promise<Ending>
  #end!: (ending: Ending) => void
  #child: ChildProcess | undefined
  #reason: string | undefined
  readonly #undo: (() => void)[] = []

  /** `duration` in milliseconds. Signals are caught from here on, so make it before anything is attached. */
  constructor(duration?: number) {
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
    for (const [signal, reason] of Object.entries(SIGNALS) as [NodeJS.Signals, string][]) {
      const handler = () => this.#stop(reason, signal)
      process.on(signal, handler)
      this.#undo.push(() => process.off(signal, handler))
    }
    // EPIPE when a reader such as `head` has left, EIO when the terminal is gone.
    const broken = () => this.#stop('nobody reads the output', 'SIGTERM')
    process.stdout.on('error', broken)
    this.#undo.push(() => process.stdout.off('error', broken))
    if (duration !== undefined) {
      const timer = setTimeout(() => this.#stop('the time is over', 'SIGTERM'), duration)
      this.#undo.push(() => clearTimeout(timer))
    }
  }

  /** From here on the job lives as long as the command does. */
  follow(child: ChildProcess): void {
    this.#child = child
    child.on('exit', (code, signal) => {
      const status = code ?? 128 + (constants.signals[signal ?? 'SIGKILL'] ?? 0)
      this.#end({ reason: this.#reason ?? 'the command ended', status })
    })
  }

  /** A command is passed the signal and waited for; asked a second time, it is killed. */
  #stop(reason: string, signal: NodeJS.Signals): void {
    if (!this.#child) {
      this.#end({ reason })
      return
    }
    this.#child.kill(this.#reason === undefined ? signal : 'SIGKILL')
    this.#reason ??= reason
  }

  [Symbol.dispose](): void {
    for (const undo of this.#undo) undo()
  }
}
