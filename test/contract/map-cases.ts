// The contract's cases for maps that are more than keys and values: tail calls through a prog_array, maps of maps, queues,
// tries, perf events, targets of redirects. What is expected was worked out from bpf-helpers(7) and the kernel's
// documentation of each map type.

import { type Case, map, u32, u64, unhex } from './case.ts'

const key = (n: number): Uint8Array => unhex(u32(n))
const progs = (...names: string[]) =>
  map('progs', 'prog_array', 4, 4, 40, { refs: names.map((name, i) => [key(i), name] as const) })
/** Global data: element 0 of an array, 16 bytes. */
const data = map('data', 'array', 4, 16, 1)

/** Goes on to program `index`, if it is there. */
const tail = (index: number): string => `
  r2 = map[progs] ll
  r3 = ${index}
  call tail_call`

const count = (by: number): string => `
  r6 = r1
  r1 = map_value[data][0] ll
  r2 = *(u64 *)(r1 + 0)
  r2 += ${by}
  *(u64 *)(r1 + 0) = r2
  r1 = r6`

const tailCalls: readonly Case[] = [
  {
    name: 'a tail call runs the other program instead',
    asm: `${tail(0)}\n r0 = 1\n exit`,
    others: { second: 'r0 = 2\n exit' },
    maps: [progs('second')],
    retval: 2,
  },
  {
    name: 'a tail call to an empty place falls through',
    asm: `${tail(7)}\n r0 = 1\n exit`,
    others: { second: 'r0 = 2\n exit' },
    maps: [progs('second')],
    retval: 1,
  },
  {
    name: 'a tail call past the end falls through',
    asm: `${tail(40)}\n r0 = 1\n exit`,
    maps: [progs()],
    retval: 1,
  },
  {
    name: 'a tail call hands the context on',
    asm: `${tail(0)}\n r0 = 1\n exit`,
    others: {
      second: `
        r0 = 0
        r2 = *(u32 *)(r1 + 0)
        r3 = *(u32 *)(r1 + 4)
        r4 = r2
        r4 += 8
        if r4 > r3 goto out
        r0 = *(u8 *)(r2 + 7)
        out: exit`,
    },
    maps: [progs('second')],
    retval: 7,
  },
  {
    name: 'a program goes on to itself 33 times, not more',
    asm: `${count(1)}\n${tail(0)}\n r0 = 5\n exit`,
    maps: [progs('main'), data],
    retval: 5,
    contents: { data: { '00000000': u64(34n) + u64(0n) } },
  },
  {
    name: 'the limit holds for each run',
    runs: 2,
    asm: `${count(1)}\n${tail(0)}\n r0 = 5\n exit`,
    maps: [progs('main'), data],
    retval: 5,
    contents: { data: { '00000000': u64(68n) + u64(0n) } },
  },
  {
    name: 'two programs take turns until the limit',
    asm: `${count(1)}\n${tail(1)}\n r0 = 5\n exit`,
    others: { second: `${count(100)}\n${tail(0)}\n r0 = 6\n exit` },
    maps: [progs('main', 'second'), data],
    retval: 6,
    contents: { data: { '00000000': u64(1717n) + u64(0n) } },
  },
  {
    name: 'a program called into by a function returns to the caller of that function',
    asm: `
      r7 = 3
      call func_go
      r0 += r7
      exit
      func_go: ${tail(0)}
      r0 = 10
      exit`,
    others: { second: 'r0 = 20\n exit' },
    maps: [progs('second')],
    retval: 23,
  },
]

const template = map('template', 'array', 4, 8, 2)
const inner = (name: string, value: bigint) => ({ ...template, name, contents: [[key(0), unhex(u64(value))]] as const })

/** r0 = element 0 of the map that `outer` has at r0, or 77. */
const through = (at: number): string => `
  *(u32 *)(r10 - 4) = ${at}
  r1 = map[outer] ll
  r2 = r10
  r2 += -4
  call map_lookup_elem
  if r0 == 0 goto none
  r1 = r0
  *(u32 *)(r10 - 4) = 0
  r2 = r10
  r2 += -4
  call map_lookup_elem
  if r0 == 0 goto none
  r0 = *(u64 *)(r0 + 0)
  exit
  none: r0 = 77
  exit`

const nested: readonly Case[] = [
  ...(['array_of_maps', 'hash_of_maps'] as const).flatMap((type): Case[] => {
    const outer = map('outer', type, 4, 4, 4, {
      inner: template,
      refs: [
        [key(1), 'one'],
        [key(2), 'two'],
      ],
    })
    const maps = [inner('one', 11n), inner('two', 22n), outer]
    return [
      { name: `${type}: an element leads to its map`, asm: through(2), maps, retval: 22 },
      { name: `${type}: a place without a map is null`, asm: through(3), maps, retval: 77 },
    ]
  }),
]

