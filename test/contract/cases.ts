// The contract's cases: arithmetic, memory, control flow, maps, ring buffers, packets and contexts. What is expected
// was worked out from RFC 9669 and bpf-helpers(7), not taken from an engine.

import type { MapSpec } from '../../src/object/spec.ts'
import { type Case, keep, map, result, u32, u64 } from './case.ts'

/** A case whose r0 is looked at in full width. */
const value = (name: string, asm: string, r0: bigint, maps: readonly MapSpec[] = []): Case => ({
  name,
  asm: `${asm}\n${keep}`,
  maps: [result, ...maps],
  retval: 0,
  contents: { result: { '00000000': u64(r0) } },
})

const arithmetic: readonly Case[] = [
  value('addition wraps at 64 bits', 'r0 = -1\n r0 += 2', 1n),
  value('32-bit addition wraps and clears the upper half', 'r0 = -1\n w0 += 2', 1n),
  value('subtraction goes below zero', 'r0 = 1\n r0 -= 2', -1n),
  value('multiplication keeps the low 64 bits', 'r0 = 0xffffffff00000001 ll\n r0 *= 3', 0xfffffffd00000003n),
  value('32-bit multiplication', 'r0 = 0x7fffffff\n w0 *= 0x7fffffff', 1n),
  value('immediates are sign-extended', 'r0 = 0\n r0 |= -2', -2n),
  value('a 32-bit move of a negative number clears the upper half', 'w0 = -1', 0xffffffffn),
  value('division is unsigned', 'r0 = -4\n r0 /= 2', 0x7ffffffffffffffen),
  value('division by zero gives zero', 'r0 = 7\n r1 = 0\n r0 /= r1', 0n),
  value('32-bit division by zero gives zero', 'r0 = -1\n w1 = 0\n w0 /= w1', 0n),
  value('modulo by zero leaves the dividend', 'r0 = -7\n r1 = 0\n r0 %= r1', -7n),
  value('32-bit modulo by zero leaves the low half', 'r0 = -7\n w1 = 0\n w0 %= w1', 0xfffffff9n),
  value('signed division truncates towards zero', 'r0 = -7\n r0 s/= 2', -3n),
  value('signed modulo has the sign of the dividend', 'r0 = -7\n r0 s%= 3', -1n),
  value('the least number divided by -1 wraps', 'r0 = 0x8000000000000000 ll\n r1 = -1\n r0 s/= r1', -(2n ** 63n)),
  value('the least number modulo -1 is zero', 'r0 = 0x8000000000000000 ll\n r1 = -1\n r0 s%= r1', 0n),
  value('shift counts are masked to 6 bits', 'r0 = 1\n r1 = 65\n r0 <<= r1', 2n),
  value('32-bit shift counts are masked to 5 bits', 'r0 = 1\n r1 = 33\n w0 <<= w1', 2n),
  value('arithmetic shift keeps the sign', 'r0 = -16\n r0 s>>= 2', -4n),
  value('32-bit arithmetic shift', 'r0 = 0x80000000 ll\n w0 s>>= 4', 0xf8000000n),
  value('negation', 'r0 = 5\n r0 = -r0', -5n),
  value('32-bit negation', 'r0 = 5\n w0 = -w0', 0xfffffffbn),
  value('sign-extending move', 'r1 = 0x1234567890abcdef ll\n r0 = (s16)r1', 0xffffffffffffcdefn),
  value('sign-extending move to 32 bits', 'r1 = 0x80\n w0 = (s8)w1', 0xffffff80n),
  value('to big endian, 16 bits', 'r0 = 0x1122334455667788 ll\n r0 = be16 r0', 0x8877n),
  value('to little endian cuts', 'r0 = 0x1122334455667788 ll\n r0 = le32 r0', 0x55667788n),
  value('byte swap of 64 bits', 'r0 = 0x1122334455667788 ll\n r0 = bswap64 r0', 0x8877665544332211n),
]

