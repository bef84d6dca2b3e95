// The engines that the contract holds for, or why one is not to be had here.

import type { Engine } from '../../src/engine/engine.ts'
import { kernelEngine, kernelSupport } from '../../src/engine/kernel/index.ts'
import { userEngine } from '../../src/engine/user/index.ts'
import type { Candidate } from './contract.ts'

export const INTERPRETER: Candidate & { readonly engine: () => Engine } = {
  name: 'user',
  title: 'user engine, interpreter',
  engine: () => userEngine({ jit: 'never' }),
}
export const COMPILED: Candidate & { readonly engine: () => Engine } = {
  name: 'user',
  // Tail calls and timers are left to the interpreter: that it is so is part of what is tested.
  title: 'user engine, WebAssembly',
  engine: () => userEngine(),
}
/** Without tests of its own: only for programs that a verifier accepts. */
export const UNCHECKED: Candidate & { readonly engine: () => Engine } = {
  name: 'user',
  title: 'user engine, WebAssembly, verified',
  engine: () => userEngine({ verified: true }),
}

const support = kernelSupport()
export const KERNEL: Candidate = support.ok
  ? { name: 'kernel', title: 'kernel engine', engine: () => kernelEngine({ support }) }
  : { name: 'kernel', title: 'kernel engine', missing: support.missing.message }

export const ENGINES: readonly Candidate[] = [INTERPRETER, COMPILED, UNCHECKED, KERNEL]
