// waggle run: a probe, live. In the kernel, or over a capture on the user engine.

import { configure } from '../object/configure.ts'
import { followTree } from '../object/follow.ts'
import { obtain, verifySpec } from '../sdk/source.ts'
import { type Arguments, type Command, lastValue, misuse } from './command.ts'
import type { Job } from './job.ts'
import { OUTPUT_OPTIONS, type Output, readOutput } from './options.ts'
import { openSink } from './sink.ts'

export const run: Command = {
  name: 'run',
  summary: 'run a probe and show what it counts',
  synopsis: [
    'waggle run FILE [OPTION ...]',
    'waggle run FILE [OPTION ...] -- COMMAND [ARGUMENT ...]',
    'waggle run FILE --pcap CAPTURE [OPTION ...]',
  ],
  description: [
    'Compiles the probe in FILE, a TypeScript file, to eBPF, verifies it, loads it into the Linux kernel, attaches ' +
      'each of its programs to the hook that it names, and shows its maps live and its events as they come. Ctrl-C, ' +
      'SIGTERM, a closed terminal and --duration end it: everything is detached and the final tables are printed.',
    'With a COMMAND, it starts that after attaching and follows only the process tree below it: programs of tracing ' +
      "types see no other process. It ends when the command ends, with the command's exit status; signals are passed " +
      "on to the command. The command's standard output is left alone on a terminal, and goes to standard error where " +
      'the report is JSON.',
    'With --pcap, the XDP program in FILE is run over every packet of a capture (pcap or pcapng) on the user engine, ' +
      'which needs no privileges and no Linux.',
    'FILE may be assembly too (.asm or .s): waggle prog dump --help says how it is written.',
    'The module itself is not executed: what is outside of the probes and maps is for programs that import it.',
  ],
  options: [
    { name: 'pcap', value: 'CAPTURE', help: 'Run over the packets of this capture instead of in the kernel.' },
    {
      name: 'trace',
      help: 'With --pcap: print each step of one packet instead of running them all: the source line, the instruction, the registers and stack words that it changed.',
    },
    {
      name: 'packet',
      value: 'NUMBER',
      help: 'Which packet --trace shows; the first, 1, if not given. Those before it are run unseen.',
    },
    {
      name: 'coverage',
      help: 'With --pcap: print the source with how often each line ran, a ! where it never did.',
    },
    { name: 'output', short: 'o', value: 'FILE', help: 'Write the trace or the coverage to this file.' },
    { name: 'interface', value: 'NAME', help: 'The network interface that an XDP program attaches to.' },
    {
      name: 'set',
      value: 'NAME=NUMBER',
      multiple: true,
      help: 'Give a config value of the probe another value than its default. May be given more than once.',
    },
    ...OUTPUT_OPTIONS,
  ],
  examples: [
    {
      command: 'waggle run examples/exec-count.ts',
      help: 'Count the programs that are started, by name, until Ctrl-C.',
    },
    {
      command: "waggle run examples/exec-count.ts -- sh -c 'for i in 1 2 3; do /bin/true; done'",
      help: 'Count only what this command starts: true three times, sh once.',
    },
    {
      command: 'waggle run examples/exec-events.ts --duration 10s --json',
      help: 'Ten seconds of events, a line of JSON each.',
    },
    {
      command: 'waggle run examples/packet-count.ts --pcap traffic.pcapng',
      help: 'Packets and bytes by protocol, port and VLAN.',
    },
    {
      command: 'waggle run examples/packet-count.ts --pcap traffic.pcapng --trace --packet 7',
      help: 'What the seventh packet does, step by step.',
    },
    {
      command: 'waggle run examples/packet-count.ts --pcap traffic.pcapng --coverage',
      help: 'Which lines no packet of the capture comes to.',
    },
  ],
  sections: [
    {
      title: 'TRACE',
      paragraphs: [
        "A trace has the notation of the kernel verifier's log: R1=5, fp-8=0x12345678 for a word of the stack, ctx(), " +
          'pkt(off=14), pkt_end() and fp-16 for what is an address. A number that is the same as an address by accident ' +
          'looks like one; with --json all are hexadecimal numbers, and each step is a line with its type, position, slot, ' +
          'depth, insn, registers, stack and at.',
        'With --coverage and --json each line that became instructions is one of type coverage: file, line, text, count, ' +
          'insns, executed.',
      ],
    },
    {
      title: 'PRIVILEGES',
      paragraphs: [
        'Tracepoint probes need CAP_BPF and CAP_PERFMON, and read access to tracefs, which root has; XDP on an interface ' +
          'needs CAP_BPF and CAP_NET_ADMIN. --pcap needs none.',
      ],
    },
    {
      title: 'OUTPUT',
      paragraphs: [
        'Each line of JSON has a type: started (engine, sources, sourceToAttachedMs), map (map, entries as key and value, ' +
          'lost, final), event (map, data), warning, ended (reason, events received and lost, status) and error. Numbers ' +
          'beyond 2^53 are strings. What a program could not store because a map or buffer was full is counted as lost.',
      ],
    },
    {
      title: 'EXIT STATUS',
      paragraphs: [
        "0, or the command's own; 127 if the command can't be started; 1 on an error; 2 on a mistake in the command line.",
      ],
    },
  ],
  run: async (args) => {
    const [file, ...others] = args.positionals
    if (file === undefined) throw misuse(run, 'waggle run wants a file')
    if (others.length > 0)
      throw misuse(run, `waggle run takes one file, not also '${others[0]}'; a command stands after --`)
    if (args.command?.length === 0) throw misuse(run, 'there is no command after --')
    const pcap = lastValue(args, 'pcap')
    for (const name of ['trace', 'coverage']) {
      if (pcap === undefined && args.flags.has(name)) throw misuse(run, `--${name} wants a capture: --pcap CAPTURE`)
    }
    if (pcap === undefined) return await runInKernel(file, args, readOutput(run, args, args.command === undefined))
    if (args.command) throw misuse(run, '--pcap and a command do not go together')
    return await runOverCapture(file, pcap, args, readOutput(run, args, false))
  },
}

