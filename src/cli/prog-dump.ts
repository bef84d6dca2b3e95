// waggle prog dump: the instructions that a probe becomes, each behind the source line that it comes from.

import { disassemble, format } from '../isa/disassemble.ts'
import { rowOf } from '../isa/table.ts'
import type { LineInfo, ProgramSpec } from '../object/spec.ts'
import { compileSource, isAssembly, readSource } from '../sdk/source.ts'
import type { Platform } from '../spec/platform.ts'
import { type Command, lastValue, misuse } from './command.ts'
import { DIALECT_OPTION, readDialect } from './dialect.ts'
import { namesOf } from './names.ts'
import { TARGET_OPTION, targetPlatform } from './target.ts'

export const progDump: Command = {
  name: 'prog dump',
  summary: 'print the instructions that a probe becomes, beside its source',
  synopsis: ['waggle prog dump FILE [OPTION ...]'],
  description: [
    'Compiles the probe in FILE and prints the eBPF instructions of each of its programs, in the notation of clang, ' +
      "bpftool and the kernel's log, with the source line in front of those that it became. Nothing is verified or loaded.",
    'FILE may be assembly too (.asm or .s), as for waggle verify and waggle run.',
  ],
  options: [
    TARGET_OPTION,
    DIALECT_OPTION,
    { name: 'json', help: 'Print a JSON object a line: one for each program, then its instructions.' },
  ],
  examples: [
    { command: 'waggle prog dump examples/exec-count.ts', help: 'The whole of it, on one screen.' },
    { command: 'waggle prog dump drop.asm --dialect vector', help: 'From one notation to the other.' },
  ],
  sections: [
    {
      title: 'ASSEMBLY FILES',
      paragraphs: [
        'An assembly file holds one program, in the notations that waggle asm reads. Lines that begin with a dot say ' +
          'what it is:',
        '.section SECTION [NAME] is needed: the type of the program and what it attaches to, as libbpf names sections: ' +
          '.section xdp, .section tracepoint/sched/sched_process_exec. NAME is what the program is called; the name of ' +
          'the file if not given.',
        '.map NAME TYPE KEY VALUE ENTRIES [FLAGS] declares a map, sizes in bytes: .map counts hash 4 8 1024. It is ' +
          'loaded with r1 = map[counts] ll.',
        '.license GPL unlocks the helpers that ask for it.',
      ],
    },
  ],
  run: async (args) => {
    const [file] = args.positionals
    if (file === undefined || args.positionals.length > 1) throw misuse(progDump, 'waggle prog dump wants one file')
    const dialect = readDialect(progDump, args)
    using target = await targetPlatform(progDump, lastValue(args, 'target'))
    const spec = await compileSource(file, readSource(file), target.platform)
    if (args.flags.has('json')) {
      for (const program of spec.programs)
        for (const line of lines(program, target.platform, dialect)) console.log(line)
      return 0
    }
    console.log(spec.programs.map((program) => dump(program, target.platform, dialect)).join('\n\n'))
    return 0
  },
}

type Dialect = 'kernel' | 'vector'

/** A program's header line, then its instructions. */
function dump(program: ProgramSpec, platform: Platform, dialect: Dialect): string {
  const { section, name, insns, functions } = program
  const starts = new Map(functions.map((each) => [each.insn, each.name]))
  const sources = new Map(program.lines.filter(notItself).map((line) => [line.insn, quote(line)]))
  const text = disassemble(insns, {
    ...namesOf(program, platform),
    dialect,
    numbers: true,
    source: (slot) =>
      slot > 0 && starts.has(slot) ? `${starts.get(slot)}: ${sources.get(slot) ?? ''}`.trimEnd() : sources.get(slot),
  })
  return `${section} ${name}, ${insns.length} instructions\n${text}`
}

const quote = ({ text, file, line }: LineInfo): string => `${text.trim()} @ ${file}:${line}`

/** A line of assembly in front of the instruction that it is would say everything twice. */
const notItself = ({ file }: LineInfo): boolean => !isAssembly(file)

/** The same as lines of JSON. */
function lines(program: ProgramSpec, platform: Platform, dialect: Dialect): string[] {
  const { section, type, name, insns } = program
  const options = { ...namesOf(program, platform), dialect }
  const out = [JSON.stringify({ type: 'program', section, programType: type, name, insns: insns.length })]
  for (let slot = 0; slot < insns.length; slot += rowOf(insns[slot])!.slots) {
    const source = program.lines.findLast(({ insn }) => insn <= slot)
    const text = format(insns[slot], insns[slot + 1], options, slot)
    const at = source && { file: source.file, line: source.line, column: source.column }
    out.push(JSON.stringify({ type: 'insn', program: name, slot, ...insns[slot], text, at }))
  }
  return out
}
