// What a test of a probe is written with, `import { packet, probe, test } from 'waggle/test'`. A test file says which
// probe it is about and what its cases are, as data; `waggle test` runs them. Each case gets the probe freshly loaded
// on the user engine.

import type { ProbeRun } from './run.ts'

export { type EthernetFields, type IpFields, type Payload, packet, type TcpFields, type UdpFields } from './packet.ts'
export { type Outcome, ProbeRun, type TestMap } from './run.ts'

/** What a program is told about the world, where a test wants to say it. */
export interface TestWorld {
  /** Nanoseconds: ktime(). */
  readonly now?: bigint
  readonly random?: number
  /** Of the current task. */
  readonly pid?: number
  readonly tid?: number
  readonly uid?: number
  readonly gid?: number
  readonly comm?: string
}

export interface TestOptions extends TestWorld {
  /** Values for the probe's `config`, by name. */
  readonly set?: Readonly<Record<string, number | bigint>>
}

type Body = (run: ProbeRun) => void | Promise<void>

export interface TestCase {
  readonly name: string
  readonly options: TestOptions
  readonly body: Body
}

export interface ProbeTests {
  /** The URL of the probe's file. */
  readonly probe: string
  readonly cases: readonly TestCase[]
}

/** A case. It has passed unless `body` throws: use node:assert, or any library whose assertions throw. */
export function test(name: string, body: Body): TestCase
export function test(name: string, options: TestOptions, body: Body): TestCase
export function test(name: string, ...rest: [Body] | [TestOptions, Body]): TestCase {
  const [options, body] = rest.length === 1 ? [{}, rest[0]] : rest
  return { name, options, body }
}

/** The default export of a test file: the probe, as `new URL('./probe.ts', import.meta.url)`, and its cases. */
export const probe = (file: { readonly href: string } | string, cases: readonly TestCase[]): ProbeTests => ({
  probe: typeof file === 'string' ? file : file.href,
  cases,
})