const memory: readonly Case[] = [
  value(
    'a store of each size changes only its bytes',
    `
    r1 = -1
    *(u64 *)(r10 - 16) = r1
    *(u8 *)(r10 - 16) = 1
    *(u16 *)(r10 - 14) = 2
    *(u32 *)(r10 - 12) = 3
    r0 = *(u64 *)(r10 - 16)`,
    0x000000030002ff01n,
  ),
  value(
    'loads are zero-extended',
    `
    r1 = -1
    *(u64 *)(r10 - 8) = r1
    r0 = *(u16 *)(r10 - 8)`,
    0xffffn,
  ),
  value(
    'sign-extending loads',
    `
    *(u64 *)(r10 - 8) = 0x80
    r0 = *(s8 *)(r10 - 8)`,
    -128n,
  ),
  value(
    'an immediate store is sign-extended',
    `
    *(u64 *)(r10 - 8) = -2
    r0 = *(u64 *)(r10 - 8)`,
    -2n,
  ),
  value(
    'atomic add',
    `
    *(u64 *)(r10 - 8) = 40
    r1 = 2
    lock *(u64 *)(r10 - 8) += r1
    r0 = *(u64 *)(r10 - 8)`,
    42n,
  ),
  value(
    'atomic fetch-or gives the old value',
    `
    *(u64 *)(r10 - 8) = 5
    r0 = 2
    r0 = atomic64_fetch_or((u64 *)(r10 - 8), r0)
    r1 = *(u64 *)(r10 - 8)
    r1 <<= 8
    r0 += r1`,
    0x705n,
  ),
  value(
    'a 32-bit atomic add does not carry into the next word',
    `
    r1 = 0x1ffffffff ll
    *(u64 *)(r10 - 8) = r1
    r1 = 1
    lock *(u32 *)(r10 - 8) += r1
    r0 = *(u64 *)(r10 - 8)`,
    0x100000000n,
  ),
  value(
    'exchange',
    `
    *(u64 *)(r10 - 8) = 5
    r0 = 9
    r0 = atomic64_xchg((u64 *)(r10 - 8), r0)`,
    5n,
  ),
  value(
    'compare and exchange that succeeds',
    `
    *(u64 *)(r10 - 8) = 5
    r0 = 5
    r1 = 77
    r0 = atomic64_cmpxchg((u64 *)(r10 - 8), r0, r1)
    r0 = *(u64 *)(r10 - 8)`,
    77n,
  ),
  value(
    'compare and exchange that fails gives what is there',
    `
    *(u64 *)(r10 - 8) = 5
    r0 = 6
    r1 = 77
    r0 = atomic64_cmpxchg((u64 *)(r10 - 8), r0, r1)`,
    5n,
  ),
]

const control: readonly Case[] = [
  value(
    'signed and unsigned comparisons differ',
    `
    r0 = 0
    r1 = -1
    if r1 > 5 goto +1
    r0 |= 1
    if r1 s> 5 goto +1
    r0 |= 2`,
    2n,
  ),
  value(
    'a 32-bit comparison reads the low halves',
    `
    r0 = 0
    r1 = 0xff00000001 ll
    if w1 != 1 goto +1
    r0 = 1`,
    1n,
  ),
  value(
    'a jump on common bits',
    `
    r0 = 0
    r1 = 6
    if r1 & 8 goto +1
    r0 |= 1
    if r1 & 4 goto +1
    r0 |= 2`,
    1n,
  ),
  value(
    'a bounded loop',
    `
    r0 = 0
    r1 = 0
    loop: r0 += r1
    r1 += 1
    if r1 < 101 goto loop`,
    5050n,
  ),
  value(
    'may_goto leaves a loop that would not end by itself',
    `
    r0 = 7
    loop: may_goto +1
    goto loop`,
    7n,
  ),
  {
    name: 'a function has registers and a stack of its own',
    asm: `
      r6 = 6
      *(u64 *)(r10 - 8) = 8
      r1 = 30
      r2 = 12
      call func_add
      r0 += r6
      r1 = *(u64 *)(r10 - 8)
      r0 += r1
      exit
      func_add: r6 = 1000
      *(u64 *)(r10 - 8) = 1000
      r0 = r1
      r0 += r2
      exit`,
    retval: 56,
  },
  {
    name: "a function writes through a pointer to its caller's stack",
    asm: `
      *(u64 *)(r10 - 8) = 0
      r1 = r10
      r1 += -8
      call func_set
      r0 = *(u64 *)(r10 - 8)
      exit
      func_set: *(u64 *)(r1 + 0) = 11
      r0 = 0
      exit`,
    retval: 11,
  },
  {
    name: 'calls eight frames deep',
    asm: `
      r1 = 1
      call func1
      exit
      ${[1, 2, 3, 4, 5, 6].map((n) => `func${n}: r1 += 1\n call func${n + 1}\n exit`).join('\n')}
      func7: r0 = r1
      exit`,
    retval: 7,
  },
  {
    name: 'bpf_loop calls a function by its address',
    asm: `
      *(u64 *)(r10 - 8) = 0
      r1 = 10
      r2 = subprog[func_body] ll
      r3 = r10
      r3 += -8
      r4 = 0
      call loop
      r1 = *(u64 *)(r10 - 8)
      r1 *= 100
      r0 += r1
      exit
      func_body: r3 = *(u64 *)(r2 + 0)
      r3 += r1
      *(u64 *)(r2 + 0) = r3
      r0 = 0
      if r1 != 5 goto +1
      r0 = 1
      exit`,
    retval: 1506,
  },
]

