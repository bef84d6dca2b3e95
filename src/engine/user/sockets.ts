// Sockets as the host lists them: what bpf_sk_lookup_tcp and its kin find, shown to programs as struct bpf_sock
// (include/uapi/linux/bpf.h). Matching is that of the kernel's socket tables: a connection before a
// listener, a listener on the packet's address before one on any address.

import type { HostSocket } from './host.ts'
import type { Memory } from './memory.ts'

/** struct bpf_sock, and where its fields are. */
const BPF_SOCK = {
  boundIf: 0,
  family: 4,
  type: 8,
  protocol: 12,
  mark: 16,
  priority: 20,
  srcIp4: 24,
  srcIp6: 28,
  srcPort: 44,
  dstPort: 48,
  dstIp4: 52,
  dstIp6: 56,
  state: 72,
  rxQueue: 76,
  size: 80,
} as const
const AF_INET = 2
const AF_INET6 = 10
/** SOCK_STREAM and SOCK_DGRAM, IPPROTO_TCP and IPPROTO_UDP. */
const KINDS = { tcp: { type: 1, protocol: 6 }, udp: { type: 2, protocol: 17 } } as const
/** TCP_LISTEN and TCP_ESTABLISHED. */
export const LISTEN = 10
const ESTABLISHED = 1

/** A packet's ends, as struct bpf_sock_tuple has them: the remote one first. */
export interface Tuple {
  readonly remote: Uint8Array
  readonly local: Uint8Array
  readonly remotePort: number
  readonly localPort: number
}

export class Sockets {
  readonly #memory: Memory
  readonly #list: () => readonly HostSocket[]
  readonly #shown = new Map<number, { address: number; socket: HostSocket }>()

  constructor(memory: Memory, list: () => readonly HostSocket[]) {
    this.#memory = memory
    this.#list = list
  }

  has(id: number): boolean {
    return this.#list().some((socket) => socket.id === id)
  }

  /** Address of the socket that a packet is for, or 0. */
  find(protocol: 'tcp' | 'udp', tuple: Tuple): number {
    const open = this.#list().filter((socket) => socket.protocol === protocol)
    const found =
      open.find((socket) => connected(socket, tuple)) ??
      open.find((socket) => waiting(socket, tuple) && same(socket.local, tuple.local)) ??
      open.find((socket) => waiting(socket, tuple) && socket.local.every((byte) => byte === 0))
    return found ? this.#show(found) : 0
  }

  /** The socket shown at an address. */
  at(address: number): HostSocket | undefined {
    for (const shown of this.#shown.values()) if (shown.address === address) return shown.socket
    return undefined
  }

  /** The address of a socket by its number, or 0. */
  byId(id: number): number {
    const socket = this.#list().find((socket) => socket.id === id)
    return socket ? this.#show(socket) : 0
  }

  #show(socket: HostSocket): number {
    const shown = this.#shown.get(socket.id)
    if (shown && shown.socket === socket) return shown.address
    const address =
      shown?.address ??
      this.#memory.allocate({ name: `socket ${socket.id}`, size: BPF_SOCK.size, writable: false }).start
    this.#fill(address, socket)
    this.#shown.set(socket.id, { address, socket })
    return address
  }

  #fill(at: number, socket: HostSocket): void {
    const { view, bytes } = this.#memory
    const put = (offset: number, value: number): void => view.setUint32(at + offset, value, true)
    const kind = KINDS[socket.protocol]
    const v4 = socket.local.length === 4
    bytes.fill(0, at, at + BPF_SOCK.size)
    put(BPF_SOCK.boundIf, socket.ifindex ?? 0)
    put(BPF_SOCK.family, v4 ? AF_INET : AF_INET6)
    put(BPF_SOCK.type, kind.type)
    put(BPF_SOCK.protocol, kind.protocol)
    put(BPF_SOCK.mark, socket.mark ?? 0)
    put(BPF_SOCK.srcPort, socket.localPort)
    view.setUint16(at + BPF_SOCK.dstPort, socket.remotePort ?? 0, false)
    put(BPF_SOCK.state, stateOf(socket))
    put(BPF_SOCK.rxQueue, 0xffff_ffff)
    bytes.set(socket.local, at + (v4 ? BPF_SOCK.srcIp4 : BPF_SOCK.srcIp6))
    if (socket.remote) bytes.set(socket.remote, at + (v4 ? BPF_SOCK.dstIp4 : BPF_SOCK.dstIp6))
  }
}

/** enum of TCP states; a connected UDP socket counts as established, another as closed (7). */
export const stateOf = ({ protocol, remote, state }: HostSocket): number =>
  state ?? (remote ? ESTABLISHED : protocol === 'tcp' ? LISTEN : 7)

const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, i) => byte === b[i])

const connected = (socket: HostSocket, tuple: Tuple): boolean =>
  socket.remote !== undefined &&
  same(socket.remote, tuple.remote) &&
  same(socket.local, tuple.local) &&
  socket.remotePort === tuple.remotePort &&
  socket.localPort === tuple.localPort

const waiting = (socket: HostSocket, tuple: Tuple): boolean =>
  socket.remote === undefined && socket.localPort === tuple.localPort && socket.local.length === tuple.local.length
