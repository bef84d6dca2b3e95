// Waggle as a library: the same file declares the probe and uses it. Run it with `node examples/library.ts` (as root):
// it starts a few programs and prints what the kernel saw of them.
import { spawnSync } from 'node:child_process'
import { hash, load, pid, ringbuf, str, struct, tracepoint, u32, u64 } from 'waggle'

export const Exec = struct({ pid: u32, filename: str(64) })
export const execs = ringbuf(Exec, 64 * 1024)
export const counts = hash(str(64), u64, 1024)

export const onExec = tracepoint('sched/sched_process_exec', (ctx) => {
  counts.inc(ctx.filename)
  execs.emit({ pid: pid(), filename: ctx.filename })
})

await using app = await load(import.meta, { execs, counts, onExec })
const link = app.onExec.attach()
const started = ['/bin/true', '/bin/true', '/bin/ls'].map((program) => spawnSync(program).pid)
link.detach()

// Others may have started programs too: only ours are shown.
const ours = app.execs.drain().filter((exec) => started.includes(exec.pid))
for (const { filename } of ours) console.log(`${filename} was started`)
console.log(`${app.counts.get('/bin/true') ?? 0n} times /bin/true, on ${app.engine}`)
