// Reading memory by address, whatever is there (bpf_probe_read and its kin, bpf_copy_from_user): this engine's own first,
// then what the host gives. There is one memory here: it answers for the kernel's and for user space.

import type { HelperName } from '../../../spec/helper.ts'
import { type Errno, failure } from '../errno.ts'
import { address, type Helper, type HelperCall, text, u32 } from './call.ts'

/** Addresses below are user space's (TASK_SIZE of x86-64): the kernel variants refuse them with ERANGE, not EFAULT. */
const USER_SPACE = 1n << 47n
/** Bytes that are asked of the host at once when a string's end is looked for. */
const PIECE = 64

/** What a failed read gives, by address. */
type ReadFailure = (from: bigint) => Errno
const userFailure: ReadFailure = () => 'EFAULT'
const kernelFailure: ReadFailure = (from) => (from < USER_SPACE ? 'ERANGE' : 'EFAULT')

/** `size` bytes at an address, or undefined where nobody has them. */
function source({ memory, host }: HelperCall, from: bigint, size: number): Uint8Array | undefined {
  if (memory.allows(address(from), size, false)) return memory.bytes.subarray(address(from), address(from) + size)
  const given = host.read?.(from, size)
  return given?.length === size ? given : undefined
}

/** The bytes before the null, at most `limit`. */
function string(call: HelperCall, from: bigint, limit: number): Uint8Array | undefined {
  const own = text(call.memory, address(from), limit)
  if (own || !call.host.read) return own
  const out: number[] = []
  while (out.length < limit) {
    const at = from + BigInt(out.length)
    // A string may end just before memory that cannot be read.
    const piece = source(call, at, Math.min(PIECE, limit - out.length)) ?? source(call, at, 1)
    if (!piece) return undefined
    const end = piece.indexOf(0)
    out.push(...(end < 0 ? piece : piece.subarray(0, end)))
    if (end >= 0) break
  }
  return Uint8Array.from(out)
}

const read =
  (fails: ReadFailure): Helper =>
  (call, to, size, from) => {
    const target = call.memory.writable(address(to), u32(size))
    if (target.length === 0) return 0n
    const bytes = source(call, from, target.length)
    if (bytes) target.set(bytes)
    else target.fill(0)
    return bytes ? 0n : failure(fails(from))
  }

const readString =
  (fails: ReadFailure): Helper =>
  (call, to, size, from) => {
    const target = call.memory.writable(address(to), u32(size))
    if (target.length === 0) return 0n
    const bytes = string(call, from, target.length - 1)
    if (!bytes) {
      target.fill(0)
      return failure(fails(from))
    }
    target.set(bytes)
    target[bytes.length] = 0
    return BigInt(bytes.length + 1)
  }

export const probeHelpers = {
  probe_read: read(userFailure),
  probe_read_kernel: read(kernelFailure),
  probe_read_user: read(userFailure),
  probe_read_str: readString(userFailure),
  probe_read_kernel_str: readString(kernelFailure),
  probe_read_user_str: readString(userFailure),
  copy_from_user: read(userFailure),
} as const satisfies { readonly [name in HelperName]?: Helper }
