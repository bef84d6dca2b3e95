// How `waggle` and its subpaths are found by the modules of a user's tests: in this very package, wherever the test
// lies, so that a test runs without an installation beside it.

import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { packageRoot } from '../sdk/root.ts'
import { BUILD } from '../sdk/version.ts'

type Target = string | { readonly source?: string; readonly default?: string }

/** From here on, until the result is disposed. */
export function serveOwnModules(): Disposable {
  const root = packageRoot()
  const manifest = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as {
    name: string
    exports: Record<string, Target>
  }
  const urlOf = (specifier: string): string | undefined => {
    if (specifier !== manifest.name && !specifier.startsWith(`${manifest.name}/`)) return undefined
    const target = manifest.exports[`.${specifier.slice(manifest.name.length)}`]
    if (target === undefined) return undefined
    // The same code as is running: the bundle, or the sources.
    const path = typeof target === 'string' ? target : BUILD === undefined ? target.source : target.default
    return path && new URL(path, root).href
  }
  const hooks = registerHooks({
    resolve: (specifier, context, next) => {
      const url = urlOf(specifier)
      if (url !== undefined) return { url, shortCircuit: true }
      const found = next(specifier, context)
      // Without a package.json that says so, Node would first try CommonJS and then complain.
      return found.format == null && /\.m?ts$/.test(found.url) ? { ...found, format: 'module-typescript' } : found
    },
  })
  return { [Symbol.dispose]: () => hooks.deregister() }
}
