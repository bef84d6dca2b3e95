// Run: what one run of a program leaves behind besides r0 and the packet (where it wants the packet to go, the
// copies it sent), and what the kernel's struct sk_buff knows of a packet beyond its bytes.

import type { ProgTypeName } from '../../spec/names.ts'
import type { Clone, Redirect } from '../engine.ts'

/** ETH_HLEN: where the network header begins in a packet that has a link header. */
const ETH_HLEN = 14

/** The verdicts that redirect: XDP_REDIRECT and TC_ACT_REDIRECT. */
const REDIRECTING: { readonly [type in ProgTypeName]?: number } = { xdp: 4, sched_cls: 7, sched_act: 7, lwt_xmit: 7 }

/** What a packet is to be sent through a tunnel with. */
export interface Tunnel {
  /** struct bpf_tunnel_key. */
  readonly key: Uint8Array
  readonly v6: boolean
  /** IP_TUNNEL_*_BIT. */
  readonly flags: number
  options: Uint8Array | undefined
}

export class Run {
  target: Redirect | undefined
  clones: Clone[] = []
  /** From the start of the packet to its network header, in bytes. */
  network = ETH_HLEN
  /** To the transport header, where one has been added; it counts from the packet's start as that moves. */
  transport: number | undefined
  tunnel: Tunnel | undefined
  /** How many checksums of the packet a device is said to have checked, less one; undefined for none. */
  checksumLevel: number | undefined
  /** The spin lock that the program holds. */
  lock: number | undefined
  /** Whether an outer header has been added. */
  encapsulated = false

  /** As before any program has run. */
  reset(): void {
    this.target = undefined
    this.clones = []
    this.network = ETH_HLEN
    this.transport = undefined
    this.tunnel = undefined
    this.checksumLevel = undefined
    this.lock = undefined
    this.encapsulated = false
  }

  /** For a RunResult. */
  outcome(type: ProgTypeName, retval: number): { redirect?: Redirect; clones?: readonly Clone[] } {
    const redirects = this.target !== undefined && REDIRECTING[type] === retval
    return {
      ...(redirects && { redirect: this.target }),
      ...(this.clones.length > 0 && { clones: this.clones }),
    }
  }
}
