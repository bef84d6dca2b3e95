// Text: numbers in it and comparing it (bpf_strtol and its kin in kernel/bpf/helpers.c).

import type { HelperName } from '../../../spec/helper.ts'
import { type Errno, failure } from '../errno.ts'
import { address, type Helper, type HelperCall, u32 } from './call.ts'

/** BPF_STRTOX_BASE_MASK. */
const BASE = 0x1fn
const BASES: ReadonlySet<bigint> = new Set([0n, 8n, 10n, 16n])
/** The kernel looks at no more digits than fit a buffer of 64. */
const MAX_DIGITS = 63
const decoder = new TextDecoder('latin1')

interface Parsed {
  readonly negative: boolean
  readonly value: bigint
  /** Bytes read. */
  readonly consumed: number
}

function parse({ memory }: HelperCall, from: bigint, size: bigint, flags: bigint): Parsed | Errno {
  const bytes = memory.readable(address(from), u32(size))
  const wanted = flags & BASE
  if (bytes.length === 0 || !BASES.has(wanted) || (flags & ~BASE) !== 0n) return 'EINVAL'
  const text = decoder.decode(bytes)
  const [lead] = /^[\t-\r \xa0]*-?/.exec(text)!
  const rest = text.slice(lead.length, lead.length + MAX_DIGITS)
  const { base, prefix } = radix(rest, Number(wanted))
  const [digits] = DIGITS[base].exec(rest.slice(prefix))!
  if (digits === '') return 'EINVAL'
  const value = [...digits].reduce((sum, digit) => sum * BigInt(base) + BigInt(Number.parseInt(digit, 16)), 0n)
  if (value >= 1n << 64n) return 'ERANGE'
  return { negative: lead.endsWith('-'), value, consumed: lead.length + prefix + digits.length }
}

type Base = 8 | 10 | 16
const DIGITS: Readonly<Record<Base, RegExp>> = { 8: /^[0-7]*/, 10: /^[0-9]*/, 16: /^[0-9a-fA-F]*/ }

/** What `0x` and `0` at the start mean, and how much of it to skip (_parse_integer_fixup_radix). */
function radix(text: string, base: number): { base: Base; prefix: number } {
  const hexadecimal = /^0[xX]/.test(text)
  if (base === 0 && /^0[xX][0-9a-fA-F]/.test(text)) return { base: 16, prefix: 2 }
  if (base === 0) return { base: text.startsWith('0') ? 8 : 10, prefix: 0 }
  return { base: base as Base, prefix: base === 16 && hexadecimal ? 2 : 0 }
}

export const textHelpers = {
  strtol: (call, from, size, flags, to) => {
    call.memory.store(address(to), 8, 0n)
    const parsed = parse(call, from, size, flags)
    if (typeof parsed === 'string') return failure(parsed)
    const value = parsed.negative ? -parsed.value : parsed.value
    if (BigInt.asIntN(64, value) !== value) return failure('ERANGE')
    call.memory.store(address(to), 8, BigInt.asUintN(64, value))
    return BigInt(parsed.consumed)
  },
  strtoul: (call, from, size, flags, to) => {
    call.memory.store(address(to), 8, 0n)
    const parsed = parse(call, from, size, flags)
    if (typeof parsed === 'string') return failure(parsed)
    if (parsed.negative) return failure('EINVAL')
    call.memory.store(address(to), 8, parsed.value)
    return BigInt(parsed.consumed)
  },
  strncmp: ({ memory }, left, size, right) => {
    for (let i = 0; i < u32(size); i++) {
      const a = memory.readable(address(left) + i, 1)[0]
      const b = memory.readable(address(right) + i, 1)[0]
      if (a !== b) return a < b ? BigInt.asUintN(64, -1n) : 1n
      if (a === 0) break
    }
    return 0n
  },
} as const satisfies { readonly [name in HelperName]?: Helper }
