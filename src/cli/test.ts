// waggle test: runs the tests of probes, each case on a freshly loaded probe in the user engine.

import { existsSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { Diagnostic } from '../diag/diagnostic.ts'
import { Coverage, type Host, userEngine } from '../engine/user/index.ts'
import { configure } from '../object/configure.ts'
import type { ObjectSpec } from '../object/spec.ts'
import { obtain, unreadable, verifySpec } from '../sdk/source.ts'
import { userEnginePlatform } from '../sdk/user-platform.ts'
import type { Platform } from '../spec/platform.ts'
import { ProbeRun, type ProbeTests, type TestCase, type TestOptions } from '../test/index.ts'
import { type Command, lastValue, misuse } from './command.ts'
import { reportCoverage } from './coverage.ts'
import { serveOwnModules } from './modules.ts'
import { openSink, type Sink } from './sink.ts'
import type { Target } from './target.ts'

export const test: Command = {
  name: 'test',
  summary: 'run the tests of probes',
  synopsis: ['waggle test FILE.test.ts ... [OPTION ...]'],
  description: [
    'Runs test files, which are TypeScript that Node executes. Each exports by default what probe() of waggle/test ' +
      'gives: the file of a probe and its cases. The probe is compiled and verified for the user engine, which needs no ' +
      'privileges and no Linux, and loaded anew for each case, with empty maps.',
    "Probes on tracepoints need the descriptions of this machine's kernel, and so the right to read tracefs.",
    'A case puts packets or contexts in and looks at verdicts, maps, events and what was printed. It has failed if ' +
      'it throws: use node:assert, or anything else that throws.',
  ],
  options: [
    { name: 'name', short: 't', value: 'TEXT', help: 'Run only the cases that have this text in their names.' },
    {
      name: 'coverage',
      help: 'Print each probe with how often each line ran in all cases together, a ! where it never did.',
    },
    { name: 'output', short: 'o', value: 'FILE', help: 'Write the coverage to this file.' },
    {
      name: 'json',
      help: 'Print a JSON object a line: test (file, name, ok, ms, error), coverage, and summary at the end.',
    },
  ],
  examples: [
    { command: 'waggle test examples/packet-count.test.ts', help: 'The tests of a bundled example.' },
    {
      command: 'waggle test examples/packet-count.test.ts --coverage',
      help: 'And the lines that they do not come to.',
    },
  ],
  sections: [{ title: 'EXIT STATUS', paragraphs: ['0 if all cases passed, 1 if any failed or could not be run.'] }],
  run: async (args) => {
    const files = args.positionals
    if (files.length === 0) throw misuse(test, 'waggle test wants a test file')
    const json = args.flags.has('json')
    using out = openSink()
    using coverageSink = openSink(lastValue(args, 'output'))
    using _ = serveOwnModules()
    using target = await testTarget()
    const report = json ? new JsonTestReport(out) : new TextTestReport(out)
    const runner = new Runner(report, target.platform, lastValue(args, 'name') ?? '')
    for (const file of files) await runner.file(file)
    runner.end()
    if (args.flags.has('coverage')) for (const coverage of runner.coverage) reportCoverage(coverage, coverageSink, json)
    return runner.failed === 0 ? 0 : 1
  },
}

interface Result {
  readonly name: string
  readonly milliseconds: number
  /** What it threw. */
  readonly error?: unknown
}

interface TestReport {
  file(file: string): void
  result(file: string, result: Result): void
  end(passed: number, failed: number, milliseconds: number): void
}

class Runner {
  failed = 0
  readonly #report: TestReport
  readonly #platform: Platform
  readonly #wanted: string
  #passed = 0
  readonly #began = performance.now()
  /** By the probe's file, so that test files about one probe add up. */
  readonly #coverage = new Map<string, { readonly coverage: Coverage; readonly spec: ObjectSpec }>()

  constructor(report: TestReport, platform: Platform, wanted: string) {
    this.#report = report
    this.#platform = platform
    this.#wanted = wanted
  }

  get coverage(): Coverage[] {
    return [...this.#coverage.values()].map(({ coverage }) => coverage)
  }

  /** Throws a Diagnostic where the file is none of tests or the probe is refused. */
  async file(file: string): Promise<void> {
    const all = await load(file)
    this.#report.file(file)
    for (const { probe, cases } of all) {
      const path = nearPath(fileURLToPath(new URL(probe, pathToFileURL(resolve(file)))))
      const { spec, coverage } = await this.#obtain(path)
      for (const each of cases) {
        if (!each.name.includes(this.#wanted)) continue
        const result = await runCase(spec, this.#platform, coverage, each)
        if ('error' in result) this.failed++
        else this.#passed++
        this.#report.result(file, result)
      }
    }
  }

  /** Throws a Diagnostic if nothing was run: that is no success. */
  end(): void {
    if (this.#passed + this.failed === 0) {
      throw new Diagnostic({
        code: 'cli/no-tests',
        message:
          this.#wanted === '' ? 'there is no test in what was given' : `no test has '${this.#wanted}' in its name`,
        help: "a case is made by test('what it shows', (run) => { … }) in the list that probe() takes",
      })
    }
    this.#report.end(this.#passed, this.failed, performance.now() - this.#began)
  }

  async #obtain(path: string): Promise<{ coverage: Coverage; spec: ObjectSpec }> {
    const known = this.#coverage.get(path)
    if (known) return known
    const { spec } = await obtain(path, this.#platform)
    const entry = { spec, coverage: new Coverage(spec.programs) }
    this.#coverage.set(path, entry)
    return entry
  }
}

/** The user engine, with the tracepoints of this machine's kernel where those can be read. */
async function testTarget(): Promise<Target> {
  const { kernelEngine, kernelSupport } = await import('../engine/kernel/index.ts')
  const support = kernelSupport()
  if (!support.ok) return { platform: userEnginePlatform(), [Symbol.dispose]: () => {} }
  const engine = kernelEngine({ support })
  return { platform: userEnginePlatform(engine.tracefs), [Symbol.dispose]: () => engine.close() }
}

/** As short as it can be said from here. */
function nearPath(path: string): string {
  const near = relative(process.cwd(), path)
  return near.startsWith('..') ? path : near
}

async function load(file: string): Promise<readonly ProbeTests[]> {
  if (!existsSync(file)) throw unreadable(file, Object.assign(new Error(), { code: 'ENOENT' }))
  const exported = await importDefault(file)
  const all = Array.isArray(exported) ? exported : [exported]
  if (all.every(isTests)) return all
  throw new Diagnostic({
    code: 'cli/not-tests',
    message: `${file} does not export tests of a probe`,
    help: "export default probe(new URL('./probe.ts', import.meta.url), [test('…', (run) => { … })])",
  })
}

async function importDefault(file: string): Promise<unknown> {
  try {
    return ((await import(pathToFileURL(resolve(file)).href)) as { default?: unknown }).default
  } catch (cause) {
    if (cause instanceof Diagnostic) throw cause
    throw new Diagnostic({
      code: 'cli/test-file',
      message: `${file}: ${cause instanceof Error ? cause.message : cause}`,
      notes: cause instanceof Error && placeOf(cause) ? [`at ${placeOf(cause)}`] : [],
      help: `the file was not executed to its end: node ${file} shows the whole error`,
      cause,
    })
  }
}

const isTests = (value: unknown): value is ProbeTests =>
  typeof value === 'object' && value !== null && 'probe' in value && 'cases' in value && Array.isArray(value.cases)

async function runCase(
  spec: ObjectSpec,
  platform: Platform,
  coverage: Coverage,
  { name, options, body }: TestCase,
): Promise<Result> {
  const began = performance.now()
  const took = () => performance.now() - began
  const printed: string[] = []
  try {
    const configured = await configuredFor(spec, platform, options)
    const engine = userEngine({ host: hostOf(options, printed), observer: coverage })
    using collection = await engine.load(configured)
    await body(new ProbeRun(collection, printed))
    return { name, milliseconds: took() }
  } catch (error) {
    return { name, milliseconds: took(), error }
  }
}

async function configuredFor(spec: ObjectSpec, platform: Platform, { set = {} }: TestOptions): Promise<ObjectSpec> {
  const settings = new Map(Object.entries(set).map(([name, value]) => [name, `${value}`]))
  if (settings.size === 0) return spec
  const configured = configure(spec, settings)
  await verifySpec(configured, platform)
  return configured
}

function hostOf({ now, random, pid, tid, uid = 0, gid = 0, comm }: TestOptions, printed: string[]): Partial<Host> {
  const high = (value: number) => BigInt(value) << 32n
  return {
    now,
    random,
    comm,
    // The kernel's tgid is what people call the process, its pid what they call the thread.
    pidTgid: high(pid ?? tid ?? 0) | BigInt(tid ?? pid ?? 0),
    uidGid: high(gid) | BigInt(uid),
    print: (text) => {
      printed.push(text)
    },
  }
}

/** What went wrong, and where in the test. */
function explain(error: unknown): { message: string; at?: string } {
  if (error instanceof Diagnostic) return { message: error.render(), at: placeOf(error) }
  if (error instanceof Error) return { message: error.message || error.name, at: placeOf(error) }
  return { message: String(error) }
}

/** The innermost place in the stack that is the user's: not Node's and not this package's. */
function placeOf({ stack = '' }: Error): string | undefined {
  const own = /file:\/\/([^\s)]+\.test\.m?[jt]s):(\d+):(\d+)/.exec(stack)
  return own ? `${nearPath(decodeURI(own[1]))}:${own[2]}:${own[3]}` : undefined
}

class TextTestReport implements TestReport {
  readonly #sink: Sink

  constructor(sink: Sink) {
    this.#sink = sink
  }

  file(file: string): void {
    this.#sink.write(`${this.#sink.style('1', file)}\n`)
  }

  result(_: string, result: Result): void {
    const { style, write } = this.#sink
    const time = style('2', `${result.milliseconds.toFixed(1)} ms`)
    if (!('error' in result)) {
      write(`  ${style('32', '✓')} ${result.name}  ${time}\n`)
      return
    }
    const { message, at } = explain(result.error)
    write(`  ${style('1;31', '✗')} ${style('1', result.name)}  ${time}\n`)
    for (const line of message.trimEnd().split('\n')) write(`${`      ${line}`.trimEnd()}\n`)
    if (at) write(`      ${style('2', `at ${at}`)}\n`)
  }

  end(passed: number, failed: number, milliseconds: number): void {
    const { style, write } = this.#sink
    const counts = [style(passed > 0 ? '32' : '2', `${passed} passed`)]
    if (failed > 0) counts.push(style('1;31', `${failed} failed`))
    write(`\n${counts.join(', ')}${style('2', `, ${Math.round(milliseconds)} ms`)}\n`)
  }
}

class JsonTestReport implements TestReport {
  readonly #sink: Sink

  constructor(sink: Sink) {
    this.#sink = sink
  }

  file(): void {}

  result(file: string, result: Result): void {
    const failed = 'error' in result
    const ms = Math.round(result.milliseconds * 1000) / 1000
    this.#line({
      type: 'test',
      file,
      name: result.name,
      ok: !failed,
      ms,
      error: failed ? explain(result.error) : undefined,
    })
  }

  end(passed: number, failed: number): void {
    this.#line({ type: 'summary', passed, failed })
  }

  #line(data: Record<string, unknown>): void {
    this.#sink.write(`${JSON.stringify(data)}\n`)
  }
}
