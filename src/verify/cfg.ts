// The structure of a program, checked before any path is walked: every slot is an instruction, jumps stay in
// their function and off the second half of lddw, no function runs off its end, everything can be reached and
// nothing calls itself (the kernel's check_subprogs and check_cfg). Found on the way: functions, the points
// where states are worth comparing, and which registers are live (a backward data-flow pass).

import type { Insn } from '../isa/insn.ts'
import type { CallKind, LddwKind, Machine } from '../isa/machine.ts'
import { explain, type NamedRow, rowOf } from '../isa/table.ts'
import { Refusal } from './refusal.ts'

export interface Subprog {
  readonly start: number
  /** One past the last slot. */
  readonly end: number
  /** Indices of the functions it calls, and where. */
  readonly calls: readonly { readonly to: number; readonly insn: number }[]
}

export interface Structure {
  /** By slot; undefined for the second half of lddw. */
  readonly rows: readonly (NamedRow | undefined)[]
  readonly subprogs: readonly Subprog[]
  /** Index of the function that a slot is in. */
  readonly subprogOf: Uint16Array
  /** 1 where a state is worth comparing with earlier ones. */
  readonly prune: Uint8Array
  /** Bit r is set if register r may be read from here on before it is written. */
  readonly live: Uint16Array
}

/** The kernel's limit on functions of one program (BPF_MAX_SUBPROGS). */
const MAX_SUBPROGS = 256
/** r1 to r5, which a call takes and destroys. */
const ARGS = 0b111110

/**
 * A machine whose values are nothing: it notes which registers an instruction reads and writes, and where
 * control goes.
 */
class Scan implements Machine<undefined> {
  uses = 0
  defs = 0
  /** Slots after the next one, of a jump of any kind. */
  target: number | undefined
  falls = true
  callee: { readonly kind: CallKind; readonly id: number } | undefined
  lddwKind: LddwKind | undefined
  readonly #argsOf: (helper: number) => number

  constructor(argsOf: (helper: number) => number) {
    this.#argsOf = argsOf
  }