/** Look-up of the u32 key on the stack; r0 is the value's address or 0. */
const lookup = (name: string, key: number): string => `
  *(u32 *)(r10 - 4) = ${key}
  r1 = map[${name}] ll
  r2 = r10
  r2 += -4
  call map_lookup_elem`
/** Update of key and u64 value; r0 is the error number. */
const update = (name: string, key: number, value: number, flags = 0): string => `
  *(u32 *)(r10 - 4) = ${key}
  *(u64 *)(r10 - 16) = ${value}
  r1 = map[${name}] ll
  r2 = r10
  r2 += -4
  r3 = r10
  r3 += -16
  r4 = ${flags}
  call map_update_elem`
const remove = (name: string, key: number): string => `
  *(u32 *)(r10 - 4) = ${key}
  r1 = map[${name}] ll
  r2 = r10
  r2 += -4
  call map_delete_elem`

const counts = map('counts', 'hash', 4, 8, 2)
const table = map('table', 'array', 4, 8, 3)

const maps: readonly Case[] = [
  {
    name: 'a hash counts over several runs',
    asm: `
      ${lookup('counts', 7)}
      if r0 == 0 goto insert
      r1 = 1
      lock *(u64 *)(r0 + 0) += r1
      r0 = 0
      exit
      insert: ${update('counts', 7, 1)}
      exit`,
    maps: [counts],
    runs: 5,
    retval: 0,
    contents: { counts: { [u32(7)]: u64(5n) } },
  },
  {
    name: 'a look-up of what is not there gives null',
    asm: `${lookup('counts', 1)}\n exit`,
    maps: [counts],
    retval: 0,
  },
  {
    name: 'an index past an array gives null',
    asm: `${lookup('table', 3)}\n if r0 != 0 goto +2\n r0 = 1\n exit\n r0 = 2\n exit`,
    maps: [table],
    retval: 1,
  },
  {
    name: 'a value found in a map can be written',
    asm: `${lookup('table', 2)}\n if r0 == 0 goto +1\n *(u64 *)(r0 + 0) = 99\n r0 = 0\n exit`,
    maps: [table],
    retval: 0,
    contents: { table: { [u32(0)]: u64(0n), [u32(1)]: u64(0n), [u32(2)]: u64(99n) } },
  },
  {
    name: 'a full hash: E2BIG',
    asm: `${update('counts', 1, 1)}${update('counts', 2, 2)}${update('counts', 3, 3)}\n exit`,
    maps: [counts],
    retval: 2 ** 32 - 7,
  },
  {
    name: 'a full hash still replaces',
    asm: `${update('counts', 1, 1)}${update('counts', 2, 2)}${update('counts', 1, 3)}\n exit`,
    maps: [counts],
    retval: 0,
    contents: { counts: { [u32(1)]: u64(3n), [u32(2)]: u64(2n) } },
  },
  {
    name: 'room after a deletion',
    asm: `${update('counts', 1, 1)}${update('counts', 2, 2)}${remove('counts', 1)}${update('counts', 3, 3)}\n exit`,
    maps: [counts],
    retval: 0,
    contents: { counts: { [u32(2)]: u64(2n), [u32(3)]: u64(3n) } },
  },
  {
    name: 'BPF_NOEXIST on a key that is there: EEXIST',
    asm: `${update('counts', 1, 1)}${update('counts', 1, 2, 1)}\n exit`,
    maps: [counts],
    retval: 2 ** 32 - 17,
    contents: { counts: { [u32(1)]: u64(1n) } },
  },
  {
    name: 'BPF_EXIST on a key that is not there: ENOENT',
    asm: `${update('counts', 1, 1, 2)}\n exit`,
    maps: [counts],
    retval: 2 ** 32 - 2,
    contents: { counts: {} },
  },
  {
    name: 'unknown update flags: EINVAL',
    asm: `${update('counts', 1, 1, 8)}\n exit`,
    maps: [counts],
    retval: 2 ** 32 - 22,
  },
  {
    name: 'deleting what is not there: ENOENT',
    asm: `${remove('counts', 1)}\n exit`,
    maps: [counts],
    retval: 2 ** 32 - 2,
  },
  { name: 'deleting from an array: EINVAL', asm: `${remove('table', 1)}\n exit`, maps: [table], retval: 2 ** 32 - 22 },
  {
    name: 'BPF_NOEXIST on an array: EEXIST',
    asm: `${update('table', 1, 1, 1)}\n exit`,
    maps: [table],
    retval: 2 ** 32 - 17,
  },
  { name: 'updating past an array: E2BIG', asm: `${update('table', 3, 1)}\n exit`, maps: [table], retval: 2 ** 32 - 7 },
  {
    name: 'an old value stays readable after it was replaced',
    asm: `
      ${update('counts', 1, 5)}
      ${lookup('counts', 1)}
      if r0 == 0 goto out
      r6 = r0
      ${update('counts', 1, 6)}
      r0 = *(u64 *)(r6 + 0)
      out: exit`,
    maps: [counts],
    retval: 5,
    contents: { counts: { [u32(1)]: u64(6n) } },
  },
  {
    name: 'an LRU hash takes more keys than it has room for',
    asm: `${Array.from({ length: 200 }, (_, n) => update('recent', n, n)).join('')}\n exit`,
    maps: [map('recent', 'lru_hash', 4, 8, 64)],
    retval: 0,
  },
  {
    name: 'a per-CPU array keeps a value over runs',
    asm: `${lookup('each', 0)}\n if r0 == 0 goto out\n r1 = *(u64 *)(r0 + 0)\n r1 += 1\n *(u64 *)(r0 + 0) = r1\n r0 = r1\n out: exit`,
    maps: [map('each', 'percpu_array', 4, 8, 1)],
    runs: 3,
    not: { kernel: 'the runs may be on different CPUs' },
    retval: 3,
  },
  {
    name: 'global data by its address',
    asm: `
      r1 = map_value[data][8] ll
      r0 = *(u64 *)(r1 + 0)
      r2 = map_value[data][0] ll
      *(u32 *)(r2 + 4) = 5
      exit`,
    maps: [
      map('data', 'array', 4, 16, 1, {
        contents: [[new Uint8Array(4), Uint8Array.from({ length: 16 }, (_, i) => (i < 8 ? 1 : i === 8 ? 42 : 0))]],
      }),
    ],
    retval: 42,
    contents: { data: { '00000000': `0101010105000000${u64(42n)}` } },
  },
  {
    name: 'keys and values of odd sizes',
    asm: `
      *(u32 *)(r10 - 8) = 0x04030201
      *(u8 *)(r10 - 4) = 5
      *(u16 *)(r10 - 16) = 0x0b0a
      *(u8 *)(r10 - 14) = 0x0c
      r1 = map[odd] ll
      r2 = r10
      r2 += -8
      r3 = r10
      r3 += -16
      r4 = 0
      call map_update_elem
      exit`,
    maps: [map('odd', 'hash', 5, 3, 10)],
    retval: 0,
    contents: { odd: { '0102030405': '0a0b0c' } },
  },
]

