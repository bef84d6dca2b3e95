// The engines that the contract holds for, or why one is not to be had here.

import { kernelEngine, kernelSupport } from '../../src/engine/kernel/index.ts'
import { userEngine } from '../../src/engine/user/index.ts'
import type { Candidate } from './contract.ts'

export const USER: Candidate = { name: 'user', engine: () => userEngine() }

const support = kernelSupport()
export const KERNEL: Candidate = support.ok
  ? { name: 'kernel', engine: () => kernelEngine({ support }) }
  : { name: 'kernel', missing: support.missing.message }
