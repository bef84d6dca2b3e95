// --target: which platform a probe is compiled for where it is not run.

import type { Platform } from '../spec/platform.ts'
import { type Command, misuse, type Option } from './command.ts'

export const TARGET_OPTION: Option = {
  name: 'target',
  value: 'TARGET',
  help: "What to compile for: kernel, this machine's kernel, or user, the user engine. kernel if not given, where that can be asked.",
}

export interface Target extends Disposable {
  readonly platform: Platform
}

export async function targetPlatform(command: Pick<Command, 'name'>, name: string | undefined): Promise<Target> {
  if (name !== undefined && name !== 'kernel' && name !== 'user')
    throw misuse(command, `--target is kernel or user, not '${name}'`)
  const { kernelEngine, kernelSupport } = await import('../engine/kernel/index.ts')
  const support = kernelSupport()
  if (name === 'user' || (name === undefined && !support.ok)) {
    const { userEnginePlatform } = await import('../sdk/user-platform.ts')
    return { platform: userEnginePlatform(), [Symbol.dispose]: () => {} }
  }
  if (!support.ok) throw support.missing
  const { kernelPlatform } = await import('../sdk/platform.ts')
  const engine = kernelEngine({ support })
  const platform = kernelPlatform(support, engine.tracefs)
  return { platform, [Symbol.dispose]: () => engine.close() }
}
