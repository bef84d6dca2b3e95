// From a probe's file to a verified ObjectSpec: read, look in the cache, compile, verify, store. The compiler and
// TypeScript are loaded only when the cache does not have the answer.

import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname } from 'node:path'
import { Diagnostic } from '../diag/diagnostic.ts'
import { nearest } from '../diag/nearest.ts'
import { readAssembly } from '../object/asm.ts'
import { specFromJSON, specToJSON } from '../object/json.ts'
import type { ObjectSpec } from '../object/spec.ts'
import type { Platform } from '../spec/platform.ts'
import type { ProgramVerdict } from '../verify/index.ts'
import { Cache } from './cache.ts'
import { packageRoot } from './root.ts'
import { BUILD } from './version.ts'

export interface Source {
  readonly spec: ObjectSpec
  /** Whether it was compiled and verified before and came from the cache. */
  readonly cached: boolean
}

/**
 * The verified object that the probe in `file` becomes on `platform`. Throws a Diagnostic, or an AggregateError of
 * several, for a file that can't be read, does not compile or is not safe.
 */
export async function obtain(file: string, platform: Platform): Promise<Source> {
  const text = readSource(file)
  const cache = BUILD === undefined ? undefined : Cache.open('objects')
  const key = createHash('sha256').update([BUILD, platform.fingerprint, file, text].join('\0')).digest('hex')
  const stored = cache?.read(key)
  if (stored !== undefined) {
    try {
      return { spec: specFromJSON(stored), cached: true }
    } catch {
      // Written by something else under this name: compiled again and written over.
    }
  }
  const spec = await compileSource(file, text, platform)
  await verifySpec(spec, platform)
  cache?.write(key, specToJSON(spec))
  return { spec, cached: false }
}

/** Compiles, or assembles, without verifying and without the cache. */
export async function compileSource(file: string, text: string, platform: Platform): Promise<ObjectSpec> {
  if (isAssembly(file)) return readAssembly(text, file)
  const { compile } = await import('../compile/index.ts')
  const read = (name: string) => readFileSync(new URL(`src/compile/${name}`, packageRoot()), 'utf8')
  const declarations = { lib: read('lib.d.ts'), surface: read('surface.ts') }
  const { spec, diagnostics } = await compile({ file, text, platform, declarations, typescript: loadTypeScript })
  return spec && diagnostics.length === 0 ? spec : fail(diagnostics)
}

/** Through require: import() would first scan nine megabytes of CommonJS for export names, which takes 40 ms. */
const loadTypeScript = async (): Promise<typeof import('typescript')> =>
  createRequire(import.meta.url)('typescript') as typeof import('typescript')

/** Throws what the verifier finds; otherwise what it took to find nothing, by program. */
export async function verifySpec(spec: ObjectSpec, platform: Platform): Promise<ProgramVerdict[]> {
  const { verify } = await import('../verify/index.ts')
  const verdicts = verify(spec, platform)
  const findings = verdicts.flatMap(({ diagnostic }) => diagnostic ?? [])
  return findings.length > 0 ? fail(findings) : verdicts
}

function fail(diagnostics: readonly Diagnostic[]): never {
  throw diagnostics.length === 1 ? diagnostics[0] : new AggregateError(diagnostics)
}

const PROBE = /\.m?ts$/

/** Whether a file is assembly, by its name. */
export const isAssembly = (file: string): boolean => /\.(?:asm|s)$/.test(file)

export function readSource(file: string): string {
  if (!PROBE.test(file) && !isAssembly(file)) {
    throw new Diagnostic({
      code: 'cli/not-a-probe',
      message: `${file} is neither a TypeScript file nor an assembly file`,
      help: 'a probe is a file whose name ends in .ts, assembly one in .asm or .s; objects made by clang are not read yet',
    })
  }
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw unreadable(file, cause)
  }
}

/** Why a file that the user named can't be read, with the names that stand near it. */
export function unreadable(file: string, cause: unknown): Diagnostic {
  const errno = (cause as NodeJS.ErrnoException).code
  if (errno !== 'ENOENT') {
    const why =
      errno === 'EISDIR'
        ? 'is a folder'
        : errno === 'EACCES'
          ? 'may not be read by this user'
          : `can't be read (${errno})`
    return new Diagnostic({
      code: 'cli/unreadable',
      message: `${file} ${why}`,
      help: 'name a file that this user may read',
      errno,
      cause,
    })
  }
  const close = nearest(basename(file), list(dirname(file)))
  return new Diagnostic({
    code: 'cli/no-file',
    message: `there is no file ${file}`,
    help:
      close.length > 0 ? `did you mean ${close.join(' or ')}?` : 'check the path; it is taken from the current folder',
    errno,
    cause,
  })
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}
