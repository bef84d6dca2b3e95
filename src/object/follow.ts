// Scoping a probe to one process tree: `waggle run FILE -- COMMAND` follows what the command starts and nothing
// else. Done on the bytecode, so that it holds for a probe in TypeScript, for assembly and for a clang object
// alike: each tracing program gets a prologue that leaves unless the current process is in a map, and two small
// programs on fork and exit keep that map. Membership is decided in the kernel at fork, before the child runs
// its first instruction, so that no child is ever missed.

import { Diagnostic } from '../diag/diagnostic.ts'
import { assembleProgram } from '../isa/assemble.ts'
import type { Platform } from '../spec/platform.ts'
import type { TracepointField } from '../spec/tracepoint.ts'
import type { MapSpec, ObjectSpec, ProgramSpec } from './spec.ts'

/** Process (tgid) -> {@link ROOT} or {@link MEMBER}. */
export const TREE_MAP = 'waggle_tree'
/** Run once (BPF_PROG_TEST_RUN) by the process that is about to fork the command: enters it as the root. */
export const ROOT_PROGRAM = 'waggle_root'
/** To be attached before the probe's own programs. */
export const FORK_PROGRAM = 'waggle_fork'
/** To be attached after the probe's own programs, which may want to see the exit too. */
export const EXIT_PROGRAM = 'waggle_exit'

/** The map's value for the starter of the tree: its children are followed, it is not. */
export const ROOT = 1
const MEMBER = 2

/** At most this many processes of the tree live at once; more are counted as lost by a failing update. */
const MAX_PROCESSES = 65536

const MAP: MapSpec = {
  name: TREE_MAP,
  type: 'hash',
  keySize: 4,
  valueSize: 4,
  maxEntries: MAX_PROCESSES,
  flags: 1, // BPF_F_NO_PREALLOC: most trees are small
  internal: true,
}

/** Puts the number in r0 at r10 - 4 and points r1 and r2 at the map and at it, for a call on that key. */
const WITH_KEY = `
  *(u32 *)(r10 - 4) = r0
  r1 = map[${TREE_MAP}] ll
  r2 = r10
  r2 += -4`

const LOOKUP = `${WITH_KEY}
  call map_lookup_elem`

const DELETE = `${WITH_KEY}
  call map_delete_elem`

/** Stores `state` under the key in r0. */
const enter = (state: number): string => `
  w1 = ${state}
  *(u32 *)(r10 - 8) = r1
  ${WITH_KEY}
  r3 = r10
  r3 += -8
  r4 = 0
  call map_update_elem`

const CURRENT_TGID = `
  call get_current_pid_tgid
  r0 >>= 32`

const PROLOGUE = `
  r6 = r1
  ${CURRENT_TGID}
  ${LOOKUP}
  if r0 == 0 goto leave
  r0 = *(u32 *)(r0 + 0)
  if r0 == ${MEMBER} goto follow
leave:
  r0 = 0
  exit
follow:
  r1 = r6`

const ROOT_BODY = `
  ${CURRENT_TGID}
  ${enter(ROOT)}
  r0 = 0
  exit`

const forkBody = (childPid: TracepointField): string => `
  r6 = r1
  ${CURRENT_TGID}
  ${LOOKUP}
  if r0 == 0 goto leave
  r0 = *(u32 *)(r6 + ${childPid.offset})
  ${enter(MEMBER)}
leave:
  r0 = 0
  exit`

/**
 * A thread enters the map under its own number when it is made and leaves it here. The entry that counts is the
 * one under the number of the whole process: it goes with the last thread where the record says so (group_dead),
 * otherwise with the first one, which in nearly all programs is the last to go.
 */
const exitBody = (groupDead: TracepointField | undefined): string => `
  r6 = r1
  call get_current_pid_tgid
  r7 = r0
  r7 >>= 32
  w0 = w0
  ${groupDead ? 'if r0 == r7 goto process' : ''}
  ${DELETE}
  ${groupDead ? lastThread(groupDead) : ''}
  r0 = 0
  exit`

const lastThread = (groupDead: TracepointField): string => `
process:
  r1 = *(u8 *)(r6 + ${groupDead.offset})
  if r1 == 0 goto leave
  r0 = r7
  ${DELETE}
leave:`

/**
 * The same object, with every tracing program limited to the process tree below whoever runs {@link ROOT_PROGRAM}.
 * Programs of other types (packets have no process) are left as they are. Needs the tracepoints
 * sched/sched_process_fork and sched_process_exit; throws a Diagnostic where they can't be had.
 */
export function followTree(spec: ObjectSpec, platform: Platform): ObjectSpec {
  const helpers = new Map([...platform.helpersById].map(([id, { name }]) => [name as string, id]))
  const childPid = fieldOf(platform, 'sched/sched_process_fork', 'child_pid')
  if (!childPid) {
    throw new Diagnostic({
      code: 'object/follow',
      message: 'a command can be followed only where the tracepoint sched/sched_process_fork can be used',
      help: 'run the probe without a command, or as root on a kernel with CONFIG_EVENT_TRACING',
    })
  }
  const groupDead = fieldOf(platform, 'sched/sched_process_exit', 'group_dead')
  const program = (name: string, type: ProgramSpec['type'], section: string, text: string): ProgramSpec => {
    const { insns, relocations } = assembleProgram(text, { helpers, file: name })
    return {
      name,
      type,
      section,
      target: section.split('/').slice(1).join('/') || undefined,
      insns,
      relocations,
      functions: [{ insn: 0, name }],
      lines: [],
    }
  }
  const prologue = assembleProgram(PROLOGUE, { helpers, file: 'prologue' })
  return {
    ...spec,
    maps: [...spec.maps, MAP],
    programs: [
      program(FORK_PROGRAM, 'tracepoint', 'tracepoint/sched/sched_process_fork', forkBody(childPid)),
      ...spec.programs.map((each) => (platform.progTypes.get(each.type)?.tracing ? prepend(each, prologue) : each)),
      program(EXIT_PROGRAM, 'tracepoint', 'tracepoint/sched/sched_process_exit', exitBody(groupDead)),
      program(ROOT_PROGRAM, 'raw_tracepoint', 'raw_tracepoint', ROOT_BODY),
    ],
  }
}

const fieldOf = (platform: Platform, target: string, name: string): TracepointField | undefined =>
  platform.tracepoint(target)?.fields.find((field) => field.name === name)

/** Jumps and calls are relative, so what stands behind only moves: function, line and relocation slots shift. */
function prepend(program: ProgramSpec, prologue: Pick<ProgramSpec, 'insns' | 'relocations'>): ProgramSpec {
  const shift = prologue.insns.length
  const moved = <T extends { readonly insn: number }>(items: readonly T[]): T[] =>
    items.map((item) => ({ ...item, insn: item.insn + shift }))
  const [entry, ...others] = program.functions
  const [first] = program.lines
  return {
    ...program,
    insns: [...prologue.insns, ...program.insns],
    relocations: [...prologue.relocations, ...moved(program.relocations)],
    functions: [entry, ...moved(others)],
    // Line info must begin at slot 0, so the prologue is charged to the function's first line.
    lines: first ? [{ ...first, insn: 0 }, ...moved(program.lines)] : [],
  }
}