const prefix = (length: number, ...address: number[]): Uint8Array => Uint8Array.of(length, 0, 0, 0, ...address)
const routes = map('routes', 'lpm_trie', 8, 8, 10, {
  flags: 1,
  contents: [
    [prefix(0, 0, 0, 0, 0), unhex(u64(1n))],
    [prefix(8, 10, 0, 0, 0), unhex(u64(2n))],
    [prefix(24, 10, 1, 2, 0), unhex(u64(3n))],
    [prefix(32, 10, 1, 2, 3), unhex(u64(4n))],
  ],
})
const route = (name: string, address: readonly number[], retval: number): Case => ({
  name: `lpm_trie: ${name}`,
  asm: `
    *(u32 *)(r10 - 8) = 32
    ${address.map((byte, i) => `*(u8 *)(r10 - ${4 - i}) = ${byte}`).join('\n')}
    r1 = map[routes] ll
    r2 = r10
    r2 += -8
    call map_lookup_elem
    if r0 == 0 goto +1
    r0 = *(u64 *)(r0 + 0)
    exit`,
  maps: [routes],
  retval,
})

const pushes = (flags: number): string => `
  r6 = 0
  again: r6 += 1
  *(u64 *)(r10 - 8) = r6
  r1 = map[q] ll
  r2 = r10
  r2 += -8
  r3 = ${flags}
  call map_push_elem
  if r6 != 5 goto again
  r7 = r0
  r1 = map[q] ll
  r2 = r10
  r2 += -8
  call map_pop_elem
  r0 = *(u64 *)(r10 - 8)`

const keyless: readonly Case[] = [
  { name: 'a queue gives the oldest', asm: `${pushes(0)}\n exit`, maps: [map('q', 'queue', 0, 8, 5)], retval: 1 },
  { name: 'a stack gives the newest', asm: `${pushes(0)}\n exit`, maps: [map('q', 'stack', 0, 8, 5)], retval: 5 },
  {
    name: 'a full queue takes no more',
    asm: `${pushes(0)}\n r0 = r7\n exit`,
    maps: [map('q', 'queue', 0, 8, 4)],
    retval: -7 >>> 0,
  },
  {
    name: 'a full queue drops the oldest for BPF_EXIST',
    asm: `${pushes(2)}\n exit`,
    maps: [map('q', 'queue', 0, 8, 4)],
    retval: 2,
  },
]

const sample = (size: number, flags: string): string => `
  r6 = r1
  *(u64 *)(r10 - 24) = 1
  *(u64 *)(r10 - 16) = 2
  *(u32 *)(r10 - 8) = 3
  r1 = r6
  r2 = map[samples] ll
  r3 = ${flags} ll
  r4 = r10
  r4 += -24
  r5 = ${size}
  call perf_event_output
  exit`
const samples = map('samples', 'perf_event_array', 4, 4, 64)

const perf: readonly Case[] = [
  {
    name: 'perf_event_output gives its bytes to the reader',
    asm: sample(20, '0xffffffff'),
    maps: [samples],
    retval: 0,
    events: { samples: [u64(1n) + u64(2n) + u32(3)] },
    lost: { samples: 0n },
  },
  {
    name: 'perf_event_output puts the packet behind its bytes',
    asm: sample(4, '0x10ffffffff'),
    maps: [samples],
    retval: 0,
    events: { samples: ['01000000000102030405060708090a0b0c0d0e0f'] },
  },
  {
    name: 'perf_event_output of more packet than there is fails',
    asm: sample(4, '0x41ffffffff'),
    maps: [samples],
    retval: -14 >>> 0,
  },
  {
    name: 'perf_event_output without a reader fails',
    asm: sample(20, '0xffffffff'),
    maps: [samples],
    retval: -2 >>> 0,
  },
  { name: 'perf_event_output past the array fails', asm: sample(20, '64'), maps: [samples], retval: -7 >>> 0 },
]

const redirectMap = (index: number, flags: number): string => `
  r1 = map[ports] ll
  r2 = ${index}
  r3 = ${flags}
  call redirect_map
  exit`
const ports = map('ports', 'devmap', 4, 4, 4, { contents: [[key(2), unhex(u32(1))]] })

const redirects: readonly Case[] = [
  {
    name: 'redirect_map to an interface that is there',
    asm: redirectMap(2, 0),
    maps: [ports],
    retval: 4,
    redirect: { map: 'ports', key: 2, flags: 0 },
  },
  {
    name: 'redirect_map to an empty place gives the verdict of the flags',
    asm: redirectMap(1, 2),
    maps: [ports],
    retval: 2,
  },
  { name: 'redirect_map with flags that are none aborts', asm: redirectMap(2, 64), maps: [ports], retval: 0 },
  {
    name: 'redirect_map to all of them',
    asm: redirectMap(0, 8),
    maps: [ports],
    retval: 4,
    redirect: { map: 'ports', key: 0, flags: 8 },
  },
  {
    name: 'redirect to an interface, from XDP',
    asm: 'r1 = 1\n r2 = 0\n call redirect\n exit',
    retval: 4,
    redirect: { ifindex: 1, flags: 0 },
  },
  {
    name: 'redirect to an interface, from a classifier',
    type: 'sched_cls',
    asm: 'r1 = 1\n r2 = 1\n call redirect\n exit',
    retval: 7,
    redirect: { ifindex: 1, flags: 1 },
  },
]

export const MAP_CASES: readonly Case[] = [
  ...tailCalls,
  ...nested,
  route('the longest prefix wins', [10, 1, 2, 3], 4),
  route('a shorter one where the longest does not fit', [10, 1, 2, 4], 3),
  route('a shorter one still', [10, 9, 9, 9], 2),
  route('the empty prefix fits everything', [11, 0, 0, 1], 1),
  ...keyless,
  ...perf,
  ...redirects,
]
