// A job: an object on an engine, from load to the last line of the report. It owns the order of things (load, attach,
// start the command, report, detach, final report) and that the way out is the same whatever ends it.

import { type ChildProcess, spawn } from 'node:child_process'
import { Diagnostic } from '../diag/diagnostic.ts'
import type { BpfMap, Collection, Engine, EventSource, Link } from '../engine/engine.ts'
import { eventMaps, lostOf, shownMaps, typedEvents, viewMap } from '../event/view.ts'
import { EXIT_PROGRAM, FORK_PROGRAM, ROOT, ROOT_PROGRAM, TREE_MAP } from '../object/follow.ts'
import type { ObjectSpec } from '../object/spec.ts'
import type { Report } from './report/report.ts'
import { type Ending, Until } from './until.ts'

export interface JobOptions {
  readonly file: string
  readonly engine: Engine
  /** Already verified, configured and, with a command, scoped to its process tree. */
  readonly spec: ObjectSpec
  readonly cached: boolean
  /** `performance.now()` at which reading the source began. */
  readonly began: number
  readonly report: Report
  /** Milliseconds between two looks at the maps. */
  readonly interval: number
  /** Milliseconds after which it ends by itself. */
  readonly duration?: number
  readonly command?: readonly string[]
  /** Where the command's standard output goes: along with the report, or out of its way. */
  readonly commandOutput: 'inherit' | 'stderr'
  /** For programs that attach to one, as xdp does. */
  readonly interface?: string
}

/** A link, and whether it is one of our own that keep the process tree and that nobody needs to hear of. */
interface Attached {
  readonly link: Link
  readonly own: boolean
}

/** Statuses of a shell for a command that is not there or can't be executed. */
const NOT_FOUND = 127
const NOT_EXECUTABLE = 126

/** Everything attached and ready to be watched. Disposing it takes everything down, watched or not. */
export class Job implements Disposable {
  readonly #options: JobOptions
  readonly #until: Until
  readonly #collection: Collection
  readonly #links: readonly Attached[]
  readonly #elapsed: number

  private constructor(options: JobOptions, until: Until, collection: Collection, links: readonly Attached[]) {
    this.#options = options
    this.#until = until
    this.#collection = collection
    this.#links = links
    this.#elapsed = performance.now() - options.began
  }

  /** Loads and attaches. Throws a Diagnostic, with nothing left behind, where the engine refuses. */
  static async prepare(options: JobOptions): Promise<Job> {
    // Signals are caught before anything is attached.
    const until = new Until(options.duration)
    let collection: Collection | undefined
    try {
      collection = await options.engine.load(options.spec)
      return new Job(options, until, collection, attachAll(collection, options))
    } catch (error) {
      collection?.close()
      until[Symbol.dispose]()
      throw error
    }
  }