const events = map('events', 'ringbuf', 0, 0, 4096)
const dropped = map('dropped', 'array', 4, 16, 1)

/** Reserves `size` bytes; r0 is the record or 0. */
const reserve = (size: number, flags = 0): string => `
  r1 = map[events] ll
  r2 = ${size}
  r3 = ${flags}
  call ringbuf_reserve`
const query = (what: number): string => `r1 = map[events] ll\n r2 = ${what}\n call ringbuf_query`

const ringbufs: readonly Case[] = [
  {
    name: 'reserve, fill, submit',
    asm: `
      ${reserve(12)}
      if r0 == 0 goto out
      *(u64 *)(r0 + 0) = 1
      *(u32 *)(r0 + 8) = 2
      r1 = r0
      r2 = 0
      call ringbuf_submit
      out: r0 = 0
      exit`,
    maps: [events],
    runs: 2,
    retval: 0,
    events: { events: [`${u64(1n)}02000000`, `${u64(1n)}02000000`] },
  },
  {
    name: 'a discarded record is not seen',
    asm: `
      ${reserve(8)}
      if r0 == 0 goto out
      *(u64 *)(r0 + 0) = 1
      r1 = r0
      r2 = 0
      call ringbuf_discard
      *(u64 *)(r10 - 8) = 3
      r1 = map[events] ll
      r2 = r10
      r2 += -8
      r3 = 8
      r4 = 0
      call ringbuf_output
      out: exit`,
    maps: [events],
    retval: 0,
    events: { events: [u64(3n)] },
  },
  {
    name: 'a full ring refuses, and the program counts what is lost',
    asm: `
      *(u64 *)(r10 - 8) = 3
      r1 = map[events] ll
      r2 = r10
      r2 += -8
      r3 = 8
      r4 = 0
      call ringbuf_output
      if r0 == 0 goto out
      r1 = map_value[dropped][8] ll
      r2 = 1
      lock *(u64 *)(r1 + 0) += r2
      out: exit`,
    // 16 bytes a record; the last byte of the ring is never used, so 255 fit.
    maps: [map('events', 'ringbuf', 0, 0, 4096, { lost: { map: 'dropped', offset: 8 } }), dropped],
    runs: 260,
    retval: 2 ** 32 - 11,
    events: { events: new Array<string>(255).fill(u64(3n)) },
    lost: { events: 5n },
  },
  {
    name: 'a record that can never fit',
    asm: `${reserve(4096)}\n if r0 == 0 goto out\n r1 = r0\n r2 = 0\n call ringbuf_discard\n r0 = 1\n out: exit`,
    maps: [events],
    retval: 0,
  },
  {
    name: 'the largest record that fits',
    asm: `${reserve(4080)}\n if r0 == 0 goto out\n r1 = r0\n r2 = 0\n call ringbuf_discard\n r0 = 1\n out: exit`,
    maps: [events],
    retval: 1,
  },
  {
    name: "a header makes a record of the ring's size minus 8 too large",
    asm: `${reserve(4088)}\n if r0 == 0 goto out\n r1 = r0\n r2 = 0\n call ringbuf_discard\n r0 = 1\n out: exit`,
    maps: [events],
    retval: 0,
  },
  {
    name: 'reserve with flags gives null',
    asm: `${reserve(8, 1)}\n if r0 == 0 goto out\n r1 = r0\n r2 = 0\n call ringbuf_discard\n r0 = 1\n out: exit`,
    maps: [events],
    retval: 0,
  },
  {
    name: 'output with unknown flags: EINVAL',
    asm: `*(u64 *)(r10 - 8) = 3\n r1 = map[events] ll\n r2 = r10\n r2 += -8\n r3 = 8\n r4 = 4\n call ringbuf_output\n exit`,
    maps: [events],
    retval: 2 ** 32 - 22,
    events: { events: [] },
  },
  value(
    'query tells size and unread bytes',
    `
    *(u64 *)(r10 - 8) = 3
    r1 = map[events] ll
    r2 = r10
    r2 += -8
    r3 = 5
    r4 = 0
    call ringbuf_output
    ${query(0)}
    r6 = r0
    ${query(1)}
    r0 <<= 16
    r0 |= r6
    r6 = r0
    ${query(3)}
    r0 <<= 32
    r0 |= r6`,
    (16n << 32n) | (4096n << 16n) | 16n,
    [events],
  ),
]