async function runInKernel(file: string, args: Arguments, output: Output): Promise<number> {
  using job = await prepareInKernel(file, args, output)
  return await job.watch()
}

/** Everything up to attached. Throws a Diagnostic `kernel/…` where this machine's kernel can't be used. */
export async function prepareInKernel(file: string, args: Arguments, output: Output): Promise<Job> {
  const began = performance.now()
  const { kernelEngine, kernelSupport } = await import('../engine/kernel/index.ts')
  const { kernelPlatform } = await import('../sdk/platform.ts')
  const support = kernelSupport()
  if (!support.ok) throw support.missing
  using engine = kernelEngine({ support })
  const platform = kernelPlatform(support, engine.tracefs)
  const source = await obtain(file, platform)
  const settings = settingsOf(args)
  const configured = configure(source.spec, settings)
  if (settings.size > 0) await verifySpec(configured, platform)
  const { Job } = await import('./job.ts')
  return await Job.prepare({
    file,
    began,
    engine,
    spec: args.command ? followTree(configured, platform) : configured,
    cached: source.cached,
    report: output.report,
    interval: output.interval,
    duration: output.duration,
    command: args.command,
    commandOutput: output.json ? 'stderr' : 'inherit',
    interface: lastValue(args, 'interface'),
  })
}

export async function runOverCapture(file: string, pcap: string, args: Arguments, output: Output): Promise<number> {
  const began = performance.now()
  const { Coverage, userEngine } = await import('../engine/user/index.ts')
  const { userEnginePlatform } = await import('../sdk/user-platform.ts')
  const platform = userEnginePlatform()
  const source = await obtain(file, platform)
  const settings = settingsOf(args)
  const spec = configure(source.spec, settings)
  if (settings.size > 0) await verifySpec(spec, platform)
  using sink = openSink(lastValue(args, 'output'))
  if (args.flags.has('trace')) {
    const { tracePacket } = await import('./trace.ts')
    return await tracePacket({
      file,
      spec,
      platform,
      pcap,
      packet: packetNumber(args),
      sink,
      json: args.flags.has('json'),
    })
  }
  const coverage = args.flags.has('coverage') ? new Coverage(spec.programs) : undefined
  const { runCaptureJob } = await import('./capture.ts')
  const engine = userEngine({ observer: coverage, verified: true })
  const status = await runCaptureJob({ file, began, engine, spec, cached: source.cached, report: output.report, pcap })
  if (coverage) {
    const { reportCoverage } = await import('./coverage.ts')
    const ownFile = args.values.has('output')
    reportCoverage(coverage, sink, ownFile ? args.flags.has('json') : output.json)
  }
  return status
}

function packetNumber(args: Arguments): number {
  const text = lastValue(args, 'packet') ?? '1'
  if (/^[1-9]\d{0,9}$/.test(text)) return Number(text)
  throw misuse(run, `--packet counts from 1, and '${text}' is no such number`)
}

function settingsOf(args: Arguments): Map<string, string> {
  const pairs = (args.values.get('set') ?? []).map((text): [string, string] => {
    const at = text.indexOf('=')
    if (at < 1) throw misuse(run, `--set wants NAME=NUMBER, not '${text}'`)
    return [text.slice(0, at), text.slice(at + 1)]
  })
  return new Map(pairs)
}
