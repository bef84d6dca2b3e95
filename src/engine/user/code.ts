// Code: a program made ready to be interpreted. Every instruction is matched with its row of the instruction
// table once, constants and map addresses are worked out, and what this engine cannot run is refused here, by
// name and with the reason, before the first run.

import { Diagnostic, type Location } from '../../diag/diagnostic.ts'
import { validate } from '../../isa/codec.ts'
import type { Insn } from '../../isa/insn.ts'
import type { LddwKind, Machine } from '../../isa/machine.ts'
import type { InsnRow } from '../../isa/row.ts'
import { rowOf } from '../../isa/table.ts'
import type { ProgramSpec } from '../../object/spec.ts'
import { HELPER_IDS } from '../../spec/gen/uapi.ts'
import type { HelperName } from '../../spec/helper.ts'
import { HELPERS as HELPER_TABLE } from '../../spec/helpers.ts'
import { HELPERS, type Helper, whyNot } from './helpers.ts'

/** One instruction, ready to run. */
export interface Step {
  readonly mean: InsnRow['mean']
  readonly insn: Insn
  /** The second slot of lddw. */
  readonly second: Insn | undefined
  /** The slot after it. */
  readonly next: number
  /** The immediate as a word: sign-extended, or for lddw all of it, resolved. */
  readonly constant: bigint
  /** For a helper call: what it calls, its name, and how many arguments it takes. */
  readonly helper: Helper | undefined
  readonly helperName: HelperName | undefined
  readonly arity: number
}

export interface Code {
  readonly spec: ProgramSpec
  /** By slot; undefined for the second slot of lddw. */
  readonly steps: readonly (Step | undefined)[]
  /** Slots of functions whose address the program takes. */
  readonly callbacks: ReadonlySet<number>
}

/** Function addresses (lddw func) lie above all memory; the low half is the slot. */
export const FUNCTION_BASE = 1n << 40n

/** Arguments of each helper; one that takes any number has five at most. */
const ARITY: ReadonlyMap<HelperName, number> = new Map(
  HELPER_TABLE.map(({ name, args, proto }) => [name, proto.includes('...') ? 5 : args.length]),
)

const helperNames: ReadonlyMap<number, HelperName> = new Map(
  Object.entries(HELPER_IDS).map(([name, id]) => [id, name as HelperName]),
)

/** `addressOf` resolves relocations. Throws a Diagnostic for what this engine can't run. */
export function prepare(spec: ProgramSpec, addresses: ReadonlyMap<number, bigint>): Code {
  const broken = validate(spec.insns)
  if (broken) throw broken
  const steps: (Step | undefined)[] = new Array(spec.insns.length).fill(undefined)
  const callbacks = new Set<number>()
  for (let slot = 0; slot < spec.insns.length; ) {
    const insn = spec.insns[slot]
    const row = rowOf(insn)!
    const second = row.slots === 2 ? spec.insns[slot + 1] : undefined
    const probe = new Probe()
    row.mean(probe, insn, second)
    const refusal = probe.refusal
    if (refusal) throw refuse(spec, slot, refusal)
    const constant = second ? wide(spec, slot, probe, second, addresses) : BigInt.asUintN(64, BigInt(insn.imm))
    const { helper, helperName } = probe
    const arity = helperName === undefined ? 0 : (ARITY.get(helperName) ?? 5)
    const next = slot + row.slots
    steps[slot] = { mean: row.mean, insn, second, next, constant, helper, helperName, arity }
    if (probe.lddwKind === 'func') callbacks.add(slot + 1 + insn.imm)
    slot = next
  }
  for (const slot of callbacks) if (steps[slot] === undefined) callbacks.delete(slot)
  return { spec, steps, callbacks }
}

