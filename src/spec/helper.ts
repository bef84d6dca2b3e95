// What a row of the helper table says. The verifier, both engines and the compiler read the same row.
// The names of argument and return types follow the kernel's enum bpf_arg_type and bpf_return_type
// (include/linux/bpf.h), in lower case and without the ARG_ and RET_ prefixes.

import type { HELPER_IDS } from './gen/uapi.ts'
import type { MapTypeName, ProgTypeName } from './names.ts'

export type HelperName = Exclude<keyof typeof HELPER_IDS, 'unspec'>

/** What may be passed. `size` ones bound the memory argument just before them. */
export type ArgType =
  | 'anything'
  | 'const_map_ptr'
  | 'map_key'
  | 'map_value'
  /** A map value that the helper fills: need not be initialised. */
  | 'uninit_map_value'
  | 'ctx'
  /** Initialised memory of the size that the next argument gives. */
  | 'mem'
  | 'mem_or_null'
  /** Memory that the helper fills: need not be initialised. */
  | 'uninit_mem'
  | 'const_size'
  | 'const_size_or_zero'
  /** A size known when the program is verified, for the memory that the helper returns. */
  | 'const_alloc_size_or_zero'
  /** Memory from ringbuf_reserve, given back. */
  | 'ringbuf_mem'
  /** A frozen, null-terminated string in a read-only map. */
  | 'const_str'
  | 'stack'
  | 'stack_or_null'
  | 'func'
  | 'long'
  | 'int'
  | 'spin_lock'
  | 'timer'
  | 'kptr'
  | 'socket'
  | 'sock_common'
  | 'btf_sock_common'
  | 'btf_id'
  | 'percpu_btf_id'
  | 'dynptr'
  | 'uninit_dynptr'
  /** Memory of a size that the helper itself fixes: `argSizes` gives the bytes. */
  | 'fixed_mem'
  | 'uninit_fixed_mem'

export type RetType =
  | 'integer'
  | 'void'
  | 'map_value'
  | 'map_value_or_null'
  | 'mem_or_null'
  | 'ringbuf_mem_or_null'
  | 'socket_or_null'
  | 'tcp_sock_or_null'
  | 'sock_common_or_null'
  | 'btf_id'
  | 'btf_id_or_null'
  | 'mem_or_btf_id'
  | 'dynptr_mem_or_null'

export interface HelperRow {
  readonly name: HelperName
  readonly id: number
  /** The first kernel release that has it, `5.8`. */
  readonly since: string
  readonly args: readonly ArgType[]
  /** Bytes of a `fixed_mem` argument, by its index. */
  readonly argSizes?: Readonly<Record<number, number>>
  readonly ret: RetType
  /** Indices of arguments that may also be NULL (a constant 0), beyond what their type says (PTR_MAYBE_NULL). */
  readonly nullable?: readonly number[]
  /** Indices of initialised memory arguments that the helper writes to: not for read-only memory (MEM_WRITE). */
  readonly writes?: readonly number[]
  /** Whether packet pointers may be passed as memory (pkt_access). */
  readonly packet?: boolean
  /** Only for sleepable programs (might_sleep). */
  readonly sleeps?: boolean
  /** Only for programs under a GPL-compatible licence. */
  readonly gpl: boolean
  /** Whether it may change the packet, so that packet pointers are void after it. */
  readonly changesPacket?: boolean
  /** Index of the argument whose reference it gives back (ringbuf_submit, sk_release). */
  readonly releases?: number
  /** Whether its result must be given back. */
  readonly acquires?: boolean
  /** Map types that the map argument may have; any if absent. */
  readonly maps?: readonly MapTypeName[]
  /** Program types that may call it; `all` is every type (the kernel's bpf_base_func_proto). */
  readonly programs: 'all' | readonly ProgTypeName[]
  /** The capability it needs beyond CAP_BPF. */
  readonly needs?: 'perfmon' | 'net_admin' | 'sys_admin'
  /** The C prototype, as bpf-helpers(7) prints it. */
  readonly proto: string
}