/** r2 = data, r3 = data_end; leaves to \`short\` unless `size` bytes are there. */
const packetStart = (size: number): string => `
  r6 = r1
  r2 = *(u32 *)(r1 + 0)
  r3 = *(u32 *)(r1 + 4)
  r4 = r2
  r4 += ${size}
  if r4 > r3 goto short`

const xdp: readonly Case[] = [
  { name: 'the verdict', asm: 'r0 = 2\n exit', retval: 2, out: '00'.repeat(20), packet: '00'.repeat(20) },
  { name: 'r0 is cut to 32 bits', asm: 'r0 = 0x500000007 ll\n exit', retval: 7 },
  {
    name: "a packet's length",
    asm: 'r0 = *(u32 *)(r1 + 4)\n r2 = *(u32 *)(r1 + 0)\n r0 -= r2\n exit',
    retval: 100,
    packet: '00'.repeat(100),
  },
  {
    name: 'a packet read in network order',
    asm: `${packetStart(14)}\n r0 = *(u16 *)(r2 + 12)\n r0 = be16 r0\n exit\n short: r0 = -1\n exit`,
    retval: 0x0c0d,
  },
  {
    name: 'a packet that is too short takes the other branch',
    asm: `${packetStart(65)}\n r0 = 1\n exit\n short: r0 = 2\n exit`,
    retval: 2,
  },
  {
    name: 'a packet written',
    asm: `${packetStart(14)}\n *(u32 *)(r2 + 0) = 0x04030201\n r0 = 2\n exit\n short: r0 = 0\n exit`,
    packet: '00'.repeat(16),
    retval: 2,
    out: `01020304${'00'.repeat(12)}`,
  },
  { name: 'the interface is the loopback', asm: 'r0 = *(u32 *)(r1 + 12)\n exit', retval: 1 },
  {
    name: 'adjust_head takes bytes off the front',
    asm: `r6 = r1\n r2 = 4\n call xdp_adjust_head\n r1 = r6\n ${packetStart(4)}\n r0 = *(u8 *)(r2 + 0)\n exit\n short: r0 = -1\n exit`,
    packet: Array.from({ length: 20 }, (_, i) => i.toString(16).padStart(2, '0')).join(''),
    retval: 4,
    out: Array.from({ length: 16 }, (_, i) => (i + 4).toString(16).padStart(2, '0')).join(''),
  },
  {
    name: 'adjust_head leaves an Ethernet header: EINVAL',
    asm: 'r2 = 7\n call xdp_adjust_head\n exit',
    packet: '00'.repeat(20),
    retval: 2 ** 32 - 22,
  },
  { name: 'the headroom has 216 bytes for programs', asm: 'r2 = -216\n call xdp_adjust_head\n exit', retval: 0 },
  { name: 'and not one more: EINVAL', asm: 'r2 = -217\n call xdp_adjust_head\n exit', retval: 2 ** 32 - 22 },
  {
    name: 'adjust_tail cuts the end',
    asm: 'r2 = -4\n call xdp_adjust_tail\n exit',
    packet: '01'.repeat(20),
    retval: 0,
    out: '01'.repeat(16),
  },
  {
    name: 'adjust_tail grows with zeros',
    asm: 'r2 = 3\n call xdp_adjust_tail\n exit',
    packet: '01'.repeat(20),
    retval: 0,
    out: `${'01'.repeat(20)}000000`,
  },
  {
    name: 'adjust_tail beyond the page: EINVAL',
    asm: 'r2 = 3501\n call xdp_adjust_tail\n exit',
    packet: '01'.repeat(20),
    retval: 2 ** 32 - 22,
  },
  {
    name: 'adjust_tail up to the page',
    asm: 'r2 = 3500\n call xdp_adjust_tail\n exit',
    packet: '01'.repeat(20),
    retval: 0,
  },
  {
    name: 'metadata before the packet',
    asm: `
      r6 = r1
      r2 = -8
      call xdp_adjust_meta
      if r0 != 0 goto short
      r2 = *(u32 *)(r6 + 8)
      r3 = *(u32 *)(r6 + 0)
      r4 = r2
      r4 += 8
      if r4 > r3 goto short
      *(u64 *)(r2 + 0) = 77
      r0 = *(u64 *)(r2 + 0)
      exit
      short: r0 = -1
      exit`,
    retval: 77,
  },
  { name: 'metadata of an odd size: EACCES', asm: 'r2 = -3\n call xdp_adjust_meta\n exit', retval: 2 ** 32 - 13 },
  {
    name: 'xdp_load_bytes',
    asm: 'r2 = 12\n r3 = r10\n r3 += -8\n r4 = 4\n call xdp_load_bytes\n r0 = *(u32 *)(r10 - 8)\n exit',
    retval: 0x0f0e0d0c,
  },
  {
    name: 'xdp_load_bytes past the end: EINVAL',
    asm: 'r2 = 62\n r3 = r10\n r3 += -8\n r4 = 4\n call xdp_load_bytes\n exit',
    retval: 2 ** 32 - 22,
  },
  {
    name: 'xdp_store_bytes',
    asm: '*(u32 *)(r10 - 8) = -1\n r2 = 2\n r3 = r10\n r3 += -8\n r4 = 4\n call xdp_store_bytes\n exit',
    packet: '00'.repeat(16),
    retval: 0,
    out: `0000ffffffff${'00'.repeat(10)}`,
  },
  { name: 'xdp_get_buff_len', asm: 'call xdp_get_buff_len\n exit', retval: 64 },
]