/** The value of an lddw. */
function wide(
  spec: ProgramSpec,
  slot: number,
  probe: Probe,
  second: Insn,
  addresses: ReadonlyMap<number, bigint>,
): bigint {
  const resolved = addresses.get(slot)
  if (resolved !== undefined) return resolved
  const { imm } = spec.insns[slot]
  if (probe.lddwKind === 'func') return FUNCTION_BASE + BigInt(slot + 1 + imm)
  if (probe.lddwKind === 'imm') return (BigInt(second.imm >>> 0) << 32n) | BigInt(imm >>> 0)
  throw refuse(spec, slot, {
    what: `an immediate of kind ${probe.lddwKind} that no relocation resolves`,
    help: 'the object must name the map in its relocations: map ids and file descriptors mean nothing here',
  })
}

/** Where a slot comes from in the source, if the object says. */
export function sourceOf(spec: ProgramSpec, slot: number): Location | undefined {
  const line = spec.lines.findLast((entry) => entry.insn <= slot)
  if (!line) return undefined
  return { file: line.file, line: line.line, column: line.column, text: line.text }
}

/** `insn 7 of onPacket`, with the subprogram where it is in one. */
export function placeOf(spec: ProgramSpec, slot: number): string {
  const func = spec.functions.findLast((entry) => entry.insn <= slot)
  return `insn ${slot} of ${func && func.insn > 0 ? `${func.name} (${spec.name})` : spec.name}`
}

interface Refusal {
  readonly what: string
  readonly help: string
}

const refuse = (spec: ProgramSpec, slot: number, { what, help }: Refusal): Diagnostic =>
  new Diagnostic({
    code: 'user/unsupported',
    message: `the user engine can't run program ${spec.name}: ${what}`,
    at: sourceOf(spec, slot),
    notes: [placeOf(spec, slot)],
    help,
    errno: 'EINVAL',
  })

const ON_KERNEL = 'run it on the kernel engine'

/** A machine that runs nothing: it only sees what an instruction asks for that this engine may not have. */
class Probe implements Machine<undefined> {
  refusal: Refusal | undefined
  helper: Helper | undefined
  helperName: HelperName | undefined
  lddwKind: LddwKind | undefined

  get(): undefined {}
  set(reg: number): void {
    if (reg === 10) this.refusal = { what: 'it writes r10, the frame pointer', help: 'use another register' }
  }
  imm(): undefined {}
  bin(): undefined {}
  neg(): undefined {}
  extend(): undefined {}
  swap(): undefined {}
  copy(): undefined {}
  load(): undefined {}
  store(): void {}
  atomic(): undefined {}
  loadAcquire(): undefined {}
  storeRelease(): void {}
  loadPacket(): undefined {}
  branch(): void {}
  jump(): void {}
  mayGoto(): void {}
  exit(): void {}

  lddw(kind: LddwKind): undefined {
    this.lddwKind = kind
    if (kind === 'btf_id') this.refusal = { what: 'it reads a variable of the kernel by its BTF id', help: ON_KERNEL }
  }

  cast(): undefined {
    this.refusal = { what: 'it uses an arena, which this engine does not have', help: ON_KERNEL }
  }

  callReg(): void {
    this.refusal = {
      what: 'callx, a call through a register, is refused by the kernel too',
      help: 'call the function by its name',
    }
  }

  call(kind: 'helper' | 'local' | 'kfunc', id: number): void {
    if (kind === 'kfunc') {
      this.refusal = { what: `it calls kernel function ${id}, and there is no kernel here`, help: ON_KERNEL }
    }
    if (kind !== 'helper') return
    const name = helperNames.get(id)
    if (name === undefined || name === ('unspec' as string)) {
      this.refusal = {
        what: `helper ${id} does not exist`,
        help: 'helpers are numbered as in include/uapi/linux/bpf.h',
      }
      return
    }
    this.helperName = name
    this.helper = HELPERS[name]
    if (!this.helper) this.refusal = { what: `no helper bpf_${name} here: ${whyNot(name)}`, help: ON_KERNEL }
  }
}
