// The kernel's own verdict on an object, for tests that compare.

import { Diagnostic } from '../../src/diag/diagnostic.ts'
import type { Engine } from '../../src/engine/engine.ts'
import type { ObjectSpec } from '../../src/object/spec.ts'

/** Whether the kernel's verifier accepts the object. Throws what is no verdict. */
export async function kernelAccepts(engine: Engine, spec: ObjectSpec): Promise<boolean> {
  try {
    const collection = await engine.load(spec)
    collection.close()
    return true
  } catch (error) {
    if (error instanceof Diagnostic && error.code === 'kernel/verifier') return false
    throw error
  }
}
