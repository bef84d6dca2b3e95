// Debugger: one run of a program, forwards and backwards. The first run is recorded only as far as where it went
// (slot and depth of each instruction) and what the host answered. A state in the middle is made by running again
// from the start, on a fresh collection with the same answers, and stopping there: so going back undoes registers,
// stack, memory, packet and maps exactly, whatever helpers did to them. What the world did is not undone: the
// clock has gone on (the program is told its recorded times again), and what was printed stays printed.

import { Diagnostic, type Location } from '../../diag/diagnostic.ts'
import type { ObjectSpec, ProgramSpec } from '../../object/spec.ts'
import type { BpfMap, Collection, Engine, RunInput } from '../engine.ts'
import { placeOf, sourceOf } from './code.ts'
import { UserCollection } from './collection.ts'
import { type Host, host } from './host.ts'
import type { ObservedFrame, ObservedMachine } from './observer.ts'
import { Recording } from './recording.ts'
import { STACK_SIZE } from './stacks.ts'

export interface DebuggerOptions {
  readonly spec: ObjectSpec
  /** The program's name; the first one if absent. */
  readonly program?: string
  readonly input: RunInput
  /** Brings the collection to where the run begins: fills maps, runs other input. Called again for each replay. */
  readonly setup?: (collection: Collection) => void
  readonly host?: Partial<Host>
  /** Instructions that the run may execute; 1 million if absent. */
  readonly fuel?: number
}

/** A slot of the program, or a source line as `file:line`; of the file's path the end is enough. */
export type Breakpoint = number | string

export interface DebugFrame {
  /** The function, by its name. */
  readonly name: string
  /** The next instruction; in a caller, the call. */
  readonly slot: number
  readonly at: Location | undefined
  /** r10. */
  readonly framePointer: number
  /** The 512 bytes below r10. */
  readonly stack: Uint8Array
}

export interface DebugState {
  /** How many instructions have run. */
  readonly position: number
  /** r0 to r10, unsigned. */
  readonly registers: readonly bigint[]
  /** The innermost first; none at the end. */
  readonly frames: readonly DebugFrame[]
  /** What the program sees of its packet; empty where it has none. */
  readonly packet: Uint8Array
}

/** How the run ended: with a value, or a fault. */
export type DebugEnd = { readonly retval: number } | { readonly fault: Diagnostic }

const DEFAULT_FUEL = 1_000_000
/** States that one replay keeps, so that walking through a run is not a replay a step. */
const WINDOW = 64
/** Thrown by the observer to stop a replay. */
const STOP = Symbol('stop')

/** A collection that stands still in the middle of the run. */
interface Halted {
  readonly position: number
  readonly collection: UserCollection
  readonly machine: ObservedMachine | undefined
}

export class Debugger implements Disposable {
  readonly program: ProgramSpec
  /** How the run ends. */
  readonly end: DebugEnd
  readonly #options: DebuggerOptions
  readonly #recording: Recording
  readonly #engine: Engine
  /** Where the run went, by position. */
  readonly #slots: number[] = []
  readonly #depths: number[] = []
  readonly #programs: ProgramSpec[] = []
  readonly #breakpoints = new Set<Breakpoint>()
  #position = 0
  #states = new Map<number, DebugState>()
  #halted: Halted | undefined

