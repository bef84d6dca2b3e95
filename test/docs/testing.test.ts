// The code in docs/testing.md does what the page says.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, it } from 'vitest'
import { ROOT, Scratch, waggle } from '../cli/waggle.ts'

const text = readFileSync(join(ROOT, 'docs/testing.md'), 'utf8')
const [tests, debug] = [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code)

it('the test passes', () => {
  using scratch = new Scratch()
  const probe = pathToFileURL(join(ROOT, 'examples/packet-count.ts'))
  const file = scratch.write('doc.test.ts', tests.replace("'./packet-count.ts'", `'${probe.href}'`))
  const { status, stdout, stderr } = waggle(['test', file])
  expect([status, stderr]).toEqual([0, ''])
  expect(stdout).toContain('1 passed')
})

it('the debugger goes forward and back', () => {
  // In the package's own folder, so that its name is found.
  const args = ['--input-type=module-typescript', '--eval', debug]
  const { status, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' })
  expect([status, stderr]).toEqual([0, ''])
})

it('the assembly is safe', () => {
  using scratch = new Scratch()
  const code = text.slice(text.indexOf('    .section xdp count')).split('\n\n')[0]
  const { status, stdout } = waggle(['verify', scratch.write('doc.asm', code), '--target', 'user'])
  expect([status, stdout]).toEqual([0, expect.stringContaining('count: safe')])
})
