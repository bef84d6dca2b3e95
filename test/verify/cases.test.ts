import { afterAll, describe, expect, it } from 'vitest'
import { kernelEngine, kernelSupport } from '../../src/engine/kernel/index.ts'
import { verify } from '../../src/verify/index.ts'
import { CASES } from './cases.ts'
import { kernelAccepts } from './kernel.ts'
import { assembled, PLATFORM } from './programs.ts'

describe('the corpus', () => {
  it.each(CASES)('$file: $name ($verdict: $why)', ({ type, verdict, message, text }) => {
    const [{ ok, diagnostic }] = verify(assembled(text, type), PLATFORM)
    expect(ok ? 'accept' : diagnostic?.code).toBe(verdict)
    if (message !== undefined) expect(diagnostic?.message).toContain(message)
  })
})

const support = kernelSupport('xdp')
const recent = support.ok && (support.version[0] > 6 || (support.version[0] === 6 && support.version[1] >= 18))
const skipped = support.ok ? 'the corpus is for Linux 6.18 and later' : support.missing.message

describe.skipIf(!recent)(`the kernel's verdict on the corpus${recent ? '' : ` (skipped: ${skipped})`}`, () => {
  const engine = kernelEngine()
  afterAll(() => engine[Symbol.dispose]())

  it.each(CASES.filter(({ verdict }) => verdict !== 'verify/not-yet'))(
    '$file: $name',
    async ({ type, verdict, text }) => {
      expect(await kernelAccepts(engine, assembled(text, type))).toBe(verdict === 'accept')
    },
  )
})
