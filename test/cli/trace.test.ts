// waggle run --trace and --coverage over a capture.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Scratch, waggle } from './waggle.ts'

const PROBE = 'examples/packet-count.ts'
const OVER = ['--pcap', 'examples/data/mixed.pcap']

describe('waggle run --trace', () => {
  it('prints source lines, instructions and what they changed', () => {
    using scratch = new Scratch()
    const output = join(scratch.path, 'trace.txt')
    const { status, stdout } = waggle(['run', PROBE, ...OVER, '--trace', '--output', output])
    expect([status, stdout]).toEqual([0, ''])
    const text = readFileSync(output, 'utf8')
    expect(text).toMatch(
      /^packet 1, \d+ bytes, through xdp onPacket\n; export const onPacket = .* @ examples\/packet-count.ts:12\n/,
    )
    expect(text).toMatch(/^ +\d+: \(61\) r\d = \*\(u32 \*\)\(r1 \+ 0\) +; R\d=pkt\(\)$/m)
    expect(text).toMatch(/\nPASS after \d+ instructions\n$/)
  })

  it('prints JSON, from which the run can be followed', () => {
    const { lines } = waggle(['run', PROBE, ...OVER, '--trace', '--packet', '5', '--json'])
    const [trace, ...steps] = lines
    const verdict = steps.pop()
    expect(trace).toMatchObject({ type: 'trace', program: 'onPacket', packet: 5 })
    expect(verdict).toEqual({ type: 'verdict', verdict: 'PASS', steps: steps.length })
    expect(steps.map(({ position }) => position)).toEqual(steps.map((_, i) => i))
    expect(steps.at(-2)).toMatchObject({ insn: 'r0 = 2', registers: { r0: '0x2' }, at: { file: PROBE } })
  })

  it('begins with the maps as the packets before have left them', () => {
    const code =
      '.section xdp\n.map n array 4 8 1\n*(u32 *)(r10 - 4) = 0\nr2 = r10\nr2 += -4\nr1 = map[n] ll\ncall map_lookup_elem\nif r0 == 0 goto out\nr1 = 1\nr1 = atomic_fetch_add((u64 *)(r0 + 0), r1)\nout: r0 = 2\nexit\n'
    using scratch = new Scratch()
    const file = scratch.write('n.asm', code)
    const { stdout } = waggle(['run', file, ...OVER, '--trace', '--packet', '8'])
    expect(stdout).not.toContain('"type"')
    expect(stdout).toMatch(/atomic_fetch_add.*; R1=7\n/)
  })

  it('says how many packets there are to choose from', () => {
    const { status, stderr } = waggle(['run', PROBE, ...OVER, '--trace', '--packet', '9999'])
    expect(status).toBe(1)
    expect(stderr).toMatch(/has 495 packets, and no packet 9999/)
  })

  it.each([
    [['--trace'], /--trace wants a capture/],
    [['--coverage'], /--coverage wants a capture/],
    [[...OVER, '--trace', '--packet', '0'], /--packet counts from 1/],
  ])('refuses %j', (more, says) => {
    const { status, stderr } = waggle(['run', PROBE, ...more])
    expect(status).toBe(2)
    expect(stderr).toMatch(says)
  })
})

describe('waggle run --coverage', () => {
  it('says how often each line ran, as JSON', () => {
    const { lines } = waggle(['run', PROBE, ...OVER, '--coverage', '--json'])
    const ended = lines.find(({ type }) => type === 'ended') as unknown as { verdicts: { PASS: number } }
    const counts = new Map(lines.filter(({ type }) => type === 'coverage').map(({ line, count }) => [line, count]))
    expect(counts.get(13)).toBe(ended.verdicts.PASS)
    const tagged = lines.find(({ type, map }) => type === 'map' && map === 'vlans') as unknown as {
      entries: { value: { packets: number } }[]
    }
    // A line of a function that is inlined in two places.
    const protocols = lines.find(({ type, map }) => type === 'map' && map === 'protocols') as unknown as typeof tagged
    expect(counts.get(39)).toBe(protocols.entries.reduce((sum, { value }) => sum + value.packets, 0))
    expect(counts.get(16)).toBe(tagged.entries.reduce((sum, { value }) => sum + value.packets, 0))
  })

  it('marks kernel code that never ran, and nothing else', () => {
    const probe = `import { XDP, xdp } from 'waggle'

export const onPacket = xdp((ctx) => {
  if (ctx.length > 60000) {
    return XDP.DROP
  }
  return XDP.PASS
})
`
    using scratch = new Scratch()
    const output = join(scratch.path, 'coverage.txt')
    const { status } = waggle(['run', scratch.write('p.ts', probe), ...OVER, '--coverage', '-o', output])
    expect(status).toBe(0)
    const marked = readFileSync(output, 'utf8')
      .split('\n')
      .filter((line) => /^\d+ +! /.test(line))
    expect(marked).toHaveLength(1)
    expect(marked[0]).toContain('return XDP.DROP')
  })
})