const ETHERNET = `000000000000${'020000000001'}`
const ipPacket = `${ETHERNET}0800${'45000014'}${'00'.repeat(26)}`

const others: readonly Case[] = [
  {
    name: 'a classifier sees the link header',
    type: 'sched_cls',
    asm: 'r0 = *(u32 *)(r1 + 0)\n exit',
    packet: ipPacket,
    retval: 44,
  },
  {
    name: 'a classifier reads the packet directly',
    type: 'sched_cls',
    asm: `r6 = r1\n r2 = *(u32 *)(r1 + 76)\n r3 = *(u32 *)(r1 + 80)\n r4 = r2\n r4 += 16\n r0 = -1\n if r4 > r3 goto +1\n r0 = *(u8 *)(r2 + 14)\n exit`,
    packet: ipPacket,
    retval: 0x45,
  },
  {
    name: 'the protocol is in network order',
    type: 'sched_cls',
    asm: 'r0 = *(u32 *)(r1 + 16)\n exit',
    packet: ipPacket,
    retval: 0x0008,
  },
  {
    name: 'a classifier writes the packet',
    type: 'sched_cls',
    asm: 'r6 = r1\n *(u32 *)(r10 - 4) = -1\n r2 = 14\n r3 = r10\n r3 += -4\n r4 = 4\n r5 = 0\n call skb_store_bytes\n exit',
    packet: ipPacket,
    retval: 0,
    out: `${ETHERNET}0800ffffffff${'00'.repeat(26)}`,
  },
  {
    name: 'a socket filter sees the packet behind the link header',
    type: 'socket_filter',
    asm: 'r6 = r1\n r0 = *(u8 *)skb[0]\n exit',
    packet: ipPacket,
    retval: 0x45,
  },
  {
    name: 'a legacy load by register, in network order',
    type: 'socket_filter',
    asm: 'r6 = r1\n r7 = 1\n r0 = *(u16 *)skb[r7 + 1]\n exit',
    packet: ipPacket,
    retval: 0x14,
  },
  {
    name: 'a legacy load of the link header',
    type: 'socket_filter',
    asm: 'r6 = r1\n r0 = *(u16 *)skb[-2097140]\n exit',
    packet: ipPacket,
    retval: 0x0800,
  },
  {
    name: 'a legacy load past the end ends the program with 0',
    type: 'socket_filter',
    asm: 'r6 = r1\n r0 = *(u32 *)skb[28]\n r0 = 5\n exit',
    packet: ipPacket,
    retval: 0,
  },
  {
    name: 'skb_load_bytes',
    type: 'socket_filter',
    asm: 'r2 = 0\n r3 = r10\n r3 += -8\n r4 = 4\n call skb_load_bytes\n r0 = *(u32 *)(r10 - 8)\n exit',
    packet: ipPacket,
    retval: 0x14000045,
  },
  {
    name: 'skb_load_bytes past the end: EFAULT',
    type: 'socket_filter',
    asm: 'r2 = 28\n r3 = r10\n r3 += -8\n r4 = 4\n call skb_load_bytes\n exit',
    packet: ipPacket,
    retval: 2 ** 32 - 14,
  },
  {
    name: 'the arguments of a raw tracepoint',
    type: 'raw_tracepoint',
    asm: 'r0 = *(u64 *)(r1 + 8)\n exit',
    ctx: `${u64(1n)}${u64(22n)}`,
    retval: 22,
  },
  {
    name: 'a syscall program reads its context',
    type: 'syscall',
    asm: 'r0 = *(u64 *)(r1 + 0)\n exit',
    ctx: u64(33n),
    retval: 33,
  },
  {
    name: "a tracepoint's record",
    type: 'tracepoint',
    asm: 'r0 = *(u32 *)(r1 + 8)\n exit',
    ctx: `${u64(0n)}05000000`,
    retval: 5,
    not: { kernel: 'BPF_PROG_TEST_RUN does not run tracepoint programs' },
  },
]

