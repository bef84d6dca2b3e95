// A host whose answers are kept, so that a run can be run again and is told the same: the same time, the same random
// numbers. What a run does to the host (printing) it does once.

import type { Host } from './host.ts'

export class Recording {
  readonly #host: Host
  readonly #answers: unknown[] = []
  #at = 0

  constructor(host: Host) {
    this.#host = host
  }

  /** A host that gives the answers from the first on, and asks the real one when they are used up. */
  play(): Host {
    this.#at = 0
    return new Proxy(this.#host, {
      get: (host, name) => {
        const value = this.#answer(() => host[name as keyof Host] as unknown)
        if (typeof value !== 'function') return value
        return (...args: unknown[]) => this.#answer(() => Reflect.apply(value, host, args))
      },
    })
  }

  #answer(ask: () => unknown): unknown {
    if (this.#at === this.#answers.length) this.#answers.push(ask())
    return this.#answers[this.#at++]
  }
}
