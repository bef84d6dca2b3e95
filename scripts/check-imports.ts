// Holds the import table of docs/architecture.md: who may import whom, and who may touch Node or FFI.
// Run by `npm run check`; prints each offending line and exits with 1 if there is any.

import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '..')

const EVERYTHING_BELOW = ['diag', 'isa', 'btf', 'spec', 'object', 'capture', 'compile', 'verify', 'engine', 'event']

/** A folder (or file) of src/ and what it may import besides itself. The longest prefix that fits a file is its row. */
const ALLOWED: Record<string, { imports: readonly string[]; packages?: readonly string[]; node?: boolean }> = {
  diag: { imports: [] },
  isa: { imports: ['diag'] },
  btf: { imports: ['diag', 'isa'] },
  spec: { imports: ['diag', 'isa', 'btf'] },
  object: { imports: ['diag', 'isa', 'btf', 'spec'] },
  capture: { imports: ['diag'] },
  compile: { imports: ['diag', 'isa', 'btf', 'spec', 'object'], packages: ['typescript'] },
  verify: { imports: ['diag', 'isa', 'btf', 'spec', 'object'] },
  'engine/engine.ts': { imports: ['object'] },
  'engine/user': { imports: ['diag', 'isa', 'btf', 'spec', 'object', 'engine/engine.ts'] },
  'engine/user/hooks': {
    imports: ['diag', 'isa', 'btf', 'spec', 'object', 'engine/engine.ts', 'engine/user'],
    node: true,
  },
  'engine/kernel': {
    imports: ['diag', 'isa', 'btf', 'spec', 'object', 'engine/engine.ts'],
    packages: ['koffi'],
    node: true,
  },
  event: { imports: ['diag', 'btf', 'engine/engine.ts'] },
  test: { imports: ['diag', 'spec', 'event', 'engine/engine.ts'] },
  tools: { imports: ['index.ts'] },
  sdk: { imports: EVERYTHING_BELOW, packages: ['typescript'], node: true },
  cli: { imports: [...EVERYTHING_BELOW, 'sdk', 'test', 'tools', 'index.ts'], node: true },
  'index.ts': { imports: [...EVERYTHING_BELOW, 'sdk', 'test', 'tools'] },
}

/** Import and re-export specifiers of a module, static and dynamic, with their line numbers. */
function* specifiers(text: string): Generator<{ specifier: string; line: number }> {
  const pattern =
    /(?:^|\n)\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]|(?:^|\n)\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/g
  for (const match of text.matchAll(pattern)) {
    const end = match.index + match[0].length
    yield { specifier: match[1] ?? match[2] ?? match[3], line: text.slice(0, end).split('\n').length }
  }
}

const rowOf = (path: string): string | undefined =>
  Object.keys(ALLOWED)
    .filter((prefix) => path === prefix || path.startsWith(`${prefix}/`))
    .sort((a, b) => b.length - a.length)[0]

/** What is wrong with this import, or undefined. */
function complaint(file: string, specifier: string): string | undefined {
  const row = rowOf(file)
  if (row === undefined) return 'this folder has no row in the import table'
  const { imports, packages = [], node = false } = ALLOWED[row]
  if (specifier.startsWith('node:')) return node ? undefined : `${row} may not touch Node`
  if (!specifier.startsWith('.'))
    return packages.includes(specifier) ? undefined : `${row} may not use the package ${specifier}`
  const target = relative(join(ROOT, 'src'), resolve(ROOT, 'src', dirname(file), specifier))
  if (row === rowOf(target) || target === 'env.d.ts') return undefined
  const fits = imports.some((prefix) => target === prefix || target.startsWith(`${prefix}/`))
  const foreign = rowOf(target) === 'engine/user/hooks' && !['cli', 'sdk', 'index.ts'].includes(row)
  return fits && !foreign ? undefined : `${row} may not import ${target}`
}

let wrong = 0
const files = globSync('src/**/*.ts', { cwd: ROOT }).filter((file) => !/(\.test|\/testing)\.ts$/.test(file))
for (const file of files) {
  for (const { specifier, line } of specifiers(readFileSync(join(ROOT, file), 'utf8'))) {
    const message = complaint(relative('src', file), specifier)
    if (message === undefined) continue
    console.error(`${file}:${line}: ${message}`)
    wrong++
  }
}
console.log(`import table: ${files.length} files, ${wrong} ${wrong === 1 ? 'import' : 'imports'} against it`)
process.exitCode = wrong > 0 ? 1 : 0
