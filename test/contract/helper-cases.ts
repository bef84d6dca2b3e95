// The contract's cases for helpers beyond maps and packets: text, dynptrs, locks, tunnels, sockets. What is expected
// was worked out from bpf-helpers(7).

import { TypeBuilder } from '../../src/btf/build.ts'
import { type Case, map, result, u32, u64 } from './case.ts'

const latin = (text: string): number[] => Array.from(text, (letter) => letter.charCodeAt(0))

/** Puts a text, cut to whole 8 bytes with nulls, at r10 - 64. */
const put = (text: string): string =>
  latin(text.padEnd(32, '\0'))
    .map((byte, i) => `*(u8 *)(r10 - ${64 - i}) = ${byte}`)
    .join('\n')

/** r0 and the number that was read, one behind the other. */
const two = map('two', 'array', 4, 16, 1)
const keepTwo = `
  r8 = r0
  *(u32 *)(r10 - 4) = 0
  r1 = map[two] ll
  r2 = r10
  r2 += -4
  call map_lookup_elem
  if r0 == 0 goto +3
  *(u64 *)(r0 + 0) = r8
  r1 = *(u64 *)(r10 - 16)
  *(u64 *)(r0 + 8) = r1
  r0 = 0
  exit`

const number = (helper: 'strtol' | 'strtoul', text: string, base: number, r0: bigint, read: bigint): Case => ({
  name: `${helper} of ${JSON.stringify(text)} to base ${base}`,
  asm: `
    ${put(text)}
    *(u64 *)(r10 - 16) = 99
    r1 = r10
    r1 += -64
    r2 = ${text.length}
    r3 = ${base}
    r4 = r10
    r4 += -16
    call ${helper}
    ${keepTwo}`,
  maps: [two],
  retval: 0,
  contents: { two: { '00000000': u64(r0) + u64(read) } },
})

const EINVAL = -22n
const ERANGE = -34n

const text: readonly Case[] = [
  number('strtol', '123 ', 10, 3n, 123n),
  number('strtol', '  -42x', 10, 5n, -42n),
  number('strtol', '0x1F', 0, 4n, 31n),
  number('strtol', '0x1f', 16, 4n, 31n),
  number('strtol', '0x', 16, EINVAL, 0n),
  number('strtol', '017', 0, 3n, 15n),
  number('strtol', '089', 0, 1n, 0n),
  number('strtol', 'x', 10, EINVAL, 0n),
  number('strtol', '-', 10, EINVAL, 0n),
  number('strtol', '12', 7, EINVAL, 0n),
  number('strtol', '9223372036854775807', 10, 19n, 2n ** 63n - 1n),
  number('strtol', '9223372036854775808', 10, ERANGE, 0n),
  number('strtol', '-9223372036854775808', 10, 20n, -(2n ** 63n)),
  number('strtoul', '18446744073709551615', 10, 20n, 2n ** 64n - 1n),
  number('strtoul', '18446744073709551616', 10, ERANGE, 0n),
  number('strtoul', '-1', 10, EINVAL, 0n),
  number('strtoul', '777', 8, 3n, 511n),
]

const DYNPTR = `
  *(u64 *)(r10 - 40) = 0
  *(u64 *)(r10 - 16) = 0
  r1 = map_value[data][0] ll
  r2 = 8
  r3 = 0
  r4 = r10
  r4 += -32
  call dynptr_from_mem`
const data = map('data', 'array', 4, 16, 1)

const reserve = (size: number, flags: number): string => `
  r1 = map[ring] ll
  r2 = ${size}
  r3 = ${flags}
  r4 = r10
  r4 += -32
  call ringbuf_reserve_dynptr
  r7 = r0`
const giveBack = (how: 'submit' | 'discard'): string => `
  r1 = r10
  r1 += -32
  r2 = 0
  call ringbuf_${how}_dynptr
  r0 = r7
  exit`
const write = (offset: number, size: number): string => `
  *(u64 *)(r10 - 16) = 0x55667788
  r1 = r10
  r1 += -32
  r2 = ${offset}
  r3 = r10
  r3 += -16
  r4 = ${size}
  r5 = 0
  call dynptr_write`
const ring = map('ring', 'ringbuf', 0, 0, 4096)