const csumDiff = (from: number[], to: number[], seed: number): string => `
  ${from.map((word, i) => `*(u32 *)(r10 ${-32 + i * 4}) = ${word | 0}`).join('\n')}
  ${to.map((word, i) => `*(u32 *)(r10 ${-16 + i * 4}) = ${word | 0}`).join('\n')}
  ${from.length ? 'r1 = r10\n r1 += -32' : 'r1 = 0'}
  r2 = ${from.length * 4}
  ${to.length ? 'r3 = r10\n r3 += -16' : 'r3 = 0'}
  r4 = ${to.length * 4}
  r5 = ${seed}
  call csum_diff`

const strings = map('text', 'array', 4, 16, 1, {
  flags: 128,
  frozen: true,
  contents: [[new Uint8Array(4), new TextEncoder().encode('waggle\0\0\0\0\0\0\0\0\0\0')]],
})
/** strncmp of `text` in words on the stack with `waggle` in a read-only map. */
const compare = (text: string): string => {
  const words = new Uint32Array(new TextEncoder().encode(text.padEnd(8, '\0')).buffer)
  return `*(u32 *)(r10 - 8) = ${words[0] | 0}\n *(u32 *)(r10 - 4) = ${words[1] | 0}
    r1 = r10\n r1 += -8\n r2 = 8\n r3 = map_value[text][0] ll\n call strncmp`
}

