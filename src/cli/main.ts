// The `waggle` command: finds the subcommand, reads its arguments by its table, prints what goes wrong as
// a Diagnostic. Each command is a module of its own and is loaded only when it is asked for.

import { Diagnostic } from '../diag/diagnostic.ts'
import { nearest } from '../diag/nearest.ts'
import { VERSION } from '../sdk/version.ts'
import { type Command, manual, readArguments, wrap } from './command.ts'

/** Name, one line for the list, and where the command lives. A name of two words is a group and its member. */
const COMMANDS: readonly (readonly [name: string, summary: string, load: () => Promise<Command>])[] = [
  ['run', 'run a probe and show what it counts', async () => (await import('./run.ts')).run],
  [
    'demo',
    'count the programs executed on this system, or the packets of a bundled capture',
    async () => (await import('./demo.ts')).demo,
  ],
  ['verify', 'compile and verify without running', async () => (await import('./verify.ts')).verify],
  ['test', 'run the tests of probes', async () => (await import('./test.ts')).test],
  [
    'prog dump',
    'print the instructions that a probe becomes, beside its source',
    async () => (await import('./prog-dump.ts')).progDump,
  ],
  ['asm', 'assemble eBPF instructions, or disassemble them', async () => (await import('./asm.ts')).asm],
]

export async function main(argv: readonly string[]): Promise<number> {
  const ours = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : argv.length)
  const json = ours.includes('--json')
  const verbose = ours.includes('--verbose') || ours.includes('-v')
  try {
    return await dispatch(argv)
  } catch (error) {
    const diagnostics: unknown[] = error instanceof AggregateError ? error.errors : [error]
    for (const diagnostic of diagnostics) {
      if (!(diagnostic instanceof Diagnostic)) throw error
      report(diagnostic, json, verbose)
    }
    return diagnostics.some((each) => each instanceof Diagnostic && each.code === 'cli/usage') ? 2 : 1
  }
}

async function dispatch(argv: readonly string[]): Promise<number> {
  const [first] = argv
  if (first === undefined || first === 'help' || first === '--help' || first === '-h') {
    const wanted = first === 'help' ? argv.slice(1) : []
    if (wanted.length === 0) console.log(overview())
    else console.log(manual(await (await find(wanted)).load()))
    return first === undefined ? 2 : 0
  }
  if (first === '--version' || first === '-V' || first === 'version') {
    console.log(`waggle ${VERSION}`)
    return 0
  }
  const { load, rest } = await find(argv)
  const command = await load()
  const args = readArguments(command, rest)
  if (args.flags.has('help')) {
    console.log(manual(command))
    return 0
  }
  return await command.run(args)
}

async function find(argv: readonly string[]): Promise<{ load: () => Promise<Command>; rest: readonly string[] }> {
  for (const [name, , load] of COMMANDS) {
    const words = name.split(' ')
    if (words.every((word, i) => argv[i] === word)) return { load, rest: argv.slice(words.length) }
  }
  const members = COMMANDS.filter(([name]) => name.startsWith(`${argv[0]} `)).map(([name]) => `waggle ${name}`)
  const close = nearest(
    argv[0],
    COMMANDS.map(([name]) => name.split(' ')[0]),
    1,
  )
  throw new Diagnostic({
    code: 'cli/usage',
    message: members.length > 0 ? `waggle ${argv[0]} wants a command after it` : `waggle has no command '${argv[0]}'`,
    help:
      members.length > 0
        ? members.join(', ')
        : `${close.length > 0 ? `did you mean waggle ${close[0]}? ` : ''}waggle --help lists the commands; waggle run FILE runs a probe`,
  })
}

/** A Diagnostic for the terminal, or as a line of JSON on standard output where the user asked for that. */
export function report(diagnostic: Diagnostic, json: boolean, verbose: boolean): void {
  if (json) console.log(JSON.stringify({ type: 'error', ...diagnostic.toJSON() }))
  else console.error(diagnostic.render({ color: process.stderr.hasColors?.() ?? false, verbose }))
}

function overview(): string {
  const width = Math.max(...COMMANDS.map(([name]) => name.length))
  return [
    'NAME',
    '    waggle - eBPF in TypeScript',
    '',
    'SYNOPSIS',
    '    waggle COMMAND [OPTION ...] [ARGUMENT ...]',
    '',
    'DESCRIPTION',
    ...wrap(
      'Waggle compiles a probe written in TypeScript to eBPF, verifies it, and runs it in the Linux kernel or, ' +
        'for packets from a capture, in its own engine, which needs no privileges and no Linux. It then shows ' +
        'what the probe counts and the events it sends.',
      76,
    ).map((line) => `    ${line}`),
    '',
    'COMMANDS',
    ...COMMANDS.flatMap(([name, summary]) =>
      wrap(summary, 72 - width).map((line, i) => `    ${(i === 0 ? name : '').padEnd(width)}    ${line}`),
    ),
    '',
    'OPTIONS',
    '    -h, --help       Print this page; with a command, its manual page.',
    '    -V, --version    Print the version.',
    '',
    'EXAMPLES',
    '    waggle run examples/exec-count.ts',
    '        Count the programs that are started on this system, by name, until Ctrl-C.',
    "    waggle run examples/exec-count.ts -- sh -c 'for i in 1 2 3; do /bin/true; done'",
    '        Count only what this command starts.',
    '    waggle run examples/packet-count.ts --pcap traffic.pcap',
    '        Count the packets of a capture, anywhere and without privileges.',
    '',
    'ENVIRONMENT',
    '    NO_COLOR            No colours.',
    '    WAGGLE_CACHE_DIR    Where compiled probes are kept; $XDG_CACHE_HOME/waggle or ~/.cache/waggle if not set.',
    '',
    'EXIT STATUS',
    '    0 on success, 1 on a Diagnostic, 2 on a mistake in the command line; waggle run with a command passes',
    "    the command's own status on.",
  ].join('\n')
}