const dynptrs: readonly Case[] = [
  {
    name: 'a dynptr over a map value is written to',
    asm: `${DYNPTR}\n ${write(2, 4)}\n exit`,
    maps: [data],
    retval: 0,
    contents: { data: { '00000000': `0000${u32(0x55667788)}0000${u64(0n)}` } },
  },
  {
    name: 'a dynptr is not written to past its end',
    asm: `${DYNPTR}\n ${write(5, 4)}\n exit`,
    maps: [data],
    retval: -7 >>> 0,
  },
  {
    name: 'a dynptr is read',
    asm: `${DYNPTR}\n ${write(0, 8)}
      r1 = r10
      r1 += -40
      r2 = 4
      r3 = r10
      r3 += -32
      r4 = 1
      r5 = 0
      call dynptr_read
      r0 = *(u32 *)(r10 - 40)
      exit`,
    maps: [data],
    retval: 0x556677,
  },
  {
    name: 'the memory of a dynptr is reached directly',
    asm: `${DYNPTR}\n ${write(0, 8)}
      r1 = r10
      r1 += -32
      r2 = 1
      r3 = 2
      call dynptr_data
      if r0 == 0 goto +1
      r0 = *(u16 *)(r0 + 0)
      exit`,
    maps: [data],
    retval: 0x6677,
  },
  {
    name: 'the memory of a dynptr ends where it ends',
    asm: `${DYNPTR}
      r1 = r10
      r1 += -32
      r2 = 7
      r3 = 2
      call dynptr_data
      if r0 == 0 goto +1
      r0 = 1
      exit`,
    maps: [data],
    retval: 0,
  },
  {
    name: 'a record of a ring buffer by dynptr is submitted',
    asm: `${reserve(8, 0)}\n ${write(0, 8)}\n ${giveBack('submit')}`,
    maps: [ring],
    retval: 0,
    events: { ring: [u64(0x55667788n)] },
  },
  {
    name: 'a record of a ring buffer by dynptr is dropped',
    asm: `${reserve(8, 0)}\n ${write(0, 8)}\n ${giveBack('discard')}`,
    maps: [ring],
    retval: 0,
    events: { ring: [] },
  },
  {
    name: 'a record larger than the ring buffer is not to be had by dynptr',
    asm: `${reserve(5000, 0)}\n ${giveBack('submit')}`,
    maps: [ring],
    retval: -22 >>> 0,
    events: { ring: [] },
  },
  {
    name: 'a record with flags is not to be had by dynptr',
    asm: `${reserve(8, 1)}\n ${giveBack('submit')}`,
    maps: [ring],
    retval: -22 >>> 0,
    events: { ring: [] },
  },
]

const types = new TypeBuilder()
const word = types.int('unsigned int', 4)
const long = types.int('unsigned long long', 8)
const lockType = types.struct('bpf_spin_lock', [{ name: 'val', type: word }])
const locked = types.struct('locked', [
  { name: 'lock', type: lockType },
  { name: 'count', type: word },
])
const guarded = map('guarded', 'array', 4, 8, 1, { keyType: word, valueType: locked })

const locks: readonly Case[] = [
  {
    name: 'a value is changed under its lock, and shows no lock to user space',
    runs: 2,
    asm: `
      *(u32 *)(r10 - 4) = 0
      r1 = map[guarded] ll
      r2 = r10
      r2 += -4
      call map_lookup_elem
      if r0 == 0 goto out
      r6 = r0
      r1 = r0
      call spin_lock
      r1 = *(u32 *)(r6 + 4)
      r1 += 1
      *(u32 *)(r6 + 4) = r1
      r1 = r6
      call spin_unlock
      out: r0 = 0
      exit`,
    maps: [guarded],
    types: [...types.types, { kind: 'const', type: long }],
    retval: 0,
    contents: { guarded: { '00000000': u32(0) + u32(2) } },
  },
]

const tunnelKey = (flags: number, get: number, size: number): string => `
  r6 = r1
  ${Array.from({ length: 11 }, (_, i) => `*(u32 *)(r10 - ${88 - 4 * i}) = 0`).join('\n')}
  *(u32 *)(r10 - 88) = 7
  *(u32 *)(r10 - 84) = 0x0a000001
  *(u8 *)(r10 - 68) = 3
  *(u8 *)(r10 - 67) = 64
  *(u32 *)(r10 - 60) = 0x0a000002
  r2 = r10
  r2 += -88
  r3 = 44
  r4 = ${flags}
  call skb_set_tunnel_key
  if r0 != 0 goto out
  r1 = r6
  r2 = r10
  r2 += -88
  r3 = ${size}
  r4 = ${get}
  call skb_get_tunnel_key
  if r0 != 0 goto out
  r1 = map[key] ll
  *(u32 *)(r10 - 4) = 0
  r2 = r10
  r2 += -4
  r3 = r10
  r3 += -88
  r4 = 0
  call map_update_elem
  out: exit`
const key = map('key', 'array', 4, 44, 1)
const tunnel = (name: string, flags: number, get: number, size: number, expected: string | number): Case => ({
  name,
  type: 'sched_cls',
  asm: tunnelKey(flags, get, size),
  maps: [key],
  ...(typeof expected === 'number'
    ? { retval: expected }
    : { retval: 0, contents: { key: { '00000000': expected.replaceAll(' ', '') } } }),
})
const zeros = (n: number): string => '00'.repeat(n)

const tunnels: readonly Case[] = [
  tunnel(
    'a tunnel key is read back with its ends the other way round',
    0,
    0,
    44,
    `${u32(7)} ${u32(0x0a000002)} ${zeros(12)} 03 40 0000 ${u32(0)} ${u32(0x0a000001)} ${zeros(12)}`,
  ),
  tunnel('a tunnel key of another family is not read', 0, 1, 44, -71 >>> 0),
  tunnel('a tunnel key of a size that no version had is not read', 0, 0, 40, -22 >>> 0),
  tunnel('a tunnel key with flags that are none is not set', 64, 0, 44, -22 >>> 0),
  tunnel(
    'the flags of a tunnel key are read',
    4,
    16,
    44,
    `${u32(7)} ${u32(0x0a000002)} ${zeros(12)} 03 40 2105 ${u32(0)} ${u32(0x0a000001)} ${zeros(12)}`,
  ),
  {
    name: 'a packet that is to go through no tunnel has no key',
    type: 'sched_cls',
    asm: `
      r2 = r10
      r2 += -48
      r3 = 44
      r4 = 0
      call skb_get_tunnel_key
      exit`,
    retval: -22 >>> 0,
  },
]

