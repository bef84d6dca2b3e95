import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { BIN, finalMap, NO_KERNEL, ROOT, Running, Scratch, SKIPPED, waggle } from './waggle.ts'

const EXEC_COUNT = 'examples/exec-count.ts'
const LOOP = ['sh', '-c', 'for i in 1 2 3; do /bin/true; done']

/** Names of BPF programs that any process holds open, read from the descriptors of this kernel's processes. */
function programsHeldBy(pid: number): string[] {
  const names: string[] = []
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      if (readlinkSync(`/proc/${pid}/fd/${fd}`) === 'anon_inode:bpf-prog') names.push(fd)
    } catch {
      // Closed in between.
    }
  }
  return names
}

describe.skipIf(NO_KERNEL)(`waggle run, in the kernel${SKIPPED}`, () => {
  it('follows only the process tree of its command, and misses none of it', () => {
    for (let round = 0; round < 5; round++) {
      const { status, lines, stderr } = waggle(['run', EXEC_COUNT, '--', ...LOOP])
      expect(stderr).toBe('')
      expect(status).toBe(0)
      expect(finalMap(lines, 'counts')).toEqual(
        new Map([
          ['sh', 1],
          ['true', 3],
        ]),
      )
    }
  })

  it('follows grandchildren and processes whose parent has ended', () => {
    const orphan = "(sh -c '(/bin/true; /bin/true) &'); sleep 0.2; /bin/true"
    const { lines } = waggle(['run', EXEC_COUNT, '--', 'sh', '-c', orphan])
    expect(finalMap(lines, 'counts')).toEqual(
      new Map([
        ['sh', 2],
        ['true', 3],
        ['sleep', 1],
      ]),
    )
  })

  it("passes the command's exit status on", () => {
    expect(waggle(['run', EXEC_COUNT, '--', 'sh', '-c', 'exit 42']).status).toBe(42)
    expect(waggle(['run', EXEC_COUNT, '--', 'sh', '-c', 'kill -KILL $$']).status).toBe(137)
  })

  it('says so when the command is not there', () => {
    const { status, stdout } = waggle(['run', EXEC_COUNT, '--', 'no-such-command-here'])
    expect(status).toBe(127)
    expect(stdout).toContain("there is no command 'no-such-command-here'")
  })

  it("keeps standard output for JSON: the command's goes to standard error", () => {
    const { stdout, stderr } = waggle(['run', EXEC_COUNT, '--', 'echo', 'hello'])
    expect(stdout).not.toContain('hello\n')
    expect(stderr).toBe('hello\n')
  })

  it('says what it runs on and how long it took to get there', () => {
    const { lines } = waggle(['run', EXEC_COUNT, '--', 'true'])
    expect(lines[0]).toMatchObject({
      type: 'started',
      file: EXEC_COUNT,
      sources: ['tracepoint:sched:sched_process_exec'],
    })
    const release = readFileSync('/proc/sys/kernel/osrelease', 'utf8')
    expect(lines[0].engine).toBe(`kernel ${/^[\d.]+/.exec(release)?.[0]}`)
    expect(lines[0].sourceToAttachedMs).toBeGreaterThan(0)
  })

  it('ends by itself after --duration', () => {
    const { status, lines } = waggle(['run', EXEC_COUNT, '--duration', '300ms'])
    expect(status).toBe(0)
    expect(lines.at(-1)).toMatchObject({ type: 'ended', reason: 'the time is over' })
  })

  it.each([
    ['SIGINT', 'interrupted'],
    ['SIGTERM', 'terminated'],
    ['SIGHUP', 'the terminal was closed'],
  ] as const)('on %s it detaches, prints the final table and ends with 0', async (signal, reason) => {
    const run = new Running(['run', EXEC_COUNT])
    await run.until('"started"')
    expect(programsHeldBy(run.child.pid!)).not.toEqual([])
    run.child.kill(signal)
    expect(await run.exited).toEqual({ status: 0, signal: null })
    expect(run.lines.at(-1)).toMatchObject({ type: 'ended', reason })
    expect(run.lines.some(({ type, final }) => type === 'map' && final === true)).toBe(true)
  })

  it('ends when nobody reads its output any more', async () => {
    const run = new Running(['run', 'examples/exec-events.ts'])
    await run.until('"started"')
    run.child.stdout?.destroy()
    waggle(['--version']) // an execution of our own makes an event, and that a write
    expect((await run.exited).status).toBe(0)
  })

  it('shows events as they come, and none is lost uncounted', () => {
    const { lines } = waggle(['run', 'examples/exec-events.ts', '--', ...LOOP])
    const events = lines.filter(({ type }) => type === 'event').map(({ data }) => data as Record<string, unknown>)
    expect(events.map(({ comm }) => comm)).toEqual(['sh', 'true', 'true', 'true'])
    expect(events.map(({ filename }) => filename)).toEqual([
      expect.stringMatching(/\/sh$/),
      '/bin/true',
      '/bin/true',
      '/bin/true',
    ])
    expect(lines.at(-1)).toMatchObject({ type: 'ended', events: [{ map: 'execs', received: 4, lost: 0 }] })
  })

  it('counts what did not fit: seen + lost = made', () => {
    using scratch = new Scratch()
    const file = scratch.write(
      'full.ts',
      `import { hash, pid, ringbuf, str, struct, tid, tracepoint, u32, u64, ktime } from 'waggle'
export const Big = struct({ time: u64, text: str(1000) })
export const events = ringbuf(Big, 4096)
export const small = hash(u64, u32, 2)
export const onExec = tracepoint('sched/sched_process_exec', () => {
  for (let i = 0; i < 50; i++) events.emit({ time: ktime(), text: 'x' })
  small.inc(ktime())
})
`,
    )
    const { lines, stderr } = waggle(['run', file, '--', ...LOOP])
    expect(stderr).toBe('')
    const ended = lines.at(-1) as unknown as { events: [{ received: number; lost: number }] }
    const [{ received, lost }] = ended.events
    expect(received + lost).toBe(4 * 50)
    expect(lost).toBeGreaterThan(0)
    const small = lines.findLast(({ type, map }) => type === 'map' && map === 'small') as unknown as {
      entries: unknown[]
      lost: number
    }
    expect(small.entries.length + small.lost).toBe(4)
  })

  it('takes config values from the command line', () => {
    using scratch = new Scratch()
    const file = scratch.write(
      'set.ts',
      `import { comm, config, hash, str, tracepoint, u64 } from 'waggle'
export const step = config(u64, 1)
export const counts = hash(str(16), u64, 64)
export const onExec = tracepoint('sched/sched_process_exec', () => counts.inc(comm(), step.value))
`,
    )
    const { lines } = waggle(['run', file, '--set', 'step=1_000', '--', ...LOOP])
    expect(finalMap(lines, 'counts').get('true')).toBe(3000)
    const wrong = waggle(['run', file, '--set', 'stop=1', '--', 'true'])
    expect(wrong.status).toBe(1)
    expect(wrong.stderr).toContain('did you mean step?')
    expect(waggle(['run', file, '--set', 'step=-1', '--', 'true']).stderr).toContain(
      'a whole number from 0 to 18446744073709551615',
    )
  })

  it('runs a compiled probe again from its cache, with the same result', () => {
    using scratch = new Scratch()
    const env = { WAGGLE_CACHE_DIR: scratch.path }
    const first = waggle(['run', EXEC_COUNT, '--', ...LOOP], { env })
    const second = waggle(['run', EXEC_COUNT, '--', ...LOOP], { env })
    expect([first, second].map(({ lines }) => lines[0].cached)).toEqual([false, true])
    expect(finalMap(second.lines, 'counts')).toEqual(finalMap(first.lines, 'counts'))
  })

  it.skipIf(process.geteuid?.() !== 0)('works in a PID namespace of its own (needs root to make one)', () => {
    const { status, lines, stderr } = waggle(['run', EXEC_COUNT, '--', ...LOOP], {
      wrapper: ['unshare', '--pid', '--fork', '--mount-proc'],
    })
    expect(stderr).toBe('')
    expect(status).toBe(0)
    expect(finalMap(lines, 'counts')).toEqual(
      new Map([
        ['sh', 1],
        ['true', 3],
      ]),
    )
  })
})

