// Guard: the addresses of memory accesses, and in the checked mode the tests that keep each within what the program may
// touch. What the facts prove needs no test. A pointer that is known to come from the packet, a value of a map or the frame
// must stay there: it faults if it does not. Of any other the span is looked at that such an address was in last, and
// if it is not in that, the engine decides (Memory.check), slowly and exactly: it returns or it throws.

import { MAP_FLAG, type UserMap } from '../maps/map.ts'
import { SPAN, SPAN_WORD } from '../memory.ts'
import { STACK_SIZE } from '../stacks.ts'
import { type Facts, type Maybe, packetUse } from './facts.ts'
import type { Frame } from './frame.ts'
import { type Code, OP, TYPE } from './wasm.ts'

/** What is needed of a base address: the register's fact, and how to get it onto the stack. */
export interface Base {
  readonly fact: Maybe
  /** All 64 bits. */
  wide(): void
  /** The low 32. */
  low(): void
}

export class Guard {
  readonly #frame: Frame
  readonly #code: Code
  /** By packetUse: the local with the first offset in the packet that is too far for that access. */
  readonly #limits = new Map<number, number>()
  #packetStart = -1
  /** By map: the local with the address of a value that a look-up gave. */
  readonly #values = new Map<UserMap, number>()

  constructor(frame: Frame, { packetUses, valueUses }: Pick<Facts, 'packetUses' | 'valueUses'>) {
    this.#frame = frame
    this.#code = frame.code
    if (!frame.unit.checked) return
    for (const map of valueUses) this.#values.set(map, frame.code.local(TYPE.i64))
    for (const use of packetUses) this.#limits.set(use, frame.code.local(TYPE.i64))
    if (this.#limits.size > 0) this.#packetStart = frame.code.local(TYPE.i64)
  }

  /**
   * Leaves the address of an access as an i32 on the stack, but for a constant part that is given back for the
   * instruction's own offset.
   */
  address(base: Base, off: number, size: number, write: boolean, slot: number): number {
    const code = this.#code
    const { fact } = base
    if (fact?.kind === 'frame' && fact.at !== undefined && withinFrame(fact.at + off, size)) {
      this.#frame.start()
      return STACK_SIZE + fact.at + off
    }
    this.permit(base, off, size, write, slot)
    base.low()
    if (off >= 0) return off
    code.i32(off)
    code.op(OP.i32_add)
    return 0
  }

  /** A look-up gave `result` (a local i64, perhaps null), or an address in a value is a constant: that is a span. */
  noteValue(map: UserMap, result: number): void {
    const code = this.#code
    const span = this.#values.get(map)
    if (span === undefined) return
    code.get(result)
    code.get(span)
    code.get(result)
    code.op(OP.i64_eqz)
    code.op(OP.i32_eqz)
    code.op(OP.select)
    code.set(span)
  }

  noteConstant(map: UserMap, start: bigint): void {
    const span = this.#values.get(map)
    if (span === undefined) return
    this.#code.i64(start)
    this.#code.set(span)
  }

  /** Reads where the packet is now. */
  notePacket(code = this.#code): void {
    if (this.#limits.size === 0) return
    code.i32(0)
    code.memory(OP.i64_load32_u, SPAN.packet + SPAN_WORD.start)
    code.set(this.#packetStart)
    for (const [use, limit] of this.#limits) {
      const word = SPAN.packet + (use & 1 ? SPAN_WORD.writable : SPAN_WORD.readable)
      const size = use >> 1
      // max(0, length - size + 1)
      code.i32(0)
      code.memory(OP.i64_load32_u, word)
      code.i64(size - 1)
      code.op(OP.i64_sub)
      code.tee(limit)
      code.i64(0)
      code.get(limit)
      code.i64(0)
      code.op(OP.i64_gt_s)
      code.op(OP.select)
      code.set(limit)
    }
  }

  /** The tests of an access alone. */
  permit(base: Base, off: number, size: number, write: boolean, slot: number): void {
    const { fact } = base
    if (!this.#frame.unit.checked) return
    if (fact?.kind === 'frame' && fact.at !== undefined && withinFrame(fact.at + off, size)) return
    this.#test(base, off, size, write, slot)
  }

  #test(base: Base, off: number, size: number, write: boolean, slot: number): void {
    const code = this.#code
    const { fact } = base
    const { context } = this.#frame.unit
    switch (fact?.kind) {
      case 'context': {
        const room = write ? context.writable : context.readable
        if (fact.at + off >= 0 && fact.at + off + size <= room) return
        break
      }
      case 'value':
        if (!plain(fact.map)) break
        if (fact.at === undefined) {
          const span = this.#values.get(fact.map)
          if (!fact.sure || span === undefined) break
          this.#outside(base, off, () => code.get(span))
          code.i64(Math.max(0, fact.map.spec.valueSize - size + 1))
          code.op(OP.i64_ge_u)
          this.#frame.failIf({ slot, access: { off, size, write } }, base.wide)
          return
        }
        if (fact.at + off < 0 || fact.at + off + size > fact.map.spec.valueSize) break
        if (fact.sure) return
        base.wide()
        code.i64(fact.at)
        code.op(OP.i64_eq)
        this.#frame.failIf({ slot, access: { off, size, write } }, base.wide)
        return
      case 'packet': {
        const limit = this.#limits.get(packetUse(size, write))
        if (limit === undefined) break
        this.#outside(base, off, () => code.get(this.#packetStart))
        code.get(limit)
        code.op(OP.i64_ge_u)
        this.#frame.failIf({ slot, access: { off, size, write } }, base.wide)
        return
      }
      case 'frame':
        this.#outside(base, off, () => {
          this.#frame.start()
          code.op(OP.i64_extend_i32_u)
        })
        code.i64(Math.max(0, STACK_SIZE - size + 1))
        code.op(OP.i64_ge_u)
        this.#frame.failIf({ slot, access: { off, size, write } }, base.wide)
        return
    }
    this.#recent(base, off, size, write, slot)
  }

  /** How far the address is from the start of a span: as an unsigned number it is large below it too. */
  #outside(base: Base, off: number, start: () => void): void {
    const code = this.#code
    base.wide()
    if (off !== 0) {
      code.i64(off)
      code.op(OP.i64_add)
    }
    start()
    code.op(OP.i64_sub)
  }

