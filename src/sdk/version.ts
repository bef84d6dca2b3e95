// Which Waggle this is. The bundler puts the real values in; run from source, the version is read from package.json.

import { readFileSync } from 'node:fs'
import { packageRoot } from './root.ts'

declare const __WAGGLE_VERSION__: string | undefined
declare const __WAGGLE_BUILD__: string | undefined

/** The release, as `0.1.0`. */
export const VERSION: string =
  typeof __WAGGLE_VERSION__ === 'string'
    ? __WAGGLE_VERSION__
    : (JSON.parse(readFileSync(new URL('package.json', packageRoot()), 'utf8')) as { version: string }).version

/** A hash of the sources that this was built from: part of each cache key. Undefined when run from source, where nothing is cached. */
export const BUILD: string | undefined = typeof __WAGGLE_BUILD__ === 'string' ? __WAGGLE_BUILD__ : undefined
