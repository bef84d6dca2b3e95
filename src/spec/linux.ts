// Platforms as values: Linux of a given release, and the user engine, both cut from the same tables.

import { Diagnostic } from '../diag/diagnostic.ts'
import type { HelperName, HelperRow } from './helper.ts'
import { HELPERS } from './helpers.ts'
import type { MapTypeRow } from './maptype.ts'
import { MAP_ROWS } from './maptypes.ts'
import type { MapTypeName, ProgTypeName } from './names.ts'
import type { Platform } from './platform.ts'
import type { ProgTypeRow } from './progtype.ts'
import { PROG_ROWS } from './progtypes.ts'
import { parseTracepointFormat, type TracepointFormat } from './tracepoint.ts'

export type Version = readonly [major: number, minor: number]

/** Where descriptions of tracepoints come from: tracefs, or a file that was kept. */
export interface TracepointSource {
  /** The text of events/CATEGORY/NAME/format for `CATEGORY/NAME`; undefined if there is none or it can't be read. */
  format(target: string): string | undefined
  /** All of them as `CATEGORY/NAME`; empty where they can't be listed. */
  list(): readonly string[]
  /** Why none can be read, where that is so. */
  readonly missing?: Diagnostic
}

const NO_TRACEPOINTS: TracepointSource = {
  format: () => undefined,
  list: () => [],
  missing: new Diagnostic({
    code: 'spec/no-tracepoints',
    message: 'the records of tracepoints are not known here',
    help: 'a kernel says what they hold: compile it for the kernel of this machine, as root',
  }),
}

/** The release in a string as uname(2) gives it: `6.18.44-generic` is [6, 18]. Undefined if it does not begin with one. */
export function parseVersion(release: string): Version | undefined {
  const found = /^v?(\d+)\.(\d+)/.exec(release)
  return found ? [Number(found[1]), Number(found[2])] : undefined
}

/** Whether `version` has what came with `since` (`5.8`). */
export function atLeast(version: Version, since: string): boolean {
  const [major, minor] = since.split('.').map(Number)
  return version[0] > major || (version[0] === major && version[1] >= minor)
}

export interface LinuxOptions {
  readonly version: Version
  /** The whole release, for messages: `6.18.44`. */
  readonly release?: string
  readonly tracepoints?: TracepointSource
  /** Whatever else an answer may depend on: the kernel's build id, say. Becomes part of the fingerprint. */
  readonly build?: string
}

/** Linux of the given release: the rows that it has. */
export function linux({ version, release, tracepoints, build }: LinuxOptions): Platform {
  const name = release ?? version.join('.')
  return platform({
    description: `Linux ${name}`,
    version,
    has: ({ since }) => atLeast(version, since),
    tracepoints: tracepoints ?? NO_TRACEPOINTS,
    fingerprint: `linux ${name} ${build ?? ''}`.trim(),
  })
}

export interface UserOptions {
  /** What the engine implements. */
  readonly helpers: Iterable<HelperName>
  readonly mapTypes?: Iterable<MapTypeName>
  readonly progTypes?: Iterable<ProgTypeName>
  readonly tracepoints?: TracepointSource
  readonly build?: string
}

/** The user engine: the newest rows, limited to what it implements. Types that are not named are all there. */
export function userPlatform({ helpers, mapTypes, progTypes, tracepoints, build }: UserOptions): Platform {
  const has = {
    helpers: new Set<string>(helpers),
    maps: mapTypes && new Set<string>(mapTypes),
    progs: progTypes && new Set<string>(progTypes),
  }
  return platform({
    description: 'the user engine',
    version: NEWEST,
    has: (row) => {
      if ('args' in row) return has.helpers.has(row.name)
      return 'sections' in row ? (has.progs?.has(row.name) ?? true) : (has.maps?.has(row.name) ?? true)
    },
    tracepoints: tracepoints ?? NO_TRACEPOINTS,
    fingerprint: ['user', ...has.helpers, ...(has.maps ?? []), ...(has.progs ?? []), build ?? ''].join(' ').trim(),
  })
}

/** The release that the tables describe. */
export const NEWEST: Version = [6, 18]

type AnyRow = HelperRow | ProgTypeRow | MapTypeRow

interface Parts {
  readonly description: string
  readonly version: Version
  readonly has: (row: AnyRow) => boolean
  readonly tracepoints: TracepointSource
  readonly fingerprint: string
}

function platform({ description, version, has, tracepoints, fingerprint }: Parts): Platform {
  const helpers = HELPERS.filter(has)
  const parsed = new Map<string, TracepointFormat | undefined>()
  return {
    description,
    version,
    helpers: byName(helpers),
    helpersById: new Map(helpers.map((row) => [row.id, row])),
    progTypes: byName(PROG_ROWS.filter(has)),
    mapTypes: byName(MAP_ROWS.filter(has)),
    tracepoint(target) {
      if (!parsed.has(target)) {
        const text = tracepoints.format(target)
        parsed.set(target, text === undefined ? undefined : parseTracepointFormat(text, target))
      }
      return parsed.get(target)
    },
    tracepoints: () => tracepoints.list(),
    noTracepoints: () => tracepoints.missing,
    fingerprint,
  }
}

function byName<R extends AnyRow>(rows: readonly R[]): ReadonlyMap<R['name'], R> {
  return new Map(rows.map((row) => [row.name, row]))
}
