// Env: what one verification works with and counts: the program, the platform it is aimed at, its maps, and
// what has been found so far. Everything that varies is passed in here; nothing is kept elsewhere.

import type { Insn } from '../isa/insn.ts'
import type { MapSpec, ObjectSpec, ProgramSpec, Relocation } from '../object/spec.ts'
import type { Platform } from '../spec/platform.ts'
import type { ProgTypeRow } from '../spec/progtype.ts'
import type { Structure } from './cfg.ts'
import { Refusal } from './refusal.ts'

export interface VerifyOptions {
  /** Instructions to process at most; the kernel's limit, 1,000,000, if absent. */
  readonly maxInsns?: number
}

export interface Env {
  readonly spec: ObjectSpec
  readonly program: ProgramSpec
  readonly platform: Platform
  readonly options: VerifyOptions
  readonly insns: readonly Insn[]
  structure: Structure
  readonly type: ProgTypeRow
  readonly maps: ReadonlyMap<string, MapSpec>
  readonly relocations: ReadonlyMap<number, Relocation>
  /** Whether reading stack that was never written is allowed: with CAP_PERFMON, since 6.3. */
  readonly uninitStack: boolean
  /** Bytes of stack that each function uses. */
  stackDepth: number[]
  /** The last id given. */
  ids: number
  insnsProcessed: number
  jumpsProcessed: number
  statesPeak: number
}

/** The map of that name. */
export function mapNamed(env: Env, name: string): MapSpec {
  const map = env.maps.get(name)
  if (!map) throw new Refusal('structure', `there is no map named \`${name}\` in this object`)
  return map
}
