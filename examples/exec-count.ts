// Which programs are started on this system, and how often.
import { comm, hash, str, tracepoint, u64 } from 'waggle'

export const counts = hash(str(16), u64, 1024)

export const onExec = tracepoint('sched/sched_process_exec', () => {
  counts.inc(comm())
})
