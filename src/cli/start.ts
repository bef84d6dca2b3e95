// The first module that runs. It does two things before anything heavier is read: it switches on V8's compile
// cache, which halves the time to load the rest, and it sees to it that no error ends in a bare stack trace.

import { enableCompileCache } from 'node:module'
import { join } from 'node:path'
import { cacheFolder } from '../sdk/folder.ts'

export async function start(): Promise<void> {
  // A reader such as `head` may leave early, a terminal may be gone (EPIPE, EIO): no error of ours. Jobs end on it.
  process.stdout.on('error', () => {})
  const folder = cacheFolder()
  if (folder !== undefined) enableCompileCache?.(join(folder, 'v8'))
  const { main } = await import('./main.ts')
  try {
    process.exitCode = await main(process.argv.slice(2))
  } catch (error) {
    console.error('error: this is a bug in Waggle; please report it with what follows')
    console.error(error)
    process.exitCode = 70
  }
}
