import { describe, expect, it } from 'vitest'
import { compileText, complaints } from './testing.ts'

// One case for each way to be refused: the code to put into a tracepoint program, and what a person reads.

const IMPORTS = `import { arrayMap, comm, config, hash, i64, ktime, pid, ringbuf, str, struct, tid, tracepoint, u32, u64, u8, xdp, XDP } from 'waggle'
export const Pair = struct({ a: u32, b: u64 })
export const counts = hash(u32, u64, 16)
export const pairs = hash(u32, Pair, 16)
export const cells = arrayMap(u64, 4)
export const events = ringbuf(Pair, 4096)
export const limit = config(u64, 10)
let seen = 0
const started = Date.now()
`
const probe = (body: string): string => `${IMPORTS}
export const onExec = tracepoint('sched/sched_process_exec', (ctx) => {
  ${body}
})
`

const CASES: readonly [what: string, body: string, ...says: string[]][] = [
  ['a regular expression', 'const a = /x/', 'compile/unsupported', 'a regular expression cannot be used', '^^^'],
  ['a float', 'cells.set(0, 1.5)', 'a number with a fraction', 'count in a smaller unit'],
  ['a template literal', 'const a = `x`', 'a template literal', 'write it as a plain string'],
  ['a class', 'class A {}', 'a class cannot be used', 'struct()'],
  ['new', 'const a = new Map()', 'new cannot be used', 'no heap'],
  ['try', 'try { pid() } catch {}', 'try cannot be used', 'no exceptions'],
  ['throw', 'throw 1', 'throw cannot be used', 'return early'],
  ['await', 'const f = async () => pid()', 'cannot'],
  ['a nested function', 'function f() {}', 'a function inside a function', 'top level'],
  ['destructuring', 'const { a } = { a: 1 }', 'destructuring cannot be used', 'one by one'],
  ['var', 'var a = 1', 'var cannot be used', 'const or let'],
  ['loose equality', 'if (pid() == 1) return', '== cannot be used', 'write ==='],
  ['optional chaining', 'const a = pairs.get(1)?.b', 'optional chaining', 'undefined first'],
  ['null', 'const a = null', 'null cannot be used', 'undefined'],
  ['the power operator', 'const a = pid() ** 2', 'power operator', 'multiply'],
  ['for … in', 'for (const k in ctx) {}', 'for … in', 'for loop'],
  ['joined strings', "const a = comm() + 'x'", 'strings cannot be joined', 'user side'],
  ['console', "console.log('x')", 'console.log does not exist in kernel code', 'ring buffer'],
  ['Date', 'cells.set(0, Date.now())', 'Date.now does not exist', 'ktime()'],
  ['Math', 'cells.set(0, Math.max(1, 2))', 'Math.max does not exist', 'a < b ? a : b'],
  ['a captured let', 'cells.set(0, seen)', 'compile/capture', 'seen cannot be captured', 'config(u64', 'declared here'],
  ['a captured run-time constant', 'cells.set(0, started)', 'compile/capture', 'known only when the user side runs'],
  ['an unknown name', 'cells.set(0, pidd())', 'compile/unknown-name', 'did you mean pid'],
  ['a wrong field of the record', 'const a = ctx.filenam', 'typescript/TS2551', "Did you mean 'filename'?"],
  ['a wrong field of a struct', 'const p = pairs.get(1)\n  if (p) p.c = 1', "Property 'c' does not exist", 'p.c = 1'],
  ['a wrong method', 'counts.increment(1)', "Property 'increment' does not exist"],
  [
    'a missing null check',
    'const t = counts.get(1)\n  cells.set(0, ktime() - t)',
    'possibly',
    'missing null check',
    'if (x === undefined) return',
  ],
  ['an unbounded loop', 'while (true) { cells.inc(0) }', 'compile/unbounded-loop', 'this loop never ends', 'i < 16'],
  ['a loop whose condition never changes', 'let i = 0\n  for (; i < 5; ) { cells.inc(0) }', 'compile/unbounded-loop'],
  [
    'a division that cannot be typed',
    'let a = i64(ktime())\n  cells.set(0, ktime() / a)',
    'compile/division',
    'a division that cannot be typed',
    'u64(x) / u64(y)',
  ],
  ['a comparison of signs', 'if (ktime() < i64(ktime())) return', 'compile/signs', 'i64(x) < i64(y)'],
  ['a literal of more than 64 bits', 'cells.set(0, 0x1_0000_0000_0000_0000)', 'more than 64 bits'],
  ['a missing field', 'events.emit({ a: 1 })', 'compile/missing-field', 'needs a value for b'],
  ['an index out of an array', 'const list = [1, 2]\n  cells.set(0, list[2])', 'from 0 to 1'],
  [
    'a surface function inside a program',
    'const m = hash(u32, u64, 1)',
    'cannot be called inside a program',
    'top level',
  ],
  ['assignment to a constant', 'const a = 1\n  a = 2', 'a is a constant', 'let'],
]

describe('refusals', () => {
  it.each(CASES)('%s', async (_what, body, ...says) => {
    const text = await complaints(probe(body))
    for (const part of says) expect(text).toContain(part)
    expect(text).toContain('-->')
  })

  it('of a stack over 512 bytes name the largest pieces', async () => {
    const text = await complaints(`import { hash, str, struct, tracepoint, u64 } from 'waggle'
export const Big = struct({ a: str(300), b: str(300) })
export const big = hash(Big, u64, 4)
export const onExec = tracepoint('sched/sched_process_exec', (ctx) => {
  big.inc({ a: ctx.filename, b: ctx.filename })
})
`)
    expect(text).toContain('compile/stack')
    expect(text).toContain('a program has 512')
    expect(text).toContain('key of big takes 600 bytes')
  })

  it('of an unknown tracepoint name the nearest', async () => {
    const text = await complaints(`import { tracepoint } from 'waggle'
export const onExec = tracepoint('sched/sched_proces_exec', () => {})
`)
    expect(text).toContain("has no tracepoint 'sched/sched_proces_exec'")
    expect(text).toContain("did you mean 'sched/sched_process_exec'")
    expect(text).toContain('^^^')
  })

  it('of recursion say so', async () => {
    const text = await complaints(`${probe('f(1)')}
function f(n: u32) { f(n) }
`)
    expect(text).toContain('f calls itself')
  })

  it('of an XDP program without a verdict', async () => {
    const text = await complaints(`import { xdp, XDP } from 'waggle'
export const onPacket = xdp((ctx) => {
  if (ctx.length > 100) return XDP.DROP
})
`)
    expect(text).toMatch(/verdict|return/)
  })

  it('of broken syntax come from the parser', async () => {
    expect(await complaints('export const = 1')).toContain('typescript/TS')
  })

  it('of a file without a program', async () => {
    expect(await complaints('export const a = 1\n')).toContain('declares no program')
  })

  it('come all at once', async () => {
    const { diagnostics } = await compileText(probe("console.log('x')\n  cells.set(0, seen)\n  const a = /x/"))
    expect(diagnostics.map(({ code }) => code)).toEqual([
      'compile/unknown-name',
      'compile/capture',
      'compile/unsupported',
    ])
  })

  it('leave the user side alone', async () => {
    const { diagnostics } = await compileText(`${probe('cells.inc(0)')}
import { readFileSync } from 'node:fs'
export const user = () => console.log(new Date(), readFileSync('x'), /x/.test('y'))
`)
    expect(diagnostics).toEqual([])
  })
})
