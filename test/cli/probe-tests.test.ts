// waggle test: the tests of the bundled example, and what it says of tests that fail or are none.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it } from 'vitest'
import { NO_KERNEL, ROOT, Scratch, SKIPPED, waggle } from './waggle.ts'

const EXAMPLE = 'examples/packet-count.test.ts'
const HEAD = "import assert from 'node:assert/strict'\nimport { packet, probe, test } from 'waggle/test'\n"

const PROBE = `import { arrayMap, config, ktime, pid, rawTracepoint, ringbuf, struct, u32, u64, XDP, xdp } from 'waggle'

export const Seen = struct({ pid: u32, at: u64, first: u64 })
export const seen = ringbuf(Seen, 4096)
export const longest = config(u32, 100)
export const calls = arrayMap(u64, 1)

export const onPacket = xdp((ctx) => {
  if (ctx.length > longest.value) return XDP.DROP
  return XDP.PASS
})

export const onSwitch = rawTracepoint('sched_switch', (ctx) => {
  calls.inc(0)
  seen.emit({ pid: pid(), at: ktime(), first: ctx.arg(0) })
})
`

/** Runs test cases about the probe above, in a folder without any package.json. */
function judge(cases: string, ...more: string[]) {
  using scratch = new Scratch()
  scratch.write('p.ts', PROBE)
  const file = scratch.write(
    'p.test.ts',
    `${HEAD}export default probe(new URL('./p.ts', import.meta.url), [\n${cases}\n])\n`,
  )
  const { status, stdout, stderr, lines } = waggle(['test', file, ...more])
  return { status, stdout: stdout.replaceAll(`${scratch.path}/`, ''), stderr, lines }
}

describe('waggle test', () => {
  it('runs the tests of the bundled example', () => {
    const { status, stdout, stderr } = waggle(['test', EXAMPLE])
    expect(stderr).toBe('')
    expect(status).toBe(0)
    expect(stdout).toMatch(/✓ IPv6 counts as IPv4 does/)
    expect(stdout).toMatch(/\n5 passed, \d+ ms\n$/)
  })

  it('gives each case a probe of its own, with the config and the world that it asks for', () => {
    const { status, stdout, stderr } = judge(`
  test('packets', (run) => {
    assert.equal(run.packet(packet.udp(), 'onPacket').verdict, 'PASS')
    assert.equal(run.packet(packet.udp({ payload: 'x'.repeat(100) }), 'onPacket').verdict, 'DROP')
  }),
  test('config', { set: { longest: 10 } }, (run) => {
    assert.equal(run.packet(packet.udp(), 'onPacket').verdict, 'DROP')
  }),
  test('contexts and events', { now: 1234n, pid: 42 }, async (run) => {
    const words = new Uint8Array(96)
    words[0] = 7
    run.context(words, 'onSwitch')
    await null
    assert.deepEqual(run.events('seen'), [{ pid: 42, at: 1234n, first: 7n }])
    assert.deepEqual(run.events('seen'), [])
    assert.equal(run.map('calls').get(0), 1n)
  }),
  test('fresh maps', (run) => {
    assert.equal(run.map('calls').get(0), 0n)
    run.map('calls').set(0, 9n)
    assert.equal(run.map('calls').get(0), 9n)
  }),`)
    expect(stderr).toBe('')
    expect([status, stdout.match(/✓/g)?.length]).toEqual([0, 4])
  })

  it.skipIf(NO_KERNEL)(`runs a tracepoint's program on a record${SKIPPED}`, () => {
    using scratch = new Scratch()
    const probe = pathToFileURL(join(ROOT, 'examples/exec-count.ts'))
    const cases = `test('counts', { comm: 'sh' }, (run) => {
  run.context(new Uint8Array(64))
  assert.deepEqual(run.map('counts').entries(), [['sh', 1n]])
})`
    const file = scratch.write('t.test.ts', `${HEAD}export default probe('${probe.href}', [${cases}])\n`)
    const { status, stdout, stderr } = waggle(['test', file])
    expect([status, stderr]).toEqual([0, ''])
    expect(stdout).toContain('✓ counts')
  })

  it('shows what failed and where, and fails itself', () => {
    const { status, stdout } = judge(`
  test('good', () => {}),
  test('bad', (run) => {
    assert.equal(run.packet(packet.udp(), 'onPacket').verdict, 'DROP')
  }),
  test('wrong map', (run) => {
    run.map('call')
  }),
  test('no program', (run) => {
    run.packet(packet.udp())
  }),`)
    expect(status).toBe(1)
    expect(stdout).toMatch(/✗ bad .*\n {6}Expected values to be strictly equal:/)
    expect(stdout).toMatch(/at .*p\.test\.ts:7:12/)
    expect(stdout).toContain('did you mean calls?')
    expect(stdout).toContain('onPacket, onSwitch')
    expect(stdout).toContain('1 passed, 3 failed')
  })

  it('prints JSON', () => {
    const { status, lines } = judge("  test('good', () => {}),\n  test('bad', () => assert.fail('no')),", '--json')
    expect(status).toBe(1)
    expect(lines).toMatchObject([
      { type: 'test', name: 'good', ok: true },
      { type: 'test', name: 'bad', ok: false, error: { message: 'no' } },
      { type: 'summary', passed: 1, failed: 1 },
    ])
  })

  it('runs what is asked for, and says so if that is nothing', () => {
    const good = "  test('good', () => {}),\n  test('bad', () => assert.fail('no')),"
    expect(judge(good, '--name', 'goo')).toMatchObject({ status: 0 })
    const none = judge(good, '--name', 'ugly')
    expect(none.status).toBe(1)
    expect(none.stderr).toContain("no test has 'ugly' in its name")
  })

  it('shows the coverage of all cases', () => {
    using scratch = new Scratch()
    const output = join(scratch.path, 'coverage.txt')
    expect(waggle(['test', EXAMPLE, '--coverage', '-o', output]).status).toBe(0)
    const marked = readFileSync(output, 'utf8')
      .split('\n')
      .filter((line) => /^\d+ +! /.test(line))
    expect(marked).toHaveLength(1)
    expect(marked[0]).toContain('if (udp) countPorts')
    const { lines } = waggle(['test', EXAMPLE, '--coverage', '--json'])
    expect(lines.find(({ type, line }) => type === 'coverage' && line === 13)).toMatchObject({ count: 6 })
  })

  it('refuses what are no tests', () => {
    using scratch = new Scratch()
    const none = waggle(['test', scratch.write('a.test.ts', 'export default 5\n')])
    expect([none.status, none.stderr.includes('does not export tests of a probe')]).toEqual([1, true])
    const broken = waggle(['test', scratch.write('b.test.ts', "throw new Error('not today')\n")])
    expect([broken.status, broken.stderr.includes('b.test.ts: not today')]).toEqual([1, true])
    const missing = waggle(['test', 'examples/packet-cont.test.ts'])
    expect([missing.status, missing.stderr.includes('did you mean packet-count.test.ts')]).toEqual([1, true])
    expect(waggle(['test']).status).toBe(2)
  })

  it('shows a probe that does not compile as verify does', () => {
    using scratch = new Scratch()
    scratch.write('p.ts', "import { xdp } from 'waggle'\nexport const p = xdp(() => nothing)\n")
    const text = `${HEAD}export default probe(new URL('./p.ts', import.meta.url), [test('x', () => {})])\n`
    const { status, stderr } = waggle(['test', scratch.write('p.test.ts', text)])
    expect(status).toBe(1)
    expect(stderr).toMatch(/p\.ts:2:28/)
  })
})
