// The conformance vectors on every engine. A vector wants r1 to point at memory and r2 to be its length: a prologue in
// front of it makes both from an XDP context, and calls the vector as a function, so that its whole r0 can be kept.
// What an engine cannot run is listed here, with the reason.

import { describe, expect, it } from 'vitest'
import type { Engine } from '../../src/engine/engine.ts'
import { assemble } from '../../src/isa/assemble.ts'
import type { Insn } from '../../src/isa/insn.ts'
import { make } from '../../src/isa/table.ts'
import type { ObjectSpec } from '../../src/object/spec.ts'
import { type Vector, vectors } from '../conformance/vectors.ts'
import { hex, object, program, result, u64 } from '../contract/case.ts'
import { ENGINES } from '../contract/engines.ts'

const CALLX = 'callx, a call through a register, is in no kernel, and so not in the user engine'
const SHIFT = 'the kernel refuses shifts by an immediate that is not below the width'

/** Vectors that must give a result and can't here. */
const CANNOT: { readonly [engine in 'user' | 'kernel']: Readonly<Record<string, string>> } = {
  user: { callx: CALLX },
  kernel: {
    callx: CALLX,
    'arsh32-imm-high': SHIFT,
    'arsh64-imm-high': SHIFT,
    'lsh32-imm-neg': SHIFT,
    'lsh64-imm-neg': SHIFT,
    'rsh32-imm-neg': SHIFT,
    'rsh64-imm-neg': SHIFT,
  },
}

/** Leaves r0 of the vector in map `result` and exits with 1. */
function wrapped(vector: Vector): ObjectSpec {
  const size = vector.mem?.length ?? 0
  const pointers = `
    r2 = *(u32 *)(r1 + 4)
    r1 = *(u32 *)(r1 + 0)
    r3 = r1
    r3 += ${size}
    r0 = 0
    if r3 > r2 goto end`
  const main = program(
    'vector',
    'xdp',
    `${size > 0 ? pointers : 'r1 = 0'}
    r2 = ${size}
    call end
    r1 = map_value[result][0] ll
    *(u64 *)(r1 + 0) = r0
    r0 = 1
    end: exit`,
  )
  // The function begins right behind the exit at the label.
  const start = main.insns.length
  const call = main.insns.findIndex(isLocalCall)
  const insns = [...main.insns, ...assemble(vector.asm)]
  insns[call] = { ...insns[call], imm: start - call - 1 }
  const targets = insns.flatMap((insn, slot) => (isLocalCall(insn) ? [slot + 1 + insn.imm] : []))
  const entries = [...new Set([0, ...targets])].sort((a, b) => a - b)
  const functions = entries.map((insn) => ({ insn, name: `func${insn}` }))
  return object('vectors', [{ ...main, insns, functions, lines: [] }], [result])
}

const isLocalCall = (insn: Insn): boolean =>
  insn.opcode === make('call_local').opcode && insn.src === make('call_local').src

/** r0 of the vector. Throws a Diagnostic if it is refused or faults. */
async function run(engine: Engine, vector: Vector): Promise<string> {
  using collection = await engine.load(wrapped(vector))
  const data = new Uint8Array(Math.max(14, vector.mem?.length ?? 0))
  data.set(vector.mem ?? [])
  expect(collection.progs.get('vector')!.run({ data }).retval).toBe(1)
  return hex(collection.maps.get('result')!.get(new Uint8Array(4))!)
}

const all = vectors()

for (const candidate of ENGINES) {
  const missing = 'missing' in candidate ? `: ${candidate.missing}` : ''
  describe.skipIf('missing' in candidate)(`${candidate.title}${missing}`, () => {
    const engine = 'engine' in candidate ? candidate.engine() : undefined
    for (const vector of all) {
      const reason = CANNOT[candidate.name][vector.name]
      if (reason) {
        it.skip(`${vector.name}: ${reason}`, () => undefined)
        continue
      }
      it(vector.name, async () => {
        if (vector.result === undefined) await expect(run(engine!, vector)).rejects.toThrow()
        else expect(await run(engine!, vector)).toBe(u64(vector.result))
      })
    }

    it('cannot run only what is listed', async () => {
      for (const [name, reason] of Object.entries(CANNOT[candidate.name])) {
        const vector = all.find((other) => other.name === name)!
        await expect(run(engine!, vector), `${name}: ${reason}`).rejects.toThrow()
      }
    })
  })
}
