// Names in place of the numbers in instructions: what prog dump and a trace print them with.

import type { FormatOptions } from '../isa/disassemble.ts'
import type { ProgramSpec } from '../object/spec.ts'
import type { Platform } from '../spec/platform.ts'

/** Of maps, helpers and functions of this program. */
export function namesOf(program: ProgramSpec, { helpersById }: Platform): FormatOptions {
  const maps = new Map(program.relocations.map((relocation) => [relocation.insn, relocation.map]))
  const starts = new Map(program.functions.map((each) => [each.insn, each.name]))
  return {
    mapName: (slot) => maps.get(slot),
    callName: (kind, id) => (kind === 'helper' ? helpersById.get(id)?.name : starts.get(id)),
  }
}
