// One event for each program that is started.
import { comm, ktime, pid, ringbuf, str, struct, tracepoint, u32, u64, uid } from 'waggle'

export const Exec = struct({ time: u64, pid: u32, uid: u32, comm: str(16), filename: str(64) })
export const execs = ringbuf(Exec, 256 * 1024)

export const onExec = tracepoint('sched/sched_process_exec', (ctx) => {
  execs.emit({ time: ktime(), pid: pid(), uid: uid(), comm: comm(), filename: ctx.filename })
})
