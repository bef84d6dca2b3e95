// The contract: one suite for every engine. An engine that is not there is skipped with its reason, and so is a case
// that an engine cannot run.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { BpfMap, Collection, Engine, EventSource, Redirect } from '../../src/engine/engine.ts'
import { type Case, COUNTING, hex, object, program, unhex } from './case.ts'

/** An engine to test, or why it is not to be had here. */
export type Candidate =
  | { readonly name: 'user' | 'kernel'; readonly title: string; readonly engine: () => Engine }
  | { readonly name: 'user' | 'kernel'; readonly title: string; readonly missing: string }

const PACKET_TYPES: ReadonlySet<string> = new Set(['xdp', 'socket_filter', 'sched_cls', 'sched_act', 'cgroup_skb'])

/** What an engine did with a case. */
interface Outcome {
  readonly retval: number
  readonly out: string | undefined
  readonly contents: Record<string, Record<string, string>>
  readonly events: Record<string, string[]>
  readonly lost: Record<string, bigint | undefined>
  readonly redirect: Redirect | undefined
}

export async function run(engine: Engine, entry: Case): Promise<Outcome> {
  const type = entry.type ?? 'xdp'
  const all = Object.entries({ main: entry.asm, ...entry.others })
  const programs = all.map(([name, asm]) => program(name, type, asm))
  using collection = await engine.load(object('contract', programs, entry.maps ?? [], entry.types))
  const data = PACKET_TYPES.has(type) ? (entry.packet === undefined ? COUNTING : unhex(entry.packet)) : undefined
  const ctx = entry.ctx === undefined ? undefined : unhex(entry.ctx)
  const sources = openSources(collection, Object.keys({ ...entry.events, ...entry.lost }))
  const prog = collection.progs.get('main')!
  let last = prog.run({ data, ctx })
  for (let i = 1; i < (entry.runs ?? 1); i++) last = prog.run({ data, ctx })
  return {
    retval: last.retval,
    out: last.data && hex(last.data),
    contents: perMap(entry.contents, (name) => contents(collection.maps.get(name)!)),
    events: perMap(entry.events, (name) => sources.get(name)!.drain().map(hex)),
    lost: perMap(entry.lost, (name) => sources.get(name)!.lost),
    // The kernel does not tell.
    redirect: engine.name === 'kernel' ? entry.redirect : last.redirect,
  }
}

const openSources = (collection: Collection, names: readonly string[]): Map<string, EventSource> =>
  new Map([...new Set(names)].map((name) => [name, collection.maps.get(name)!.events()]))

const perMap = <T>(wanted: object | undefined, get: (name: string) => T): Record<string, T> =>
  Object.fromEntries(Object.keys(wanted ?? {}).map((name) => [name, get(name)]))

export const contents = (map: BpfMap): Record<string, string> =>
  Object.fromEntries([...map.entries()].map(([key, value]) => [hex(key), hex(value)]))

/** The part of an outcome that the case speaks of. */
const spoken = ({ retval, out, contents = {}, events = {}, lost = {}, redirect }: Partial<Outcome>, entry: Case) => ({
  retval: entry.retval === undefined ? undefined : retval,
  out: entry.out === undefined ? undefined : out?.replaceAll(/\s/g, ''),
  contents,
  events,
  lost,
  redirect: entry.redirect && redirect,
})

/** Runs every case on the engine. */
export function contract(candidate: Candidate, cases: readonly Case[]): void {
  if ('missing' in candidate) {
    describe.skip(`${candidate.title}: ${candidate.missing}`, () => {
      it.each(cases)('$name', () => undefined)
    })
    return
  }
  describe(candidate.title, () => {
    let engine: Engine
    beforeAll(() => {
      engine = candidate.engine()
    })
    afterAll(() => {
      ;(engine as Engine & Partial<Disposable>)[Symbol.dispose]?.()
    })
    for (const entry of cases) {
      const reason = entry.not?.[candidate.name]
      if (reason) it.skip(`${entry.name}: ${reason}`, () => undefined)
      else {
        it(entry.name, async () => {
          const outcome = await run(engine, entry)
          expect(spoken(outcome, entry)).toEqual(spoken(entry as Partial<Outcome>, entry))
        })
      }
    }
  })
}
