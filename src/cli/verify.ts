// waggle verify: compiles and verifies, and says what it found, without loading anything.

import { compileSource, readSource, verifySpec } from '../sdk/source.ts'
import { type Command, lastValue, misuse } from './command.ts'
import { TARGET_OPTION, targetPlatform } from './target.ts'

export const verify: Command = {
  name: 'verify',
  summary: 'compile and verify without running',
  synopsis: ['waggle verify FILE [OPTION ...]'],
  description: [
    "Compiles the probe in FILE and judges it with Waggle's own verifier, as waggle run does before it loads anything. " +
      'A refusal says which line is not safe, why, and how to repair it. Nothing is loaded, and no privileges are ' +
      'needed, except to read the records of tracepoints.',
    'FILE may be assembly too (.asm or .s): waggle prog dump --help says how it is written.',
  ],
  options: [TARGET_OPTION, { name: 'json', help: 'Print a refusal as a JSON object.' }],
  examples: [{ command: 'waggle verify examples/packet-count.ts', help: 'Exit status 0 if it is safe.' }],
  run: async (args) => {
    const [file] = args.positionals
    if (file === undefined || args.positionals.length > 1) throw misuse(verify, 'waggle verify wants one file')
    using target = await targetPlatform(verify, lastValue(args, 'target'))
    const spec = await compileSource(file, readSource(file), target.platform)
    const verdicts = await verifySpec(spec, target.platform)
    for (const { program, insnsProcessed, stackDepth } of verdicts) {
      const size = spec.programs.find(({ name }) => name === program)?.insns.length ?? 0
      if (args.flags.has('json'))
        console.log(JSON.stringify({ type: 'verdict', program, ok: true, insns: size, insnsProcessed, stackDepth }))
      else
        console.log(`${program}: safe; ${size} instructions, ${insnsProcessed} looked at, ${stackDepth} bytes of stack`)
    }
    return 0
  },
}
