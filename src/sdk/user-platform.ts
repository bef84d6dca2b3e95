// The platform that is compiled for where programs run on the user engine: what that engine implements.

import type { Tracefs } from '../engine/kernel/index.ts'
import { USER_HELPERS, USER_MAP_TYPES } from '../engine/user/index.ts'
import { userPlatform } from '../spec/linux.ts'
import type { Platform } from '../spec/platform.ts'
import { kernelBuild } from './platform.ts'

/** `tracefs`: where this machine's kernel describes its tracepoints, for programs that run on their records. */
export const userEnginePlatform = (tracefs?: Tracefs): Platform =>
  userPlatform({
    helpers: USER_HELPERS,
    mapTypes: USER_MAP_TYPES,
    ...(tracefs && { tracepoints: tracefs, build: kernelBuild() }),
  })
