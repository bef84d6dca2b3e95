// Packets and bytes by protocol, by TCP or UDP port, and by VLAN, over IPv4 and IPv6.
import { enumeration, hash, struct, u8, u16, type u32, u64, type Value, XDP, xdp } from 'waggle'

export const Protocol = enumeration(u8, { icmp: 1, igmp: 2, tcp: 6, udp: 17, gre: 47, esp: 50, icmp6: 58, sctp: 132 })
export const Port = struct({ protocol: Protocol, port: u16 })
export const Traffic = struct({ packets: u64, bytes: u64 })

export const protocols = hash(Protocol, Traffic, 256)
export const ports = hash(Port, Traffic, 8192)
export const vlans = hash(u16, Traffic, 4096)

export const onPacket = xdp((ctx) => {
  const bytes = ctx.length
  const tag = ctx.vlan()
  if (tag) {
    const seen = vlans.getOrInsert(tag.id, { packets: 0, bytes: 0 })
    if (seen) add(seen, bytes)
  }
  const ip = ctx.ipv4()
  if (ip) {
    count(ip.protocol, bytes)
    const tcp = ctx.tcp(ip)
    if (tcp) countPorts(Protocol.tcp, tcp.source, tcp.dest, bytes)
    const udp = ctx.udp(ip)
    if (udp) countPorts(Protocol.udp, udp.source, udp.dest, bytes)
  }
  const ip6 = ctx.ipv6()
  if (ip6) {
    count(ip6.nexthdr, bytes)
    const tcp = ctx.tcp(ip6)
    if (tcp) countPorts(Protocol.tcp, tcp.source, tcp.dest, bytes)
    const udp = ctx.udp(ip6)
    if (udp) countPorts(Protocol.udp, udp.source, udp.dest, bytes)
  }
  return XDP.PASS
})

function count(protocol: u8, bytes: u32) {
  const seen = protocols.getOrInsert(protocol, { packets: 0, bytes: 0 })
  if (seen) add(seen, bytes)
}

/** A packet counts for both of its ports, once if they are the same. */
function countPorts(protocol: u8, source: u16, dest: u16, bytes: u32) {
  countPort(protocol, source, bytes)
  if (dest !== source) countPort(protocol, dest, bytes)
}

function countPort(protocol: u8, port: u16, bytes: u32) {
  const seen = ports.getOrInsert({ protocol, port }, { packets: 0, bytes: 0 })
  if (seen) add(seen, bytes)
}

/** `+=` on a map's value is atomic: other processors count at the same time. */
function add(traffic: Value<typeof Traffic>, bytes: u32) {
  traffic.packets += 1
  traffic.bytes += bytes
}
