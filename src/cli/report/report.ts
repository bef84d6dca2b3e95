// Report: where a running job tells what it does. There are two, chosen once: a terminal for people and lines
// of JSON for programs. Both are told the same things, in the same order.

import type { Value } from '../../event/decode.ts'
import type { MapView } from '../../event/view.ts'

/** What runs, said once when everything is attached. */
export interface Started {
  readonly file: string
  /** `kernel 6.18.44`. */
  readonly engine: string
  /** `tracepoint:sched:sched_process_exec`, or the capture that is read. */
  readonly sources: readonly string[]
  /** From reading the source to the last program attached, in milliseconds. */
  readonly elapsed: number
  /** Whether the compiled object came from the cache. */
  readonly cached: boolean
  /** The command that is followed, if any. */
  readonly command?: readonly string[]
}

export interface Ended {
  /** `interrupted`, `5 s are over`, `the command ended`, `the capture is read`. */
  readonly reason: string
  /** Seconds. */
  readonly elapsed: number
  /** How often each verdict was given (packet programs over a capture). */
  readonly verdicts?: ReadonlyMap<string, number>
  /** Events received and lost, by map. */
  readonly events: readonly { readonly map: string; readonly received: number; readonly lost: bigint | undefined }[]
  /** The command's exit status, where there was one. */
  readonly status?: number
}

export interface Report {
  started(info: Started): void
  event(map: string, value: Value): void
  /** The maps as they stand; called at each interval and, with `final`, once at the end. */
  maps(views: readonly MapView[], final: boolean): void
  ended(info: Ended): void
  /** Something that does not end the job but that a person should know. */
  warn(message: string): void
}
