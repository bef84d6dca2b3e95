// The platform that is compiled for where programs run in the kernel of this machine. The user engine's stands in
// user-platform.ts, so that a start in the kernel does not load that engine.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { version } from 'node:os'
import type { KernelInfo, Tracefs } from '../engine/kernel/index.ts'
import { linux } from '../spec/linux.ts'
import type { Platform } from '../spec/platform.ts'

/** This machine's kernel. */
export const kernelPlatform = (info: KernelInfo, tracefs: Tracefs): Platform =>
  linux({ version: info.version, release: info.release, tracepoints: tracefs, build: kernelBuild() })

/** Tells one build of a kernel from another, and with it its BTF: the notes hold the linker's build id. */
export function kernelBuild(): string {
  try {
    return createHash('sha256').update(readFileSync('/sys/kernel/notes')).digest('hex')
  } catch {
    return version()
  }
}
