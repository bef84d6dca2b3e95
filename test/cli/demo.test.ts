import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { finalMap, NO_KERNEL, Running, SKIPPED, waggle } from './waggle.ts'

/** The user and group `nobody`: no capabilities at all. */
const NOBODY = 65534

describe('waggle demo', () => {
  it.skipIf(NO_KERNEL)(`counts what this test executes${SKIPPED}`, async () => {
    const run = new Running(['demo', '--json', '--interval', '100ms'])
    await run.until('"started"')
    for (let i = 0; i < 3; i++) waggle(['--version'])
    run.child.kill('SIGINT')
    expect((await run.exited).status).toBe(0)
    // The whole system is counted: others may run the same programs, but not fewer than these.
    expect(finalMap(run.lines, 'counts').get('node')).toBeGreaterThanOrEqual(3)
  })

  it.skipIf(process.geteuid?.() !== 0)(
    'without privileges, says what is missing and counts the bundled capture (needs root to become nobody)',
    () => {
      const { status, lines, stderr } = waggle(['demo', '--json'], { uid: NOBODY, env: { HOME: '/nonexistent' } })
      expect(stderr).toBe('')
      expect(status).toBe(0)
      const [warning, started] = lines
      expect(warning.type).toBe('warning')
      expect(warning.message).toMatch(/CAP_BPF|CAP_SYS_ADMIN|bpf\(2\)|Linux/)
      expect(warning.message).not.toContain('\n')
      expect(started).toMatchObject({ type: 'started', engine: expect.stringContaining('user engine') })
      expect(finalMap(lines, 'protocols').get('tcp')).toMatchObject({ packets: expect.any(Number) })
    },
  )

  const noSetpriv = spawnSync('setpriv', ['--version']).error
    ? 'no setpriv(1)'
    : NO_KERNEL || (process.geteuid?.() !== 0 ? 'needs root' : '')
  it.skipIf(noSetpriv)(
    `with the capabilities but without tracefs, says that${noSetpriv && ` (skipped: ${noSetpriv})`}`,
    () => {
      const capabilities = '+bpf,+perfmon'
      const wrapper = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups']
      wrapper.push(`--inh-caps=${capabilities}`, `--ambient-caps=${capabilities}`)
      const { status, lines } = waggle(['demo', '--json', '--duration', '2s'], {
        wrapper,
        env: { HOME: '/nonexistent' },
      })
      expect(status).toBe(0)
      expect(lines[0]).toMatchObject({ type: 'warning', message: expect.stringContaining('tracefs') })
      expect(lines.at(-1)).toMatchObject({ type: 'ended', reason: 'the capture is read' })
    },
  )
})

describe('the manual', () => {
  it.each(['', 'run', 'demo', 'verify', 'prog dump'])('waggle %s --help', (name) => {
    const { status, stdout } = waggle([...name.split(' ').filter(Boolean), '--help'])
    expect(status).toBe(0)
    for (const section of ['NAME', 'SYNOPSIS', 'DESCRIPTION', 'OPTIONS', 'EXAMPLES'])
      expect(stdout).toContain(`\n${section}\n`.slice(section === 'NAME' ? 1 : 0))
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(110)
    expect(waggle(['help', ...name.split(' ').filter(Boolean)]).stdout).toBe(stdout)
  })
})