const helpers: readonly Case[] = [
  // The checksum of net/core/filter.c is folded to 16 bits since Linux 6.13; both have the sum 0x0101 here.
  {
    name: 'csum_diff adds',
    type: 'sched_cls',
    asm: `${csumDiff([], [0x00010001, 0x01000100], 0)}\n exit`,
    retval: 0x0202,
  },
  {
    name: 'csum_diff takes off what was',
    type: 'sched_cls',
    asm: `${csumDiff([0x1111], [0x3333], 0)}\n exit`,
    retval: 0x2222,
  },
  {
    name: 'csum_diff with a seed and a carry',
    type: 'sched_cls',
    asm: `${csumDiff([], [0xffff0001], 0x12345678)}\n exit`,
    retval: 0x68ad,
  },
  {
    name: 'csum_diff below zero wraps around',
    type: 'sched_cls',
    asm: `${csumDiff([0x3333], [0x1111], 0)}\n exit`,
    retval: 0xdddd,
  },
  {
    name: 'csum_diff of what was alone',
    type: 'sched_cls',
    asm: `${csumDiff([0x1234], [], 0)}\n exit`,
    retval: 0xedcb,
  },
  { name: 'strncmp of equal strings', asm: `${compare('waggle')}\n exit`, maps: [strings], retval: 0 },
  { name: 'strncmp of a smaller one', asm: `${compare('waff')}\n exit`, maps: [strings], retval: 2 ** 32 - 1 },
  { name: 'strncmp of a greater one', asm: `${compare('waggles')}\n exit`, maps: [strings], retval: 1 },
  {
    name: 'probe_read_kernel of a null pointer: ERANGE, and zeros',
    asm: `
      *(u64 *)(r10 - 8) = -1
      r1 = r10
      r1 += -8
      r2 = 8
      r3 = 16
      call probe_read_kernel
      r6 = *(u64 *)(r10 - 8)
      r0 += r6
      exit`,
    retval: 2 ** 32 - 34,
  },
  {
    name: 'probe_read_kernel of an address that nobody has: EFAULT',
    asm: 'r1 = r10\n r1 += -8\n r2 = 8\n r3 = -4096\n call probe_read_kernel\n exit',
    retval: 2 ** 32 - 14,
  },
  {
    name: 'probe_read_kernel_str counts the null',
    asm: `
      r1 = r10
      r1 += -16
      r2 = 16
      r3 = map_value[text][0] ll
      call probe_read_kernel_str
      exit`,
    maps: [strings],
    retval: 7,
  },
  {
    name: 'probe_read_kernel_str cuts and ends with a null',
    asm: `
      *(u64 *)(r10 - 8) = -1
      r1 = r10
      r1 += -8
      r2 = 4
      r3 = map_value[text][0] ll
      call probe_read_kernel_str
      r0 <<= 8
      r1 = *(u8 *)(r10 - 5)
      r0 |= r1
      exit`,
    maps: [strings],
    retval: 0x400,
  },
  {
    name: 'snprintf',
    asm: `
      *(u64 *)(r10 - 8) = 42
      r1 = r10
      r1 += -24
      r2 = 16
      r3 = map_value[format][0] ll
      r4 = r10
      r4 += -8
      r5 = 8
      call snprintf
      r1 = *(u8 *)(r10 - 22)
      r1 <<= 8
      r0 |= r1
      exit`,
    maps: [
      map('format', 'array', 4, 16, 1, {
        flags: 128,
        frozen: true,
        contents: [[new Uint8Array(4), new TextEncoder().encode('x=%d!\0\0\0\0\0\0\0\0\0\0\0')]],
      }),
    ],
    // `x=42!` and its null; the third character is 4.
    retval: 0x3406,
  },
]

export const CASES: readonly Case[] = [
  ...arithmetic,
  ...memory,
  ...control,
  ...maps,
  ...ringbufs,
  ...xdp,
  ...others,
  ...helpers,
]
