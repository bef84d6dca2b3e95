// Runs the command as a user does, as a process of its own, and gives what it printed.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { kernelSupport } from '../../src/engine/kernel/index.ts'

export const ROOT = resolve(import.meta.dirname, '../..')
export const BIN = join(ROOT, 'bin/waggle.js')

export interface Outcome {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
  /** Standard output as lines of JSON. */
  readonly lines: readonly Line[]
}

export interface Line {
  readonly type: string
  readonly [name: string]: unknown
}

export interface RunOptions {
  readonly uid?: number
  readonly cwd?: string
  readonly env?: Record<string, string>
  readonly wrapper?: readonly string[]
}

/** Runs to the end. */
export function waggle(args: readonly string[], options: RunOptions = {}): Outcome {
  const [file, ...rest] = [...(options.wrapper ?? []), process.execPath, BIN, ...args]
  const { status, stdout, stderr } = spawnSync(file, rest, {
    encoding: 'utf8',
    cwd: options.cwd ?? ROOT,
    uid: options.uid,
    gid: options.uid,
    env: { ...process.env, WAGGLE_CACHE_DIR: '', NO_COLOR: '1', ...options.env },
    timeout: 50_000,
  })
  return { status, stdout, stderr, lines: jsonLines(stdout) }
}

/** Starts it and leaves it running; `until` resolves once its output has this. */
export class Running {
  readonly child: ChildProcess
  readonly exited: Promise<{ status: number | null; signal: string | null }>
  stdout = ''
  stderr = ''
  #wake: (() => void)[] = []

  constructor(args: readonly string[], env: Record<string, string> = {}) {
    this.child = spawn(process.execPath, [BIN, ...args], {
      cwd: ROOT,
      env: { ...process.env, WAGGLE_CACHE_DIR: '', NO_COLOR: '1', ...env },
    })
    this.child.stdout?.on('data', (chunk) => this.#read('stdout', chunk))
    this.child.stderr?.on('data', (chunk) => this.#read('stderr', chunk))
    this.exited = new Promise((done) => this.child.on('close', (status, signal) => done({ status, signal })))
    void this.exited.then(() => this.#wakeAll())
  }

  #read(name: 'stdout' | 'stderr', chunk: Buffer): void {
    this[name] += chunk
    this.#wakeAll()
  }

  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }

  async until(text: string): Promise<void> {
    while (!this.stdout.includes(text)) {
      if (this.child.exitCode !== null) throw new Error(`ended without "${text}":\n${this.stdout}${this.stderr}`)
      await new Promise<void>((wake) => this.#wake.push(wake))
    }
  }

  get lines(): Line[] {
    return jsonLines(this.stdout)
  }
}

const jsonLines = (text: string): Line[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line)

/** The entries of a map in its last line, as a Map from key (JSON) to value. */
export function finalMap(lines: readonly Line[], name: string): Map<string, unknown> {
  const line = lines.findLast((each) => each.type === 'map' && each.map === name && each.final === true)
  const entries = (line?.entries ?? []) as { key: unknown; value: unknown }[]
  return new Map(entries.map(({ key, value }) => [typeof key === 'string' ? key : JSON.stringify(key), value]))
}

/** A folder for the files of a test; gone when it is disposed. */
export class Scratch implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'waggle-test-'))

  write(name: string, text: string | Uint8Array): string {
    const path = join(this.path, name)
    writeFileSync(path, text)
    return path
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true })
  }
}

const support = kernelSupport()
/** Why kernel tests can't run here; empty if they can. Put into the name of what is skipped. */
export const NO_KERNEL: string = support.ok ? '' : support.missing.message
/** ` (skipped: …)` for the title of a kernel test, or nothing. */
export const SKIPPED: string = NO_KERNEL && ` (skipped: ${NO_KERNEL})`