const relative = (
  name: string,
  type: 'sched_cls' | 'socket_filter',
  offset: number,
  header: number,
  r0: number,
): Case => ({
  name: `skb_load_bytes_relative: ${name}`,
  type,
  asm: `
    *(u64 *)(r10 - 8) = 0
    r2 = ${offset}
    r3 = r10
    r3 += -8
    r4 = 4
    r5 = ${header}
    call skb_load_bytes_relative
    if r0 != 0 goto +1
    r0 = *(u32 *)(r10 - 8)
    exit`,
  retval: r0,
})

const packets: readonly Case[] = [
  relative('from the link header', 'sched_cls', 2, 0, 0x05040302),
  relative('from the network header', 'sched_cls', 2, 1, 0x13121110),
  relative('of a socket filter, from the network header', 'socket_filter', 2, 1, 0x13121110),
  relative('past the end', 'sched_cls', 61, 0, -14 >>> 0),
  relative('from a header that is none', 'sched_cls', 0, 2, -14 >>> 0),
  {
    name: 'no socket is found where there is none',
    type: 'sched_cls',
    asm: `
      *(u64 *)(r10 - 16) = 0
      *(u32 *)(r10 - 8) = 0
      r2 = r10
      r2 += -16
      r3 = 12
      r4 = -1
      r5 = 0
      call sk_lookup_udp
      r6 = 5
      if r0 == 0 goto +3
      r1 = r0
      call sk_release
      r6 = 6
      r0 = r6
      exit`,
    retval: 5,
  },
  {
    name: 'the cookie of the first network namespace',
    type: 'sched_cls',
    asm: 'call get_netns_cookie\n if r0 != 0 goto +2\n r0 = 1\n exit\n r0 = 0\n exit',
    retval: 0,
  },
  { name: 'the owner of the socket of a test packet', type: 'sched_cls', asm: 'call get_socket_uid\n exit', retval: 0 },
]

const jiffies: Case = {
  name: 'jiffies do not go back',
  asm: `
    call jiffies64
    r6 = r0
    call jiffies64
    r1 = r0
    r0 = 1
    if r1 >= r6 goto +1
    r0 = 0
    exit`,
  retval: 1,
}

const walk = (name: string, spec: ReturnType<typeof map>, setup: string, sum: bigint): Case => ({
  name: `for_each_map_elem over ${name}`,
  asm: `
    ${setup}
    *(u64 *)(r10 - 16) = 0
    r1 = map[m] ll
    r2 = subprog[func_add] ll
    r3 = r10
    r3 += -16
    r4 = 0
    call for_each_map_elem
    r0 <<= 32
    r1 = *(u64 *)(r10 - 16)
    r0 += r1
    r9 = r0
    *(u32 *)(r10 - 4) = 0
    r1 = map[result] ll
    r2 = r10
    r2 += -4
    call map_lookup_elem
    if r0 == 0 goto +1
    *(u64 *)(r0 + 0) = r9
    r0 = 0
    exit
    func_add: r3 = *(u64 *)(r3 + 0)
    r1 = *(u64 *)(r4 + 0)
    r1 += r3
    *(u64 *)(r4 + 0) = r1
    r0 = 0
    exit`,
  maps: [result, spec],
  retval: 0,
  contents: { result: { '00000000': u64(sum) } },
})

const update = (at: number, value: number): string => `
  *(u32 *)(r10 - 4) = ${at}
  *(u64 *)(r10 - 16) = ${value}
  r1 = map[m] ll
  r2 = r10
  r2 += -4
  r3 = r10
  r3 += -16
  r4 = 0
  call map_update_elem`
const filled = `${update(1, 10)}\n${update(2, 20)}`

const walks: readonly Case[] = [
  walk('an array', map('m', 'array', 4, 8, 4), filled, (4n << 32n) + 30n),
  walk('a hash', map('m', 'hash', 4, 8, 4), filled, (2n << 32n) + 30n),
  walk('an LRU hash', map('m', 'lru_hash', 4, 8, 64), filled, (2n << 32n) + 30n),
  walk('a per-CPU array', map('m', 'percpu_array', 4, 8, 4), filled, (4n << 32n) + 30n),
  walk('a per-CPU hash', map('m', 'percpu_hash', 4, 8, 4), filled, (2n << 32n) + 30n),
  walk('a per-CPU LRU hash', map('m', 'lru_percpu_hash', 4, 8, 64), filled, (2n << 32n) + 30n),
]

export const HELPER_CASES: readonly Case[] = [...text, ...dynptrs, ...locks, ...tunnels, ...packets, jiffies, ...walks]
