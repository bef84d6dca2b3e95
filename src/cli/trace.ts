// waggle run --trace: every step of one packet through a program, with the source line where it changes and what
// each instruction changed, in the notation of the kernel verifier's log.

import { Diagnostic } from '../diag/diagnostic.ts'
import type { Engine } from '../engine/engine.ts'
import { type Changed, Tracer, type TraceStep, userEngine } from '../engine/user/index.ts'
import { format } from '../isa/disassemble.ts'
import type { ObjectSpec } from '../object/spec.ts'
import { isAssembly } from '../sdk/source.ts'
import type { Platform } from '../spec/platform.ts'
import { verdictName } from '../spec/verdict.ts'
import { ethernetPackets, packetProgram } from './capture.ts'
import { namesOf } from './names.ts'
import type { Sink } from './sink.ts'

export interface TraceJob {
  readonly file: string
  readonly spec: ObjectSpec
  readonly platform: Platform
  readonly pcap: string
  /** Counted from 1, as packet analysers do. */
  readonly packet: number
  readonly sink: Sink
  readonly json: boolean
}

/** Runs the packets before it unseen, so that maps stand as they would, then traces this one. Gives the exit status. */
export async function tracePacket(job: TraceJob): Promise<number> {
  const { file, spec, platform, pcap, packet, sink } = job
  const printer = job.json ? new JsonPrinter(platform, sink) : new TextPrinter(platform, sink)
  let tracer: Tracer | undefined
  let steps = 0
  const engine: Engine = userEngine({ observer: { before: (slot, machine) => tracer?.before(slot, machine) } })
  using collection = await engine.load(spec)
  const prog = packetProgram([...collection.progs.values()], file)
  let number = 0
  for (const { data, ethernet } of ethernetPackets(pcap)) {
    number++
    if (number < packet) {
      if (ethernet) prog.run({ data })
      continue
    }
    if (!ethernet) throw notEthernet(pcap, packet)
    printer.begin(prog.spec, number, data.length)
    tracer = new Tracer((step) => {
      steps++
      printer.step(step)
    })
    try {
      const { retval } = prog.run({ data })
      tracer.end()
      printer.end(verdictName(prog.spec.type, retval), steps)
    } finally {
      // The step at which a run broke off is the one that is looked for.
      tracer.end()
    }
    return 0
  }
  throw noSuchPacket(pcap, packet, number)
}

interface Printer {
  begin(program: { readonly name: string; readonly section: string }, packet: number, bytes: number): void
  step(step: TraceStep): void
  end(verdict: string, steps: number): void
}

/** Where the comment with the changes begins, in columns, if the instruction is not longer. */
const CHANGES_AT = 46

class TextPrinter implements Printer {
  readonly #platform: Platform
  readonly #sink: Sink
  #line = ''

  constructor(platform: Platform, sink: Sink) {
    this.#platform = platform
    this.#sink = sink
  }

  begin({ section, name }: { section: string; name: string }, packet: number, bytes: number): void {
    this.#sink.write(`${this.#sink.style('1', `packet ${packet}`)}, ${bytes} bytes, through ${section} ${name}\n`)
  }

  step({ program, slot, depth, at, registers, stack }: TraceStep): void {
    const { style, write } = this.#sink
    const indent = '  '.repeat(depth - 1)
    const place = at ? `${at.file}:${at.line}` : ''
    // Assembly is its own source.
    if (at && `${place} ${depth}` !== this.#line && !isAssembly(at.file))
      write(`${indent}${style('1', `; ${(at.text ?? '').trim()}`)} ${style('2', `@ ${place}`)}\n`)
    this.#line = `${place} ${depth}`
    const { opcode } = program.insns[slot]
    const text = format(program.insns[slot], program.insns[slot + 1], namesOf(program, this.#platform), slot)
    const head = `${indent}${`${slot}`.padStart(4)}: ${style('2', `(${opcode.toString(16).padStart(2, '0')})`)} `
    const changes = [
      ...[...registers].map(([reg, changed]) => `R${reg}=${notation(changed)}`),
      ...[...stack].map(([offset, changed]) => `fp${offset}=${notation(changed)}`),
    ].join(' ')
    const width = indent.length + 11 + text.length
    const gap = ' '.repeat(Math.max(1, CHANGES_AT - width))
    write(`${head}${text}${changes ? `${gap}${style('36', `; ${changes}`)}` : ''}\n`)
  }

  end(verdict: string, steps: number): void {
    this.#sink.write(`${this.#sink.style('1', verdict)} after ${steps} instructions\n`)
  }
}

class JsonPrinter implements Printer {
  readonly #platform: Platform
  readonly #sink: Sink
  #position = 0

  constructor(platform: Platform, sink: Sink) {
    this.#platform = platform
    this.#sink = sink
  }

  begin({ name }: { name: string }, packet: number, bytes: number): void {
    this.#line({ type: 'trace', program: name, packet, bytes })
  }

  step({ program, slot, depth, at, registers, stack }: TraceStep): void {
    const insn = format(program.insns[slot], program.insns[slot + 1], namesOf(program, this.#platform), slot)
    const plain = (all: ReadonlyMap<number, Changed>, prefix: string) =>
      Object.fromEntries([...all].map(([key, { value }]) => [`${prefix}${key}`, `0x${value.toString(16)}`]))
    this.#line({
      type: 'step',
      position: this.#position++,
      program: program.name,
      slot,
      depth,
      insn,
      registers: plain(registers, 'r'),
      stack: plain(stack, 'fp'),
      at: at && { file: at.file, line: at.line, column: at.column },
    })
  }

  end(verdict: string, steps: number): void {
    this.#line({ type: 'verdict', verdict, steps })
  }

  #line(data: Record<string, unknown>): void {
    this.#sink.write(`${JSON.stringify(data)}\n`)
  }
}

/** Numbers up to here are decimal in the kernel's log as well. */
const DECIMAL = 0xffffn

/** A value as the kernel's log has it: `5`, `0x12345678`, `fp-8`, `pkt(off=14)`, `ctx()`. */
function notation({ value, points }: Changed): string {
  if (points) {
    const { what, offset } = points
    if (what === 'fp') return `fp${offset}`
    return `${what}(${offset === 0 ? '' : `off=${offset}`})`
  }
  const signed = BigInt.asIntN(64, value)
  return signed >= -DECIMAL && signed <= DECIMAL ? `${signed}` : `0x${value.toString(16)}`
}

const notEthernet = (pcap: string, packet: number): Diagnostic =>
  new Diagnostic({
    code: 'cli/not-ethernet',
    message: `packet ${packet} of ${pcap} is not Ethernet, and an XDP program expects that`,
    help: 'name another with --packet',
  })

const noSuchPacket = (pcap: string, packet: number, count: number): Diagnostic =>
  new Diagnostic({
    code: 'cli/no-such-packet',
    message: `${pcap} has ${count} packets, and no packet ${packet}`,
    help: count > 0 ? `name one from 1 to ${count} with --packet` : 'give a capture with packets',
  })
