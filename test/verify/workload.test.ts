// The benchmark's programs, made by clang: what the kernel accepts of a real compiler's output must pass here too.

import { describe, expect, it } from 'vitest'
import { PROGRAMS, workload } from '../../bench/workload.ts'
import { kernelEngine } from '../../src/engine/kernel/index.ts'
import { linux } from '../../src/spec/linux.ts'
import { verify } from '../../src/verify/index.ts'
import { NO_KERNEL } from '../cli/waggle.ts'

describe('programs made by clang', () => {
  it.each(PROGRAMS)('%s is accepted, as by the kernel where there is one', async (name) => {
    const spec = workload(name)
    const verdicts = verify(spec, linux({ version: [6, 18] }))
    expect(verdicts.map(({ ok, diagnostic }) => ({ ok, message: diagnostic?.message }))).toEqual(
      spec.programs.map(() => ({ ok: true, message: undefined })),
    )
    if (NO_KERNEL) return
    using engine = kernelEngine()
    using loaded = await engine.load(spec)
    expect(loaded.progs.size).toBe(spec.programs.length)
  })
})