  /** Runs it once. Throws a Diagnostic where the object or the input is refused; a fault in the run is its `end`. */
  constructor(options: DebuggerOptions) {
    this.#options = options
    this.#recording = new Recording(host(options.host))
    this.#engine = {
      name: 'user',
      description: 'user engine (debugger)',
      load: async (spec) =>
        new UserCollection({
          engine: this.#engine,
          spec,
          host: host(),
          fuel: 0,
          memory: undefined,
          jit: 'never',
          verified: false,
        }),
    }
    this.program = programOf(options.spec, options.program)
    const { halted, end } = this.#replay(Number.POSITIVE_INFINITY, (slot, { depth, program }) => {
      this.#slots.push(slot)
      this.#depths.push(depth)
      this.#programs.push(program)
    })
    this.#halted = halted
    this.end = end
  }

  /** How many instructions have run at this point. From 0, before the first, to `length`, after the last. */
  get position(): number {
    return this.#position
  }

  /** How many instructions the whole run has. */
  get length(): number {
    return this.#slots.length
  }

  /** The next instruction; undefined at the end. */
  get slot(): number | undefined {
    return this.#slots[this.#position]
  }

  /** Where the next instruction comes from. */
  get at(): Location | undefined {
    return this.#locate(this.#position)
  }

  /** 1 in the program itself, one more in each call; 0 at the end. */
  get depth(): number {
    return this.#depthAt(this.#position)
  }

  /** Goes to any point. Beyond either end it stops there. Gives the position. */
  seek(position: number): number {
    this.#position = Math.max(0, Math.min(this.length, Math.trunc(position)))
    return this.#position
  }

  /** `count` instructions on, or back if negative. */
  step(count = 1): number {
    return this.seek(this.#position + count)
  }

  /** To the next source line that runs, into calls. */
  stepInto(): number {
    return this.#forward((p) => this.#startsLine(p))
  }

  /** To the next source line of this function, or of its caller at its end. */
  stepOver(): number {
    const [from, depth] = [this.#position, this.depth]
    return this.#forward((p) => this.#startsLine(p) && (this.#depthAt(p) < depth || this.#elsewhere(p, from, depth)))
  }

  /** To where this function's caller goes on. */
  stepOut(): number {
    const { depth } = this
    return this.#forward((p) => this.#depthAt(p) < depth)
  }

  /** To the beginning of the source line that ran before, in a function that was called there as well. */
  backInto(): number {
    return this.#backward((p) => this.#startsLine(p))
  }

  /** To the beginning of the line of this function, or of its caller, that ran before. */
  backOver(): number {
    // At the end no function runs: from there it is the program's own last line.
    const depth = Math.max(1, this.depth)
    return this.#backward(
      (p) => this.#startsLine(p) && this.#depthAt(p) <= depth && !(p > 0 && this.#depthAt(p - 1) > this.#depthAt(p)),
    )
  }

  /** To the call that this function was entered by. */
  backOut(): number {
    const { depth } = this
    return this.#backward((p) => this.#depthAt(p) < depth)
  }

  /** To the next breakpoint, or the end. */
  run(): number {
    return this.#forward((p) => this.#breaks(p))
  }

  /** To the breakpoint before, or the start. */
  runBack(): number {
    return this.#backward((p) => this.#breaks(p))
  }

  /** Throws a Diagnostic (`user/no-such-line`) where the program has no instruction there. */
  break(at: Breakpoint): void {
    const { lines, insns, name } = this.program
    const known = typeof at === 'number' ? at >= 0 && at < insns.length : lines.some((line) => isAt(line, at))
    if (!known) throw nothingThere(at, name, lines)
    this.#breakpoints.add(at)
  }

  /** Takes a breakpoint away again. Whether there was one. */
  unbreak(at: Breakpoint): boolean {
    return this.#breakpoints.delete(at)
  }

  /** Registers, stack and packet at this point, copied. */
  get state(): DebugState {
    const position = this.#position
    const known = this.#states.get(position)
    if (known) return known
    const from = position - (position % WINDOW)
    const states = new Map<number, DebugState>()
    let at = 0
    const last = Math.min(from + WINDOW, this.length)
    const { halted, end } = this.#replay(last, (_, machine) => {
      if (at >= from) states.set(at, stateOf(at, machine))
      at++
    })
    if (halted.machine && last === this.length) states.set(last, this.#final(last, halted.machine, end))
    this.#keep(halted)
    this.#states = states
    const state = states.get(position)
    if (state === undefined) throw astray(this.program, position)
    return state
  }

  /** The maps at this point, by name. To look at: what is written into them is gone with the next step. */
  get maps(): ReadonlyMap<string, BpfMap> {
    return this.#at().collection.maps
  }

  /** A copy of memory at this point, wherever the program may read; undefined elsewhere. The context is at r1 of position 0. */
  read(address: number | bigint, size: number): Uint8Array | undefined {
    const at = Number(address)
    // Stacks are closed where a run was stopped, so they are read from the state.
    const frame = this.state.frames.find(({ framePointer: end }) => at >= end - STACK_SIZE && at + size <= end)
    if (frame) return frame.stack.slice(at - frame.framePointer + STACK_SIZE).slice(0, size)
    const memory = this.#at().machine?.memory
    return memory?.allows(at, size, false) ? memory.bytes.slice(at, at + size) : undefined
  }

  [Symbol.dispose](): void {
    this.#keep(undefined)
  }

  #at(): Halted {
    const { length, position } = this
    if (this.#halted?.position !== position) {
      const { halted } = this.#replay(position < length ? position : Number.POSITIVE_INFINITY, () => {})
      this.#keep(halted)
      return halted
    }
    return this.#halted
  }

  #keep(halted: Halted | undefined): void {
    this.#halted?.collection.close()
    this.#halted = halted
  }

  /** Runs to `stop` on a fresh collection; `see` is called before each instruction, also the one at `stop`. */
  #replay(stop: number, see: (slot: number, machine: ObservedMachine) => void): { halted: Halted; end: DebugEnd } {
    const { spec, input, setup, fuel = DEFAULT_FUEL } = this.#options
    let at = -1
    let seen: ObservedMachine | undefined
    const before = (slot: number, machine: ObservedMachine): void => {
      // What `setup` runs is not the run.
      if (at < 0) return
      seen = machine
      see(slot, machine)
      if (at === stop) throw STOP
      at++
    }
    const collection = new UserCollection({
      engine: this.#engine,
      spec,
      host: this.#recording.play(),
      fuel,
      memory: undefined,
      jit: 'never',
      verified: false,
      observer: { before },
    })
    let end: DebugEnd = { retval: 0 }
    try {
      setup?.(collection)
      at = 0
      end = { retval: collection.progs.get(this.program.name)!.run({ ...input, repeat: 1 }).retval }
    } catch (error) {
      if (error instanceof Diagnostic && at > 0) end = { fault: error }
      else if (error !== STOP) {
        collection.close()
        throw error
      }
    }
    return { halted: { position: at, collection, machine: seen }, end }
  }

  /** After the last instruction: no function runs, and r0 is the result. */
  #final(position: number, machine: ObservedMachine, end: DebugEnd): DebugState {
    const registers = [...machine.registers]
    if ('retval' in end && Number(BigInt.asUintN(32, registers[0])) !== end.retval) registers[0] = BigInt(end.retval)
    return { position, registers, frames: [], packet: machine.packet.bytes() }
  }

  #locate(position: number): Location | undefined {
    const slot = this.#slots[position]
    return slot === undefined ? undefined : sourceOf(this.#programs[position], slot)
  }

  #depthAt(position: number): number {
    return this.#depths[position] ?? 0
  }

  /** Whether another line, or a function, begins here. Without lines each instruction is one. */
  #startsLine(position: number): boolean {
    if (position === 0 || this.#depthAt(position) !== this.#depthAt(position - 1)) return true
    return !this.#sameLine(position, position - 1)
  }

  #sameLine(a: number, b: number): boolean {
    const [one, other] = [this.#locate(a), this.#locate(b)]
    return one !== undefined && one.line === other?.line && one.file === other.file
  }

  /** In the same function but on another line, so that coming back from a call in the middle of a line is no stop. */
  #elsewhere(position: number, from: number, depth: number): boolean {
    return this.#depthAt(position) === depth && !this.#sameLine(position, from)
  }

  #breaks(position: number): boolean {
    const slot = this.#slots[position]
    if (slot === undefined) return false
    if (this.#breakpoints.has(slot)) return true
    if (!this.#startsLine(position)) return false
    const at = this.#locate(position)
    return at !== undefined && [...this.#breakpoints].some((each) => typeof each === 'string' && isAt(at, each))
  }

  #forward(stop: (position: number) => boolean): number {
    let position = this.#position
    while (position < this.length && !(++position === this.length || stop(position)));
    return this.seek(position)
  }

  #backward(stop: (position: number) => boolean): number {
    let position = this.#position
    while (position > 0 && !(--position === 0 || stop(position)));
    return this.seek(position)
  }
}

