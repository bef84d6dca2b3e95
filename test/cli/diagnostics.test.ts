// Bad input, as a user gives it and as a user reads the answer: one line of what is wrong, the source line with a
// caret, what to do, and a non-zero exit.

import { describe, expect, it } from 'vitest'
import { Diagnostic } from '../../src/diag/index.ts'
import { kernelEngine } from '../../src/engine/kernel/index.ts'
import { compileSource } from '../../src/sdk/source.ts'
import { userEnginePlatform } from '../../src/sdk/user-platform.ts'
import { NO_KERNEL, Scratch, SKIPPED, waggle } from './waggle.ts'

const HEAD = `import { comm, config, hash, i64, ktime, pid, ringbuf, str, struct, tracepoint, u32, u64, u8, XDP, xdp } from 'waggle'\n`

/** What `waggle verify` says to a probe, for the user engine, so that it needs no kernel. */
function judge(body: string, target = 'user'): { status: number | null; text: string } {
  using scratch = new Scratch()
  const file = scratch.write('probe.ts', HEAD + body)
  const { status, stderr } = waggle(['verify', file, '--target', target])
  return { status, text: stderr.replaceAll(`${scratch.path}/`, '') }
}

interface Case {
  readonly name: string
  readonly body: string
  /** Of the probe, counting the import as line 1. */
  readonly line: number
  /** What is under the caret. */
  readonly caret?: string
  readonly says: RegExp
  readonly help: RegExp
}

const CASES: readonly Case[] = [
  {
    name: 'a syntax error',
    body: 'export const onPacket = xdp((ctx) => {\n  return XDP.PASS +\n})\n',
    line: 4,
    says: /Expression expected/,
    help: /./,
  },
  {
    name: 'a TypeScript error',
    body: "export const counts = hash(u32, u64, 16)\nexport const onPacket = xdp((ctx) => {\n  counts.inc('five')\n  return XDP.PASS\n})\n",
    line: 4,
    caret: "'five'",
    says: /Argument of type 'string' is not assignable/,
    help: /./,
  },
  {
    name: 'an unsupported construct',
    body: 'export const onPacket = xdp((ctx) => {\n  try { return XDP.PASS } catch { return XDP.DROP }\n})\n',
    line: 3,
    says: /try/,
    help: /./,
  },
  {
    name: 'a captured variable',
    body: 'let limit = 5\nexport const onPacket = xdp((ctx) => {\n  return ctx.length > limit ? XDP.DROP : XDP.PASS\n})\n',
    line: 4,
    caret: 'limit',
    says: /limit/,
    help: /const|config/,
  },
  {
    name: 'an unbounded loop',
    body: 'export const onPacket = xdp((ctx) => {\n  let n = 1\n  while (n !== 0) n += 2\n  return n\n})\n',
    line: 4,
    says: /loop/,
    help: /compared with a constant/,
  },
  {
    name: 'a missing null check',
    body: 'export const counts = hash(u32, u64, 16)\nexport const onPacket = xdp((ctx) => {\n  return counts.get(1) > 5 ? XDP.DROP : XDP.PASS\n})\n',
    line: 4,
    caret: 'counts.get(1)',
    says: /undefined/,
    help: /undefined/,
  },
  {
    name: 'a null check that was asserted away',
    body: 'export const counts = hash(u32, u64, 16)\nexport const onPacket = xdp((ctx) => {\n  return counts.get(1)! > 5 ? XDP.DROP : XDP.PASS\n})\n',
    line: 4,
    says: /counts/,
    help: /undefined/,
  },
  {
    name: 'an out-of-bounds packet read',
    body: 'export const onPacket = xdp((ctx) => {\n  if (!ctx.has(34)) return XDP.PASS\n  return ctx.u32(34) === 1 ? XDP.DROP : XDP.PASS\n})\n',
    line: 4,
    says: /34/,
    help: /has\(38\)/,
  },
  {
    name: 'a division that cannot be typed',
    body: 'export const onPacket = xdp((ctx) => {\n  const a = i64(ktime())\n  const b = u64(ctx.length)\n  return u32(a / b)\n})\n',
    line: 5,
    says: /sign/,
    help: /i64|u64/,
  },
  {
    name: 'a stack over 512 bytes',
    body: "export const Big = struct({ a: str(300), b: str(300) })\nexport const bigs = hash(u32, Big, 16)\nexport const onPacket = xdp((ctx) => {\n  bigs.set(1, { a: 'x', b: 'y' })\n  return XDP.PASS\n})\n",
    line: 4,
    says: /512/,
    help: /./,
  },
]