  get(reg: number): undefined {
    if ((this.defs & (1 << reg)) === 0) this.uses |= 1 << reg
  }
  set(reg: number): void {
    this.defs |= 1 << reg
  }
  imm(): undefined {}
  lddw(kind: LddwKind): undefined {
    this.lddwKind = kind
  }
  bin(): undefined {}
  neg(): undefined {}
  extend(): undefined {}
  swap(): undefined {}
  copy(): undefined {}
  cast(): undefined {}
  load(): undefined {}
  store(): void {}
  atomic(): undefined {}
  loadAcquire(): undefined {}
  storeRelease(): void {}
  loadPacket(): undefined {
    this.get(6)
    this.defs |= ARGS
  }
  branch(_op: unknown, _width: unknown, _a: undefined, _b: undefined, off: number): void {
    this.target = off
  }
  jump(off: number): void {
    this.target = off
    this.falls = false
  }
  mayGoto(off: number): void {
    this.target = off
  }
  call(kind: CallKind, id: number): void {
    this.callee = { kind, id }
    this.uses |= kind === 'helper' ? ARGS & ((2 << this.#argsOf(id)) - 1) : ARGS
    this.defs |= ARGS | 1
  }
  callReg(reg: number): void {
    this.get(reg)
    this.uses |= ARGS
    this.defs |= ARGS | 1
  }
  exit(): void {
    this.get(0)
    this.falls = false
  }
}

/** What one instruction reads, writes and where it leads, found once. */
interface Flow {
  readonly uses: number
  readonly defs: number
  /** Absolute slots that may come next. */
  readonly next: readonly number[]
  /** Absolute slot that it jumps to, if any. */
  readonly target: number | undefined
  readonly falls: boolean
  /** Absolute slot of the function that it calls. */
  readonly callee: number | undefined
}

const bad = (message: string, at: number, help?: string): Refusal => new Refusal('structure', message, help, at)

/** What a platform says of instructions. */
export interface Target {
  /** The number of arguments of a helper. */
  readonly argsOf: (helper: number) => number
  /** Whether it has this instruction. */
  readonly has: (row: NamedRow) => boolean
}

/** Rows of the table, and the flow of each instruction. Throws a Refusal on what is no instruction. */
function decode(insns: readonly Insn[], { argsOf, has }: Target): [(NamedRow | undefined)[], Flow[]] {
  const rows: (NamedRow | undefined)[] = []
  const flows: Flow[] = []
  for (let at = 0; at < insns.length; at++) {
    const insn = insns[at]
    const row = rowOf(insn)
    if (!row) {
      const why = explain(insn, at)
      throw bad(why.message, at, why.help)
    }
    if (!has(row))
      throw bad(`${row.name} needs ${row.since === 'none' ? 'an engine that is not Linux' : `Linux ${row.since}`}`, at)
    checkOperands(insn, row, at)
    const scan = new Scan(argsOf)
    row.mean(scan, insn, insns[at + 1])
    const after = at + row.slots
    const target = scan.target === undefined ? undefined : after + scan.target
    const next = scan.falls ? [after] : []
    if (target !== undefined) next.push(target)
    const callee = scan.callee?.kind === 'local' ? after + scan.callee.id : undefined
    rows.push(row)
    flows.push({ uses: scan.uses, defs: scan.defs, next, target, falls: scan.falls, callee })
    if (row.slots === 1) continue
    if (insns[at + 1]?.opcode !== 0) throw bad('lddw lacks its second half', at)
    at++
    rows.push(undefined)
    flows.push({ uses: 0, defs: 0, next: [], target: undefined, falls: false, callee: undefined })
  }
  return [rows, flows]
}

/** Operands that the table allows and the kernel does not. */
function checkOperands(insn: Insn, row: NamedRow, at: number): void {
  const op = row.name.match(/^([a-z]+?)(32|64)_imm$/)
  if (op && /^s?(div|mod)$/.test(op[1]) && insn.imm === 0) {
    throw bad(
      'this divides by the constant 0',
      at,
      'divide by something else: the kernel refuses a constant divisor of 0',
    )
  }
  if (op && /^(lsh|rsh|arsh)$/.test(op[1]) && (insn.imm < 0 || insn.imm >= Number(op[2]))) {
    throw bad(`this shifts a ${op[2]}-bit number by ${insn.imm} bits`, at, `shift by 0 to ${Number(op[2]) - 1}`)
  }
}

/** Where functions begin: at 0 and at each target of a call. */
function findSubprogs(flows: readonly Flow[], rows: readonly (NamedRow | undefined)[]): Subprog[] {
  const starts = new Set([0])
  for (const [at, { callee }] of flows.entries()) {
    if (callee === undefined) continue
    if (!rows[callee]) throw bad('this calls a function outside of the program', at)
    starts.add(callee)
  }
  if (starts.size > MAX_SUBPROGS)
    throw bad(`a program may have ${MAX_SUBPROGS} functions, this one has ${starts.size}`, 0)
  const sorted = [...starts].sort((a, b) => a - b)
  const indexOf = new Map(sorted.map((start, i) => [start, i]))
  return sorted.map((start, i) => {
    const end = sorted[i + 1] ?? flows.length
    const calls: { to: number; insn: number }[] = []
    for (let at = start; at < end; at++) {
      const to = flows[at].callee
      if (to !== undefined) calls.push({ to: indexOf.get(to) ?? 0, insn: at })
    }
    return { start, end, calls }
  })
}

function checkJumps(subprog: Subprog, flows: readonly Flow[], rows: readonly (NamedRow | undefined)[]): void {
  const { start, end } = subprog
  for (let at = start; at < end; at++) {
    const { target } = flows[at]
    if (target === undefined) continue
    if (target < start || target >= end) throw bad(`this jumps out of its function, to instruction ${target}`, at)
    if (!rows[target]) throw bad('this jumps into the middle of a 16-byte instruction', at)
  }
  const last = rows[end - 1] ? end - 1 : end - 2
  if (flows[last].falls) throw bad('the function runs past its end', last, 'end it with `exit` (a `return`)')
}

function checkReachable(flows: readonly Flow[], rows: readonly (NamedRow | undefined)[]): void {
  const seen = new Uint8Array(flows.length)
  const work = [0]
  for (let at = work.pop(); at !== undefined; at = work.pop()) {
    if (seen[at]) continue
    seen[at] = 1
    work.push(...flows[at].next)
    const { callee } = flows[at]
    if (callee !== undefined) work.push(callee)
  }
  for (let at = 0; at < flows.length; at++) {
    if (seen[at] || !rows[at]) continue
    const help = 'remove it: the kernel refuses a program with instructions that nothing leads to'
    throw new Refusal('unreachable', 'this instruction can never be reached', help, at)
  }
}

/** The kernel's limit on nested calls (MAX_CALL_FRAMES). */
export const MAX_FRAMES = 8

/** Refuses recursion and chains of calls that are too deep. */
function checkCalls(subprogs: readonly Subprog[]): void {
  const visit = (index: number, chain: readonly number[]): void => {
    for (const { to, insn } of subprogs[index].calls) {
      if (to === index || chain.includes(to)) {
        throw bad(
          'this function calls itself, directly or through others',
          insn,
          'write it as a loop: there is no recursion in BPF',
        )
      }
      if (chain.length + 2 > MAX_FRAMES) throw bad(`calls nest more than ${MAX_FRAMES} deep here`, insn)
      visit(to, [...chain, index])
    }
  }
  visit(0, [])
}

function findPrunePoints(flows: readonly Flow[]): Uint8Array {
  const prune = new Uint8Array(flows.length)
  for (const [at, { target, falls, callee }] of flows.entries()) {
    if (target !== undefined) {
      prune[target] = 1
      if (falls) prune[at] = 1
    }
    if (callee !== undefined) {
      prune[at] = 1
      prune[at + 1] = 1
    }
  }
  return prune
}

function findLive(flows: readonly Flow[]): Uint16Array {
  const live = new Uint16Array(flows.length)
  for (let changed = true; changed; ) {
    changed = false
    for (let at = flows.length - 1; at >= 0; at--) {
      const { uses, defs, next } = flows[at]
      let out = 0
      for (const to of next) out |= live[to]
      const now = (out & ~defs) | uses
      if (now !== live[at]) {
        live[at] = now
        changed = true
      }
    }
  }
  return live
}

/**
 * Checks the structure and says what it is. Throws a Refusal that names the instruction.
 */
export function structureOf(insns: readonly Insn[], target: Target): Structure {
  if (insns.length === 0) throw bad('the program has no instructions', 0)
  const [rows, flows] = decode(insns, target)
  const subprogs = findSubprogs(flows, rows)
  const subprogOf = new Uint16Array(insns.length)
  for (const [i, subprog] of subprogs.entries()) {
    checkJumps(subprog, flows, rows)
    subprogOf.fill(i, subprog.start, subprog.end)
  }
  checkReachable(flows, rows)
  checkCalls(subprogs)
  return { rows, subprogs, subprogOf, prune: findPrunePoints(flows), live: findLive(flows) }
}
