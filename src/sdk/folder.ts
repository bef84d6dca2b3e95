// Where Waggle keeps what it can make again: compiled probes and V8's code cache.

import { homedir } from 'node:os'
import { join } from 'node:path'

/** `$WAGGLE_CACHE_DIR`, else `$XDG_CACHE_HOME/waggle`, else `~/.cache/waggle`; undefined where there is none or it is switched off with an empty WAGGLE_CACHE_DIR. */
export function cacheFolder(env: Readonly<Record<string, string | undefined>> = process.env): string | undefined {
  if (env.WAGGLE_CACHE_DIR !== undefined) return env.WAGGLE_CACHE_DIR || undefined
  if (env.XDG_CACHE_HOME) return join(env.XDG_CACHE_HOME, 'waggle')
  const home = env.HOME || homedir()
  return home ? join(home, '.cache', 'waggle') : undefined
}
