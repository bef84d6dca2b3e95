// waggle prog dump: the instructions that a probe becomes, each behind the source line that it comes from.

import { disassemble } from '../isa/disassemble.ts'
import type { ProgramSpec } from '../object/spec.ts'
import { compileSource, readSource } from '../sdk/source.ts'
import type { Platform } from '../spec/platform.ts'
import { type Command, lastValue, misuse } from './command.ts'
import { TARGET_OPTION, targetPlatform } from './target.ts'

export const progDump: Command = {
  name: 'prog dump',
  summary: 'print the instructions that a probe becomes, beside its source',
  synopsis: ['waggle prog dump FILE [OPTION ...]'],
  description: [
    'Compiles the probe in FILE and prints the eBPF instructions of each of its programs, in the notation of clang, ' +
      "bpftool and the kernel's log, with the source line in front of those that it became. Nothing is verified or loaded.",
  ],
  options: [TARGET_OPTION],
  examples: [{ command: 'waggle prog dump examples/exec-count.ts', help: 'The whole of it, on one screen.' }],
  run: async (args) => {
    const [file] = args.positionals
    if (file === undefined || args.positionals.length > 1) throw misuse(progDump, 'waggle prog dump wants one file')
    using target = await targetPlatform(progDump, lastValue(args, 'target'))
    const spec = await compileSource(file, readSource(file), target.platform)
    console.log(spec.programs.map((program) => dump(program, target.platform)).join('\n\n'))
    return 0
  },
}

/** A program's header line, then its instructions, with names in place of numbers. */
function dump(program: ProgramSpec, platform: Platform): string {
  const { section, name, insns, functions, lines, relocations } = program
  const maps = new Map(relocations.map((relocation) => [relocation.insn, relocation.map]))
  const starts = new Map(functions.map((each) => [each.insn, each.name]))
  const sources = new Map(lines.map(({ insn, text, file, line }) => [insn, `${text.trim()} @ ${file}:${line}`]))
  const text = disassemble(insns, {
    numbers: true,
    mapName: (slot) => maps.get(slot),
    callName: (kind, id) => (kind === 'helper' ? platform.helpersById.get(id)?.name : starts.get(id)),
    source: (slot) =>
      slot > 0 && starts.has(slot) ? `${starts.get(slot)}: ${sources.get(slot) ?? ''}` : sources.get(slot),
  })
  return `${section} ${name}, ${insns.length} instructions\n${text}`
}