  /** The span that the engine noted last. */
  #recent(base: Base, off: number, size: number, write: boolean, slot: number): void {
    const code = this.#code
    const distance = this.#frame.temp('distance', TYPE.i64)
    const length = this.#frame.temp('length', TYPE.i64)
    this.#outside(base, off, () => {
      code.i32(0)
      code.memory(OP.i64_load32_u, SPAN.recent + SPAN_WORD.start)
    })
    code.tee(distance)
    code.i32(0)
    code.memory(OP.i64_load32_u, SPAN.recent + (write ? SPAN_WORD.writable : SPAN_WORD.readable))
    code.tee(length)
    code.op(OP.i64_ge_u)
    code.get(distance)
    code.i64(size)
    code.op(OP.i64_add)
    code.get(length)
    code.op(OP.i64_gt_u)
    code.op(OP.i32_or)
    this.#decide(base, off, size, write, slot)
  }

  /** Takes a condition: if it holds, the engine decides on the access. */
  #decide(base: Base, off: number, size: number, write: boolean, slot: number): void {
    const code = this.#code
    code.block(OP.if)
    base.wide()
    code.op(OP.f64_convert_i64_u)
    code.i32(off)
    code.i32(size * 2 + (write ? 1 : 0))
    code.i32(slot)
    this.#frame.start()
    code.callImport(this.#frame.unit.imports.check)
    code.end()
  }
}

const withinFrame = (at: number, size: number): boolean => at >= -STACK_SIZE && at + size <= 0

/** Programs may both read and write the map's values. */
const plain = ({ spec }: UserMap): boolean => (spec.flags & (MAP_FLAG.RDONLY_PROG | MAP_FLAG.WRONLY_PROG)) === 0