describe('waggle verify refuses', () => {
  it.each(CASES)('$name', ({ body, line, caret, says, help }) => {
    const { status, text } = judge(body)
    expect(status).toBe(1)
    expect(text.split('\n')[0]).toMatch(/^error\[[a-z]+\/[A-Za-z0-9-]+\]: /)
    expect(text).toContain(`--> probe.ts:${line}:`)
    expect(text).toMatch(says)
    const source = (HEAD + body).split('\n')[line - 1]
    expect(text).toContain(` | ${source}`)
    const carets = /\| ( *)(\^+)/.exec(text)
    expect(carets).not.toBeNull()
    if (caret) expect(source.slice(carets![1].length, carets![1].length + carets![2].length)).toBe(caret)
    expect(text).toMatch(new RegExp(`help: [^]*${help.source}`))
  })

  it.skipIf(NO_KERNEL)(`an unknown tracepoint, with the nearest names${SKIPPED}`, () => {
    const { status, text } = judge("export const onExec = tracepoint('sched/sched_process_exce', () => {})\n", 'kernel')
    expect(status).toBe(1)
    expect(text).toContain('sched_process_exce')
    expect(text).toContain('sched/sched_process_exec')
    expect(text).toMatch(/\^+/)
  })

  it('several at once', () => {
    const { text } = judge(
      'let a = 1\nlet b = 2\nexport const one = xdp((ctx) => (ctx.length > a ? XDP.DROP : XDP.PASS))\nexport const two = xdp((ctx) => (ctx.length > b ? XDP.DROP : XDP.PASS))\n',
    )
    expect(text.match(/^error/gm)?.length).toBe(2)
  })
})

describe.skipIf(NO_KERNEL)(`the kernel refuses what our verifier was not asked about${SKIPPED}`, () => {
  it('and its refusal points at the TypeScript line, with its log kept', async () => {
    const text = `${HEAD}export const counts = hash(u32, u64, 16)\nexport const onPacket = xdp((ctx) => {\n  return counts.get(1)! > 5 ? XDP.DROP : XDP.PASS\n})\n`
    const spec = await compileSource('probe.ts', text, userEnginePlatform())
    using engine = kernelEngine()
    const refusal = await engine.load(spec).then(
      () => undefined,
      (error: unknown) => error,
    )
    expect(refusal).toBeInstanceOf(Diagnostic)
    const { at, log, code } = refusal as Diagnostic
    expect(code).toMatch(/^kernel\//)
    expect(at).toMatchObject({ file: 'probe.ts', line: 4, text: '  return counts.get(1)! > 5 ? XDP.DROP : XDP.PASS' })
    expect(log).toContain('; return counts.get(1)! > 5 ? XDP.DROP : XDP.PASS @ probe.ts:4')
  })
})

describe('waggle run refuses', () => {
  it('a file that is not there, with the nearest names', () => {
    const { status, stderr } = waggle(['run', 'examples/exec-conut.ts', '--pcap', 'examples/data/mixed.pcap'])
    expect(status).toBe(1)
    expect(stderr).toContain('there is no file examples/exec-conut.ts')
    expect(stderr).toContain('exec-count.ts')
  })

  it('a folder and a file of another kind', () => {
    expect(waggle(['run', 'package.json']).stderr).toContain('package.json is neither a TypeScript file')
    using scratch = new Scratch()
    expect(waggle(['run', 'examples/packet-count.ts', '--pcap', scratch.path]).stderr).toContain('is a folder')
  })

  it('a truncated capture, after showing what came before the cut', async () => {
    const { readFileSync } = await import('node:fs')
    using scratch = new Scratch()
    const whole = readFileSync('examples/data/mixed.pcap')
    const file = scratch.write('cut.pcap', whole.subarray(0, whole.length - 7))
    const { status, stderr, lines } = waggle(['run', 'examples/packet-count.ts', '--pcap', file])
    expect(status).toBe(1)
    expect(stderr).toMatch(/error\[capture\/[a-z-]+\]/)
    expect(stderr).toMatch(/byte|offset/)
    expect(stderr).toContain('help: ')
    expect(lines.some(({ type, final }) => type === 'map' && final === true)).toBe(true)
  })

  it('something that is no capture', () => {
    const { status, stderr } = waggle(['run', 'examples/packet-count.ts', '--pcap', 'package.json'])
    expect(status).toBe(1)
    expect(stderr).toMatch(/pcap/)
  })

  it('mistakes in the command line, with status 2', () => {
    for (const [args, says] of [
      [['run'], 'wants a file'],
      [['rnu', 'x.ts'], 'did you mean waggle run?'],
      [['run', 'x.ts', '--durration', '5s'], 'did you mean --duration?'],
      [['run', 'x.ts', '--duration', 'soon'], '--duration wants a time'],
      [['run', 'x.ts', 'y.ts'], 'takes one file'],
      [['run', 'x.ts', '--'], 'no command after --'],
      [['prog'], 'waggle prog dump'],
    ] as const) {
      const { status, stderr } = waggle(args)
      expect([args, status]).toEqual([args, 2])
      expect(stderr).toContain(says)
    }
  })

  it('as JSON, where that is asked for', () => {
    const { status, lines } = waggle(['run', 'nowhere.ts', '--json', '--pcap', 'x.pcap'])
    expect(status).toBe(1)
    expect(lines).toEqual([expect.objectContaining({ type: 'error', code: 'cli/no-file' })])
  })
})
