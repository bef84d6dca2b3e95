// Host: what a program can ask about the world around it (time, the current task, the processor), as values
// that the caller gives. The user engine has no kernel to ask.

/** Answers are read when a program asks; a property may be a getter. */
export interface Host {
  /** Nanoseconds since some start, not stopping: bpf_ktime_get_ns. */
  readonly now: bigint
  /** A random u32: bpf_get_prandom_u32. */
  readonly random: number
  /** tgid in the high half, pid in the low: bpf_get_current_pid_tgid. */
  readonly pidTgid: bigint
  /** gid in the high half, uid in the low: bpf_get_current_uid_gid. */
  readonly uidGid: bigint
  /** At most 15 bytes count: bpf_get_current_comm. */
  readonly comm: string
  /** Receives what bpf_trace_printk prints. */
  print(text: string): void
}

/** `given`, and for what it leaves out: this process's clock, Math.random, ids 0, comm `waggle`, no printing. */
export function host(given: Partial<Host> = {}): Host {
  return {
    get now() {
      return given.now ?? BigInt(Math.round(performance.now() * 1e6))
    },
    get random() {
      return given.random ?? Math.floor(Math.random() * 2 ** 32)
    },
    get pidTgid() {
      return given.pidTgid ?? 0n
    },
    get uidGid() {
      return given.uidGid ?? 0n
    },
    get comm() {
      return given.comm ?? 'waggle'
    },
    print: (text) => given.print?.(text),
  }
}
