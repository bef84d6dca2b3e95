// The user engine: eBPF in a virtual machine of our own, without privileges, without Linux, in a browser too.
// The same programs and maps as in the kernel; no hooks: programs run on the input that they are given.

import type { Diagnostic } from '../../diag/diagnostic.ts'
import type { ObjectSpec } from '../../object/spec.ts'
import type { Engine } from '../engine.ts'
import { UserCollection } from './collection.ts'
import { type Host, host } from './host.ts'
import type { Observer } from './observer.ts'

export { Coverage, type CoveredLine, type ProgramCoverage } from './coverage.ts'
export { type Breakpoint, type DebugFrame, Debugger, type DebuggerOptions, type DebugState } from './debug.ts'
export { USER_HELPERS } from './helpers.ts'
export type { Host, HostSocket } from './host.ts'
export { USER_MAP_TYPES } from './maps/index.ts'
export type { ObservedFrame, ObservedMachine, Observer } from './observer.ts'
export { type Changed, Tracer, type TraceStep } from './trace.ts'

export interface UserEngineOptions {
  /** What programs learn about the world; what is left out has the defaults of host.ts. */
  readonly host?: Partial<Host>
  /** Instructions that one run may execute; 100 million if absent. */
  readonly fuel?: number
  /** The most bytes that one collection's memory may take; 1 GiB if absent, at most 4 GiB. */
  readonly memory?: number
  /** Whether programs are compiled to WebAssembly: where it can be done (`auto`, the default), or else refused, or not at all. */
  readonly jit?: 'auto' | 'always' | 'never'
  /** The caller has had every object verified: compiled programs run without tests of their own. As if `verify` had accepted it. */
  readonly verified?: boolean
  /** Called before an object is loaded: what it gives is thrown. Absent: nothing is verified, faults are caught as they occur. */
  readonly verify?: (spec: ObjectSpec) => Diagnostic | undefined
  /** Looks on at each instruction: a Coverage, a Tracer, or one of your own. */
  readonly observer?: Observer
}

const DEFAULT_FUEL = 100_000_000

export function userEngine(options: UserEngineOptions = {}): Engine {
  const engine: Engine = {
    name: 'user',
    description: `user engine (${options.jit === 'never' ? 'interpreter' : 'WebAssembly'})`,
    load: async (spec) => {
      const refusal = options.verify?.(spec)
      if (refusal) throw refusal
      const { fuel = DEFAULT_FUEL, memory, jit = 'auto', observer } = options
      const verified = options.verified ?? options.verify !== undefined
      return new UserCollection({ engine, spec, host: host(options.host), fuel, memory, jit, verified, observer })
    },
  }
  return engine
}
