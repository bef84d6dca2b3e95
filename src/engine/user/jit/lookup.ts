// Look-ups compiled into programs: the same as `lookup` of maps/array.ts and maps/hash.ts, on the same bytes.

import { HASH, NODE, TABLE } from '../maps/hash.ts'
import type { Layout } from '../maps/map.ts'
import { Code, OP, type Signature, TYPE } from './wasm.ts'

/** Takes the address of a key and gives that of the value, or 0. */
export const LOOKUP: Signature = { params: [TYPE.i32], results: [TYPE.i32] }

/** Takes an index (i32) from the stack and leaves the address of the value or 0, as an i64. `index`: a local i32. */
export function arrayLookup(code: Code, layout: Extract<Layout, { kind: 'array' }>, index: number): void {
  code.tee(index)
  code.i32(layout.entries)
  code.op(OP.i32_lt_u)
  code.block(OP.if, TYPE.i64)
  code.get(index)
  const shift = Math.log2(layout.stride)
  if (Number.isInteger(shift)) {
    code.i32(shift)
    code.op(OP.i32_shl)
  } else {
    code.i32(layout.stride)
    code.op(OP.i32_mul)
  }
  code.i32(layout.values)
  code.op(OP.i32_add)
  code.op(OP.i64_extend_i32_u)
  code.op(OP.else)
  code.i64(0)
  code.end()
}

/** A function of signature LOOKUP for a hash map with keys of `keySize` bytes. */
export function hashLookup({ table, seed }: Extract<Layout, { kind: 'hash' }>, keySize: number): Code {
  const code = new Code(1)
  const key = 0
  const hash = code.local(TYPE.i32)
  const node = code.local(TYPE.i32)
  code.i32(seed)
  for (let at = 0; at < keySize; ) {
    const word = at + 4 <= keySize
    code.get(key)
    code.memory(word ? OP.i32_load : OP.i32_load8_u, at)
    code.op(OP.i32_xor)
    code.i32(HASH.prime)
    code.op(OP.i32_mul)
    at += word ? 4 : 1
  }
  mix(code, hash, HASH.shift)
  code.i32(HASH.mix)
  code.op(OP.i32_mul)
  mix(code, hash, HASH.last)
  // The first node of the bucket.
  code.i32(0)
  code.memory(OP.i32_load, table + TABLE.mask)
  code.op(OP.i32_and)
  code.i32(2)
  code.op(OP.i32_shl)
  code.i32(0)
  code.memory(OP.i32_load, table + TABLE.heads)
  code.op(OP.i32_add)
  code.memory(OP.i32_load, 0)
  code.set(node)
  code.block(OP.block)
  code.block(OP.loop)
  code.get(node)
  code.op(OP.i32_eqz)
  code.brIf(1)
  code.block(OP.block)
  for (const [at, load, differs] of chunks(keySize)) {
    code.get(node)
    code.memory(load, NODE.key + at)
    code.get(key)
    code.memory(load, at)
    code.op(differs)
    code.brIf(0)
  }
  code.get(node)
  code.memory(OP.i32_load, NODE.value)
  code.op(OP.return)
  code.end()
  code.get(node)
  code.memory(OP.i32_load, NODE.next)
  code.set(node)
  code.br(0)
  code.end()
  code.end()
  code.i32(0)
  code.end()
  return code
}

/** x ^ (x >>> shift), of what is on the stack. */
function mix(code: Code, temp: number, shift: number): void {
  code.tee(temp)
  code.get(temp)
  code.i32(shift)
  code.op(OP.i32_shr_u)
  code.op(OP.i32_xor)
}

/** A key in as few pieces as there are: where each is, how it is loaded and compared. */
function chunks(size: number): [at: number, load: number, differs: number][] {
  const out: [number, number, number][] = []
  let at = 0
  for (; at + 8 <= size; at += 8) out.push([at, OP.i64_load, OP.i64_ne])
  for (; at + 4 <= size; at += 4) out.push([at, OP.i32_load, OP.i32_ne])
  for (; at < size; at++) out.push([at, OP.i32_load8_u, OP.i32_ne])
  return out
}