const NO_PTY = spawnSync('script', ['--version']).error ? ' (skipped: no script(1) to make a terminal with)' : ''

describe.skipIf(NO_KERNEL || NO_PTY)(`waggle run, in a terminal${SKIPPED}${NO_PTY}`, () => {
  const inTerminal = (command: string) =>
    spawnSync('script', ['-qec', `${process.execPath} ${BIN} ${command}`, '/dev/null'], {
      cwd: ROOT,
      encoding: 'utf8',
      env: { ...process.env, WAGGLE_CACHE_DIR: '', NO_COLOR: '1' },
    })

  it('shows tables, and leaves the final one', () => {
    const { stdout, status } = inTerminal(`run ${EXEC_COUNT} -- sh -c 'for i in 1 2 3; do /bin/true; done'`)
    expect(status).toBe(0)
    expect(stdout).toMatch(/waggle examples\/exec-count.ts on kernel [\d.]+, source to attached in [\d.]+ ms/)
    expect(stdout).toMatch(/counts {2}2 keys, 4 in total\r\n {2}true {2}3 {2}█+\r\n {2}sh {4}1 {2}█+\r\n/)
    expect(stdout).toContain('the command ended')
  })

  it('draws the live view until its time is over', () => {
    const { stdout, status } = inTerminal(`run ${EXEC_COUNT} --duration 500ms --interval 100ms`)
    expect(status).toBe(0)
    expect(stdout).toContain('Ctrl-C ends it')
    expect(stdout).toContain('\x1b[J')
    expect(stdout).toContain('the time is over')
  })
})

describe('the bundle', () => {
  it('is what is tested', () => {
    expect(readdirSync(`${ROOT}/dist`)).toContain('cli.js')
  })
})