function stateOf(position: number, machine: ObservedMachine): DebugState {
  const { registers, program, memory, packet } = machine
  const frame = ({ slot, framePointer }: ObservedFrame): DebugFrame => ({
    name: program.functions.findLast(({ insn }) => insn <= slot)?.name ?? program.name,
    slot,
    at: sourceOf(program, slot),
    framePointer,
    stack: memory.bytes.slice(framePointer - STACK_SIZE, framePointer),
  })
  return { position, registers: [...registers], frames: machine.frames().map(frame).reverse(), packet: packet.bytes() }
}

/** `probe.ts:12`, where the file's path may have more before it. */
function isAt({ file, line }: { readonly file: string; readonly line: number }, at: Breakpoint): boolean {
  const whole = `${file}:${line}`
  return whole === at || (typeof at === 'string' && whole.endsWith(`/${at}`))
}

function programOf(spec: ObjectSpec, name: string | undefined): ProgramSpec {
  const program = name === undefined ? spec.programs[0] : spec.programs.find((each) => each.name === name)
  if (program) return program
  throw new Diagnostic({
    code: 'user/no-such-program',
    message: name === undefined ? `${spec.name} has no program` : `${spec.name} has no program ${name}`,
    help: `it has ${spec.programs.map((each) => each.name).join(', ') || 'none'}`,
  })
}

function nothingThere(at: Breakpoint, name: string, lines: ProgramSpec['lines']): Diagnostic {
  const numbers = [...new Set(lines.map(({ line }) => line))].sort((a, b) => a - b)
  return new Diagnostic({
    code: 'user/no-such-line',
    message: `${name} has no instruction at ${at}`,
    help:
      typeof at === 'number'
        ? 'waggle prog dump shows the instructions with their numbers'
        : `name a line as file.ts:12; these lines became instructions: ${numbers.join(', ') || 'none is known'}`,
  })
}

/** Only if a replay went another way than the first run: something outside of the host was asked. */
const astray = (program: ProgramSpec, position: number): Diagnostic =>
  new Diagnostic({
    code: 'user/not-deterministic',
    message: `running ${program.name} again took another way, before instruction ${position} of the run`,
    notes: [placeOf(program, 0)],
    help: '`setup` must do the same each time that it is called',
  })
