// Sockets: the one that a packet belongs to, and those that can be found by a packet's addresses (net/core/filter.c), as
// the host lists them.

import { Diagnostic } from '../../../diag/diagnostic.ts'
import type { HelperName } from '../../../spec/helper.ts'
import { LISTEN, stateOf } from '../sockets.ts'
import { address, type Helper, type HelperCall, u32 } from './call.ts'

/** struct bpf_sock_tuple, its IPv4 and its IPv6 half. */
const TUPLE_V4 = 12
const TUPLE_V6 = 36
/** init_net's cookie. */
const FIRST_NETNS = 1n

const lookup =
  (protocol: 'tcp' | 'udp'): Helper =>
  ({ memory, sockets }, _ctx, at, size, netns, flags) => {
    const bytes = memory.readable(address(at), u32(size))
    if (flags !== 0n || (bytes.length !== TUPLE_V4 && bytes.length !== TUPLE_V6)) return 0n
    // There is one network namespace: the current one, which any negative number means.
    if (BigInt.asIntN(32, netns) >= 0n) return 0n
    const width = bytes.length === TUPLE_V4 ? 4 : 16
    const port = (offset: number): number => bytes[offset] * 256 + bytes[offset + 1]
    const remote = bytes.slice(0, width)
    const local = bytes.slice(width, 2 * width)
    const ports = { remotePort: port(2 * width), localPort: port(2 * width + 2) }
    return BigInt(sockets.find(protocol, { remote, local, ...ports }))
  }

function socketAt({ sockets }: HelperCall, sock: bigint) {
  const socket = sockets.at(address(sock))
  if (socket) return socket
  throw new Diagnostic({ code: 'user/fault', message: `0x${sock.toString(16)} is no socket` })
}

export const socketHelpers = {
  get_socket_cookie: ({ host }) => host.socketCookie ?? 0n,
  get_socket_uid: ({ host }) => BigInt(host.socketUid ?? 0),
  get_netns_cookie: () => FIRST_NETNS,
  sk_lookup_tcp: lookup('tcp'),
  sk_lookup_udp: lookup('udp'),
  skc_lookup_tcp: lookup('tcp'),
  sk_release: (call, sock) => {
    socketAt(call, sock)
    return 0n
  },
  sk_fullsock: (call, sock) => {
    socketAt(call, sock)
    return sock
  },
  get_listener_sock: (call, sock) => (stateOf(socketAt(call, sock)) === LISTEN ? sock : 0n),
} as const satisfies { readonly [name in HelperName]?: Helper }
