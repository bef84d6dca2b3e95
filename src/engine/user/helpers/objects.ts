// Objects in map values: timers (timers.ts) and spin locks. One program runs at a time here, so a lock is a flag that
// only catches mistakes: taking it twice, or giving back what was not taken.

import { Diagnostic } from '../../../diag/diagnostic.ts'
import type { HelperName } from '../../../spec/helper.ts'
import { failure } from '../errno.ts'
import { address, type Helper, status } from './call.ts'

export const objectHelpers = {
  spin_lock: ({ memory, run }, lock) => {
    if (memory.load(address(lock), 4) !== 0n) throw fault('takes a lock that is taken already')
    memory.store(address(lock), 4, 1n)
    run.lock = address(lock)
    return 0n
  },
  spin_unlock: ({ memory, run }, lock) => {
    if (memory.load(address(lock), 4) === 0n) throw fault('gives back a lock that it has not taken')
    memory.store(address(lock), 4, 0n)
    run.lock = undefined
    return 0n
  },
  timer_init: (call, timer, handle, flags) => {
    call.memory.check(address(timer), 16, true)
    return status(call.timers.init(address(timer), call.map(handle), handle, flags))
  },
  timer_set_callback: (call, timer, func) => status(call.timers.setCallback(address(timer), call.later(func))),
  timer_start: (call, timer, nanoseconds, flags) => status(call.timers.start(address(timer), nanoseconds, flags)),
  timer_cancel: (call, timer) => {
    const was = call.timers.cancel(address(timer))
    return typeof was === 'boolean' ? BigInt(was) : failure(was)
  },
} as const satisfies { readonly [name in HelperName]?: Helper }

const fault = (what: string): Diagnostic => new Diagnostic({ code: 'user/fault', message: `the program ${what}` })
