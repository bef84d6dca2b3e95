// The faults that interpreter and compiled code have in common: one wording, and one way to say where.

import { Diagnostic } from '../../diag/diagnostic.ts'
import type { ProgramSpec } from '../../object/spec.ts'
import { placeOf, sourceOf } from './code.ts'
import { MAX_FRAMES } from './stacks.ts'

export const outOfFuel = (fuel: number): Diagnostic =>
  new Diagnostic({
    code: 'user/fuel',
    message: `the program did not end within ${fuel} instructions`,
    help: 'bound its loops, or give the user engine more `fuel`',
  })

export const tooDeep = (): Diagnostic =>
  new Diagnostic({ code: 'user/fault', message: `more than ${MAX_FRAMES} calls deep` })

/** A pointer was made to leave what it pointed into, and came upon other memory of the program. */
export const strayed = (address: number): Diagnostic =>
  new Diagnostic({
    code: 'user/fault',
    message: `access at 0x${address.toString(16)}: the pointer has left what it was made from`,
  })

/** Control goes to a slot that has no instruction. */
export const outside = (slot: number): Diagnostic =>
  new Diagnostic({ code: 'user/fault', message: `the program leaves its instructions: there is none at ${slot}` })

/** A helper calls back to something else than what the program took the address of. */
export const noFunction = (address: bigint): Diagnostic =>
  new Diagnostic({ code: 'user/fault', message: `0x${address.toString(16)} is no function of the program` })

/** The fault with the place of the instruction at `slot`. */
export const located = (spec: ProgramSpec, slot: number, fault: Diagnostic): Diagnostic =>
  new Diagnostic({
    code: fault.code,
    message: fault.message,
    at: fault.at ?? sourceOf(spec, slot),
    notes: [placeOf(spec, slot), ...fault.notes],
    help: fault.help ?? 'the verifier finds such mistakes before a program runs: verify the program first',
    errno: fault.errno,
    cause: fault,
  })
