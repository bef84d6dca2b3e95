// The functions that `import 'waggle'` gives to kernel code: each asks one helper of the kernel.

import type { HelperName } from '../spec/helper.ts'
import type { Flow } from './flow.ts'
import { type IntType, U32, U64 } from './ktype.ts'
import type { FillOperand, IntOperand, Operand } from './operand.ts'

/** TASK_COMM_LEN of the kernel. */
const COMM_BYTES = 16

/** A helper's 64-bit result, or the low or high half of it. */
function result(helper: HelperName, type: IntType, half?: 'low' | 'high'): (flow: Flow) => IntOperand {
  return (flow) => {
    const whole = flow.call(helper)
    if (half === 'high') return flow.int(flow.bin('rsh', whole, flow.const(32)), type)
    return flow.int(half === 'low' ? flow.emit({ op: 'extend', from: 32, signed: false }, whole) : whole, type)
  }
}

/** The name of the running thread, written where it is wanted. */
const comm = (flow: Flow): FillOperand => ({
  kind: 'fill',
  what: 'comm()',
  size: COMM_BYTES,
  write: (base, offset, size) => {
    flow.call('get_current_comm', flow.plus(base, offset), flow.const(Math.min(size, COMM_BYTES)))
  },
})

/** How each is lowered. None takes arguments. */
export const BUILTINS: Readonly<Record<string, (flow: Flow) => Operand>> = {
  pid: result('get_current_pid_tgid', U32, 'high'),
  tid: result('get_current_pid_tgid', U32, 'low'),
  uid: result('get_current_uid_gid', U32, 'low'),
  gid: result('get_current_uid_gid', U32, 'high'),
  ktime: result('ktime_get_ns', U64),
  cpu: result('get_smp_processor_id', U32, 'low'),
  random: result('get_prandom_u32', U32, 'low'),
  comm,
}
