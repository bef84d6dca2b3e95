// --dialect: in which of the two notations instructions are printed.

import { type Arguments, type Command, lastValue, misuse, type Option } from './command.ts'

export const DIALECT_OPTION: Option = {
  name: 'dialect',
  value: 'DIALECT',
  help: "How instructions are printed: kernel, as clang, bpftool and the kernel's log do, or vector, as the conformance vectors do. kernel if not given.",
}

export function readDialect(command: Pick<Command, 'name'>, args: Arguments): 'kernel' | 'vector' {
  const name = lastValue(args, 'dialect') ?? 'kernel'
  if (name === 'kernel' || name === 'vector') return name
  throw misuse(command, `--dialect is kernel or vector, not '${name}'`)
}
