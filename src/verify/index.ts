// The verifier's door: judges the programs of an object for a platform, as the kernel would before it loads
// them, and explains a refusal in the words of the source. What it accepts must be accepted by the kernel and
// be safe; what it cannot judge it refuses as "not yet verified". Pure: no engine, nothing of the machine.

import { Diagnostic } from '../diag/diagnostic.ts'
import type { ObjectSpec, ProgramSpec } from '../object/spec.ts'
import { atLeast } from '../spec/linux.ts'
import type { Platform } from '../spec/platform.ts'
import { type Structure, structureOf } from './cfg.ts'
import type { Env, VerifyOptions } from './env.ts'
import { explore, stackOfChain } from './explore.ts'
import { Refusal } from './refusal.ts'
import { report } from './report.ts'

export type { VerifyOptions } from './env.ts'

/** The answer for one program. */
export interface ProgramVerdict {
  readonly program: string
  readonly ok: boolean
  /** Why it was refused; codes are `verify/…`. */
  readonly diagnostic?: Diagnostic
  /** The instruction that a refusal is about. */
  readonly insn?: number
  /** Instructions looked at, over all paths. */
  readonly insnsProcessed: number
  /** States kept for comparison, at most at one time. */
  readonly statesPeak: number
  /** Bytes of stack of the deepest chain of calls. */
  readonly stackDepth: number
}

const EMPTY: Structure = {
  rows: [],
  subprogs: [],
  subprogOf: new Uint16Array(0),
  prune: new Uint8Array(0),
  live: new Uint16Array(0),
}

/** Judges every program of the object, in order. Bad programs give a verdict, never an exception. */
export function verify(spec: ObjectSpec, platform: Platform, options: VerifyOptions = {}): ProgramVerdict[] {
  return spec.programs.map((program) => verifyProgram(spec, program, platform, options))
}

/** Judges one program of the object. */
export function verifyProgram(
  spec: ObjectSpec,
  program: ProgramSpec,
  platform: Platform,
  options: VerifyOptions = {},
): ProgramVerdict {
  const type = platform.progTypes.get(program.type)
  const common = { program: program.name, insnsProcessed: 0, statesPeak: 0, stackDepth: 0 }
  if (!type) {
    const message = `not yet verified: programs of type ${program.type}`
    return { ...common, ok: false, diagnostic: new Diagnostic({ code: 'verify/not-yet', message }) }
  }
  const env: Env = {
    spec,
    program,
    platform,
    options,
    insns: program.insns,
    structure: EMPTY,
    type,
    maps: new Map(spec.maps.map((map) => [map.name, map])),
    relocations: new Map(program.relocations.map((one) => [one.insn, one])),
    uninitStack: atLeast(platform.version, '6.3'),
    stackDepth: [],
    ids: 0,
    insnsProcessed: 0,
    jumpsProcessed: 0,
    statesPeak: 0,
  }
  return judge(env)
}

function judge(env: Env): ProgramVerdict {
  const counts = (stackDepth: number): Omit<ProgramVerdict, 'ok'> => ({
    program: env.program.name,
    insnsProcessed: env.insnsProcessed,
    statesPeak: env.statesPeak,
    stackDepth,
  })
  try {
    env.structure = structureOf(env.insns, {
      argsOf: (helper) => env.platform.helpersById.get(helper)?.args.length ?? 5,
      has: ({ since }) => since !== 'none' && atLeast(env.platform.version, since),
    })
    env.stackDepth = env.structure.subprogs.map(() => 0)
    const failure = explore(env)
    if (failure) {
      const diagnostic = report(env, failure.refusal, failure.state)
      return { ...counts(0), ok: false, diagnostic, insn: failure.refusal.insn ?? failure.state.pc }
    }
    return { ...counts(stackOfChain(env)), ok: true }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return { ...counts(0), ok: false, diagnostic: report(env, error, undefined), insn: error.insn ?? 0 }
  }
}