  /** Reports until the job ends. Gives the exit status: the command's, or 0. */
  async watch(): Promise<number> {
    const { report, file, engine, cached, command, interval, commandOutput } = this.#options
    const sources = this.#links.filter(({ own }) => !own).map(({ link }) => link.description)
    report.started({ file, engine: engine.description, sources, elapsed: this.#elapsed, cached, command })
    for (const note of this.#collection.notes ?? []) report.warn(note)

    const began = performance.now()
    const streams = eventMaps(this.#collection).map((map) => new Stream(this.#collection, map, report))
    const shown = shownMaps(this.#collection)
    const look = (final: boolean) =>
      report.maps(
        shown.map((map) => viewMap(this.#collection, map)),
        final,
      )
    const ending = await this.#live(() => look(false), interval, command, commandOutput)
    const elapsed = (performance.now() - began) / 1000
    // Shown now and not after detaching, for which the kernel takes some 80 ms.
    for (const stream of streams) stream.drain()
    // Detached before the last look, so that the final table stands still; the maps live as long as the collection.
    await Promise.all(this.#links.map(({ link }) => link[Symbol.asyncDispose]()))
    for (const stream of streams) stream.finish()
    look(true)
    const events = streams.map(({ name, source, lost }) => ({ map: name, received: source.received, lost }))
    report.ended({ reason: ending.reason, elapsed, events, status: ending.status })
    return ending.status ?? 0
  }

  async #live(
    look: () => void,
    interval: number,
    command: readonly string[] | undefined,
    output: JobOptions['commandOutput'],
  ): Promise<Ending> {
    if (command) {
      const child = startBelow(this.#collection, command, output)
      const failed = await failure(child, command)
      if (failed) {
        this.#options.report.warn(failed.message)
        return { reason: failed.message, status: failed.errno === 'ENOENT' ? NOT_FOUND : NOT_EXECUTABLE }
      }
      this.#until.follow(child)
    }
    const timer = setInterval(look, interval)
    try {
      if (!command) look()
      return await this.#until.ended
    } finally {
      clearInterval(timer)
    }
  }

  [Symbol.dispose](): void {
    this.#collection.close()
    this.#until[Symbol.dispose]()
  }
}

/** In the order of the object: programs on the same tracepoint fire in the order in which they were attached. */
function attachAll(collection: Collection, options: JobOptions): Attached[] {
  return [...collection.progs.values()]
    .filter(({ spec }) => spec.name !== ROOT_PROGRAM)
    .map((prog) => ({
      link: prog.attach(prog.spec.type === 'xdp' ? interfaceOf(options) : undefined),
      own: prog.spec.name === FORK_PROGRAM || prog.spec.name === EXIT_PROGRAM,
    }))
}

function interfaceOf({ interface: name, file }: JobOptions): string {
  if (name !== undefined) return name
  throw new Diagnostic({
    code: 'cli/no-interface',
    message: `${file} is an XDP program: it needs packets`,
    help: 'give it a network interface (--interface eth0) or a capture (--pcap FILE)',
  })
}

/**
 * Starts the command below the root of the tree. This process is the root for just as long as the fork takes: what it
 * starts later is not followed.
 */
function startBelow(
  collection: Collection,
  command: readonly string[],
  output: JobOptions['commandOutput'],
): ChildProcess {
  collection.progs.get(ROOT_PROGRAM)?.run({ ctx: new Uint8Array(8) })
  const [file, ...args] = command
  const child = spawn(file, args, { stdio: ['inherit', output === 'inherit' ? 'inherit' : process.stderr, 'inherit'] })
  const tree = collection.maps.get(TREE_MAP)
  for (const [key, value] of tree?.entries() ?? []) {
    if (value[0] === ROOT) tree?.delete(key)
  }
  return child
}

/** Why the command did not start, or undefined if it did. */
function failure(child: ChildProcess, [file]: readonly string[]): Promise<Diagnostic | undefined> {
  return new Promise((resolve) => {
    child.once('spawn', () => resolve(undefined))
    child.once('error', (cause: NodeJS.ErrnoException) => {
      const message =
        cause.code === 'ENOENT' ? `there is no command '${file}'` : `'${file}' can't be started (${cause.code})`
      resolve(new Diagnostic({ code: 'cli/command', message, errno: cause.code, cause }))
    })
  })
}

/** Events of one map, passed to the report as they come. */
class Stream {
  readonly name: string
  readonly source: EventSource
  readonly #show: (record: Uint8Array) => void
  readonly #lost: () => bigint | undefined

  constructor(collection: Collection, map: BpfMap, report: Report) {
    const { source, decode } = typedEvents(collection, map)
    this.name = map.spec.name
    this.source = source
    this.#show = (record) => report.event(this.name, decode(record))
    this.#lost = () => lostOf(collection, map)
    void this.#pump()
  }

  get lost(): bigint | undefined {
    return this.#lost()
  }

  async #pump(): Promise<void> {
    for await (const record of this.source) this.#show(record)
  }

  /** Shows what is there. */
  drain(): void {
    for (const record of this.source.drain()) this.#show(record)
  }

  /** What was sent before the programs were detached is still shown. */
  finish(): void {
    this.drain()
    this.source.close()
  }
}
