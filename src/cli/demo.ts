// waggle demo, which is also `npm start`: the first thing that Waggle does for anybody. Counts the programs executed
// on this system; where the kernel can't be used, says why in a line and counts the packets of a bundled capture.

import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Diagnostic } from '../diag/diagnostic.ts'
import { packageRoot } from '../sdk/root.ts'
import type { Command } from './command.ts'
import type { Job } from './job.ts'
import { OUTPUT_OPTIONS, readOutput } from './options.ts'
import { prepareInKernel, runOverCapture } from './run.ts'

export const demo: Command = {
  name: 'demo',
  summary: 'count the programs executed on this system, or the packets of a bundled capture',
  synopsis: ['waggle demo [OPTION ...]'],
  description: [
    'Runs examples/exec-count.ts in the kernel: how many programs are executed on this system, by name, live, until ' +
      'Ctrl-C.',
    'Where the kernel cannot be used (no Linux, a missing capability, bpf(2) refused), it says in one line what is ' +
      'missing and what grants it, and runs examples/packet-count.ts over a bundled capture on the user engine instead. ' +
      'The exit status is then 0 too.',
  ],
  options: OUTPUT_OPTIONS,
  examples: [
    { command: 'waggle demo', help: 'Watch this system until Ctrl-C.' },
    { command: 'waggle demo --duration 5s --json', help: 'Five seconds, for a program to read.' },
  ],
  run: async (args) => {
    const output = readOutput(demo, args, true)
    let job: Job
    try {
      job = await prepareInKernel(example('exec-count.ts'), args, output)
    } catch (error) {
      if (!(error instanceof Diagnostic) || !error.code.startsWith('kernel/')) throw error
      output.report.warn(error.help ? `${error.message}. ${error.help}` : error.message)
      return await runOverCapture(example('packet-count.ts'), example('data/mixed.pcap'), args, output)
    }
    using running = job
    return await running.watch()
  },
}

/** The path of a bundled example, as short as it can be said from here. */
function example(name: string): string {
  const path = fileURLToPath(new URL(`examples/${name}`, packageRoot()))
  const near = relative(process.cwd(), path)
  return near.startsWith('..') ? path : near
}
