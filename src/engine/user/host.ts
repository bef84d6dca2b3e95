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
  /** The socket that a packet belongs to: bpf_get_socket_cookie and bpf_get_socket_uid. 0 if absent. */
  readonly socketCookie?: bigint
  readonly socketUid?: number
  /** What bpf_sk_lookup_tcp and its kin search, and what socket maps may hold. None if absent. */
  readonly sockets?: readonly HostSocket[]
  /** Indices of the network interfaces there are; every index above 0 if absent. */
  readonly interfaces?: ReadonlySet<number>
  /** Receives what bpf_trace_printk prints. */
  print(text: string): void
  /** Memory outside this engine's, for bpf_probe_read and its kin: undefined where it cannot be read. */
  read?(address: bigint, size: number): Uint8Array | undefined
  /** Instruction pointers of the current task, innermost first, in user space or in the kernel: bpf_get_stackid. */
  stack?(user: boolean): readonly bigint[] | undefined
  /** Calls back once, `nanoseconds` later, unless what it gives is called before: timers then need no tick(). */
  after?(nanoseconds: bigint, run: () => void): () => void
}

/** A socket of the host's. Addresses are 4 or 16 bytes in network order, ports numbers. */
export interface HostSocket {
  /** Its number in socket maps. */
  readonly id: number
  readonly protocol: 'tcp' | 'udp'
  readonly local: Uint8Array
  readonly localPort: number
  /** Absent for a listener. */
  readonly remote?: Uint8Array
  readonly remotePort?: number
  /** TCP_ESTABLISHED (1), TCP_LISTEN (10) …; by what is connected if absent. */
  readonly state?: number
  readonly mark?: number
  /** The interface that it is bound to; 0 if absent. */
  readonly ifindex?: number
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
    get socketCookie() {
      return given.socketCookie
    },
    get socketUid() {
      return given.socketUid
    },
    get sockets() {
      return given.sockets
    },
    get interfaces() {
      return given.interfaces
    },
    print: (text) => given.print?.(text),
    read: (address, size) => given.read?.(address, size),
    stack: (user) => given.stack?.(user),
    after: given.after && ((nanoseconds, run) => given.after!(nanoseconds, run)),
  }
}
