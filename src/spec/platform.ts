// Platform: everything that varies between one place to run and another, as one value that is passed in.
// Nothing in the verifier or the compiler asks the machine it happens to run on.

import type { Diagnostic } from '../diag/diagnostic.ts'
import type { HelperName, HelperRow } from './helper.ts'
import type { MapTypeRow } from './maptype.ts'
import type { MapTypeName, ProgTypeName } from './names.ts'
import type { ProgTypeRow } from './progtype.ts'
import type { TracepointFormat } from './tracepoint.ts'

export interface Platform {
  /** For messages: `Linux 6.18.44`, `the user engine`. */
  readonly description: string
  /** Release as numbers, for rows with a `since`. */
  readonly version: readonly [major: number, minor: number]
  readonly helpers: ReadonlyMap<HelperName, HelperRow>
  readonly helpersById: ReadonlyMap<number, HelperRow>
  readonly progTypes: ReadonlyMap<ProgTypeName, ProgTypeRow>
  readonly mapTypes: ReadonlyMap<MapTypeName, MapTypeRow>
  /** The record of a tracepoint `category/name`; undefined if there is none such or none can be read here. */
  tracepoint(target: string): TracepointFormat | undefined
  /** All tracepoints as `category/name`, for "did you mean"; empty where they can't be listed. */
  tracepoints(): readonly string[]
  /** Why no tracepoint can be looked up here, if that is so: then `tracepoint` not knowing one says nothing about it. */
  noTracepoints?(): Diagnostic | undefined
  /** A short text that changes when an answer of this platform may change: part of cache keys. */
  readonly fingerprint: string
}
