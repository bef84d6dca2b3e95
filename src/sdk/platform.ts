// The platforms that the command line compiles for: the kernel that it runs on, and the user engine.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { version } from 'node:os'
import type { KernelInfo, Tracefs } from '../engine/kernel/index.ts'
import { USER_HELPERS, USER_MAP_TYPES } from '../engine/user/index.ts'
import { linux, userPlatform } from '../spec/linux.ts'
import type { Platform } from '../spec/platform.ts'

/** This machine's kernel. */
export const kernelPlatform = (info: KernelInfo, tracefs: Tracefs): Platform =>
  linux({ version: info.version, release: info.release, tracepoints: tracefs, build: kernelBuild() })

/** `tracefs`: where this machine's kernel describes its tracepoints, for programs that run on their records. */
export const userEnginePlatform = (tracefs?: Tracefs): Platform =>
  userPlatform({
    helpers: USER_HELPERS,
    mapTypes: USER_MAP_TYPES,
    ...(tracefs && { tracepoints: tracefs, build: kernelBuild() }),
  })

/** Tells one build of a kernel from another, and with it its BTF: the notes hold the linker's build id. */
function kernelBuild(): string {
  try {
    return createHash('sha256').update(readFileSync('/sys/kernel/notes')).digest('hex')
  } catch {
    return version()
  }
}
