// Helpers whose answers are the host's: sockets, stacks, memory elsewhere, interfaces. What they share with the kernel
// is tested by the contract (test/contract).

import { describe, expect, it } from 'vitest'
import { assembleProgram } from '../../isa/assemble.ts'
import type { MapSpec, ObjectSpec } from '../../object/spec.ts'
import { HELPER_IDS } from '../../spec/gen/uapi.ts'
import type { ProgTypeName } from '../../spec/names.ts'
import type { Collection } from '../engine.ts'
import { type Host, type HostSocket, userEngine } from './index.ts'

const helpers = new Map<string, number>(Object.entries(HELPER_IDS))
const PACKET = Uint8Array.from({ length: 64 }, (_, i) => i)

function object(asm: string, maps: readonly MapSpec[], type: ProgTypeName): ObjectSpec {
  const { insns, relocations, lines } = assembleProgram(asm, { helpers })
  const program = {
    name: 'main',
    type,
    section: type,
    insns,
    relocations,
    lines,
    functions: [{ insn: 0, name: 'main' }],
  }
  return { name: 'test', license: 'GPL', programs: [program], maps, types: [] }
}

const load = (asm: string, host: Partial<Host>, maps: readonly MapSpec[] = [], type: ProgTypeName = 'sched_cls') =>
  userEngine({ host }).load(object(asm, maps, type))

const run = (collection: Collection) => collection.progs.get('main')!.run({ data: PACKET, ctx: new Uint8Array(8) })

const map = (type: MapSpec['type'], keySize: number, valueSize: number, maxEntries: number): MapSpec => ({
  name: 'm',
  type,
  keySize,
  valueSize,
  maxEntries,
  flags: 0,
})
const u32 = (n: number): Uint8Array => new Uint8Array(new Uint32Array([n]).buffer)

describe('sockets', () => {
  const local = Uint8Array.of(10, 0, 0, 2)
  const remote = Uint8Array.of(10, 0, 0, 1)
  const listener: HostSocket = { id: 1, protocol: 'tcp', local: new Uint8Array(4), localPort: 80, mark: 11 }
  const bound: HostSocket = { ...listener, id: 2, local, mark: 22 }
  const connection: HostSocket = { ...bound, id: 3, remote, remotePort: 8080, mark: 33 }

  /** The mark (offset 16), or 0, of the socket of 10.0.0.1:8080 to 10.0.0.2:80. */
  const lookup = (offset = 16, netns = -1): string => `
    *(u32 *)(r10 - 16) = 0x0100000a
    *(u32 *)(r10 - 12) = 0x0200000a
    *(u16 *)(r10 - 8) = 0x901f
    *(u16 *)(r10 - 6) = 0x5000
    r2 = r10
    r2 += -16
    r3 = 12
    r4 = ${netns}
    r5 = 0
    call sk_lookup_tcp
    if r0 == 0 goto out
    r6 = *(u32 *)(r0 + ${offset})
    r1 = r0
    call sk_release
    r0 = r6
    out: exit`

  it.each([
    ['a connection first', [listener, bound, connection], 33],
    ['then a listener on the address', [listener, bound], 22],
    ['then one on any address', [listener], 11],
    ['not one of another protocol', [{ ...listener, protocol: 'udp' } as const], 0],
    ['nothing where there is nothing', [], 0],
  ])('finds %s', async (_, sockets, mark) => {
    using collection = await load(lookup(), { sockets })
    expect(run(collection).retval).toBe(mark)
  })

  it('shows state and addresses as struct bpf_sock does', async () => {
    using state = await load(lookup(72), { sockets: [listener] })
    expect(run(state).retval).toBe(10)
    using peer = await load(lookup(52), { sockets: [connection] })
    expect(run(peer).retval).toBe(0x0100000a)
    using port = await load(lookup(48), { sockets: [connection] })
    expect(run(port).retval).toBe(0x901f)
  })

  it('has one network namespace', async () => {
    using collection = await load(lookup(16, 0), { sockets: [listener] })
    expect(run(collection).retval).toBe(0)
  })

  it('may stand in a socket map, if the host has them', async () => {
    const find = `
      *(u32 *)(r10 - 4) = 2
      r1 = map[m] ll
      r2 = r10
      r2 += -4
      call map_lookup_elem
      if r0 == 0 goto +1
      r0 = *(u32 *)(r0 + 16)
      exit`
    using collection = await load(find, { sockets: [bound] }, [map('sockmap', 4, 4, 4)])
    const sockets = collection.maps.get('m')!
    expect(() => sockets.set(u32(2), u32(9))).toThrow(expect.objectContaining({ errno: 'EBADF' }))
    expect(run(collection).retval).toBe(0)
    sockets.set(u32(2), u32(2))
    expect(run(collection).retval).toBe(22)
  })

  it('faults where a program gives back what is none', async () => {
    using collection = await load('r1 = r10\n call sk_release\n exit', {})
    expect(() => run(collection)).toThrow(/is no socket/)
  })
})

describe('stacks', () => {
  const id = (flags: number): string => `r2 = map[m] ll\n r3 = ${flags}\n call get_stackid\n exit`

  it('are kept once, and read by user space', async () => {
    let stack = [0x10n, 0x20n, 0x30n]
    using collection = await load(id(1), { stack: () => stack }, [map('stack_trace', 4, 24, 8)], 'kprobe')
    const first = run(collection).retval
    expect(run(collection).retval).toBe(first)
    expect(collection.maps.get('m')!.get(u32(first))).toEqual(
      new Uint8Array(new BigUint64Array([0x20n, 0x30n, 0n]).buffer),
    )
    stack = [0x10n]
    expect(run(collection).retval | 0).toBe(-14)
  })

  it('of the user and of the kernel are told apart', async () => {
    const asm = 'r2 = r10\n r2 += -16\n r3 = 16\n r4 = 256\n call get_stack\n r0 = *(u64 *)(r10 - 16)\n exit'
    using collection = await load(asm, { stack: (user) => (user ? [5n] : [6n]) }, [], 'kprobe')
    expect(run(collection).retval).toBe(5)
  })

  it('fail where the host has none', async () => {
    using collection = await load(id(0), {}, [map('stack_trace', 4, 24, 8)], 'kprobe')
    expect(run(collection).retval | 0).toBe(-14)
  })
})

describe("the host's memory", () => {
  const text = new TextEncoder().encode('waggle\0')
  const read = (address: bigint, size: number): Uint8Array | undefined => {
    const at = Number(address - 0xffff_8000_0000_0000n)
    return at >= 0 && at + size <= text.length ? text.subarray(at, at + size) : undefined
  }
  const probe = (helper: string, size: number): string => `
    *(u64 *)(r10 - 16) = 0
    r1 = r10
    r1 += -16
    r2 = ${size}
    r3 = 0xffff800000000000 ll
    call ${helper}
    if r0 s< 0 goto +1
    r0 = *(u32 *)(r10 - 16)
    exit`

  it.each([
    ['probe_read_kernel', 4, 0x67676177],
    ['probe_read_kernel_str', 16, 0x67676177],
    ['probe_read_kernel', 8, -14],
  ])('%s of %d bytes', async (helper, size, r0) => {
    using collection = await load(probe(helper, size), { read }, [], 'kprobe')
    expect(run(collection).retval | 0).toBe(r0)
  })
})

describe('copies and redirects', () => {
  it('are reported', async () => {
    const asm = `
      r6 = r1
      r2 = 3
      r3 = 1
      call clone_redirect
      r1 = r6
      r2 = 20
      r3 = 0
      call skb_change_tail
      r1 = r6
      r2 = 4
      r3 = 0
      call clone_redirect
      r1 = 5
      r2 = 0
      call redirect_peer
      exit`
    using collection = await load(asm, { interfaces: new Set([3, 4]) })
    const { clones, redirect } = run(collection)
    expect(clones?.map(({ ifindex, flags, data }) => [ifindex, flags, data.length])).toEqual([
      [3, 1, 64],
      [4, 0, 20],
    ])
    expect(redirect).toEqual({ ifindex: 5, flags: 0, via: 'peer' })
  })

  it('are not where the verdict is another', async () => {
    using collection = await load('r1 = 5\n r2 = 0\n call redirect\n r0 = 0\n exit', {})
    expect(run(collection).redirect).toBeUndefined()
  })
})

describe('perf events', () => {
  const emit = `
    *(u64 *)(r10 - 8) = 7
    r2 = map[m] ll
    r3 = 0xffffffff ll
    r4 = r10
    r4 += -8
    r5 = 4
    call perf_event_output
    exit`

  it('that do not fit are counted, and told with the next that does', async () => {
    using collection = await load(emit, {}, [map('perf_event_array', 4, 4, 1)])
    using source = collection.maps.get('m')!.events()
    // 16 bytes each in 64 pages, of which one byte stays free.
    const fits = (64 * 4096) / 16 - 1
    for (let i = 0; i < fits; i++) expect(run(collection).retval).toBe(0)
    for (let i = 0; i < 3; i++) expect(run(collection).retval | 0).toBe(-28)
    expect(source.drain().length).toBe(fits)
    expect(source.lost).toBe(0n)
    run(collection)
    expect(source.drain()).toEqual([Uint8Array.of(7, 0, 0, 0)])
    expect(source.lost).toBe(3n)
    expect(source.received).toBe(fits + 1)
  })
})

describe('a lock', () => {
  const locking = (...calls: readonly string[]): string =>
    `*(u32 *)(r10 - 4) = 0\n ${calls.map((call) => `r1 = r10\n r1 += -4\n call ${call}`).join('\n')}\n r0 = 0\n exit`

  it.each([
    ['taken twice', ['spin_lock', 'spin_lock'], /takes a lock that is taken already/],
    ['given back untaken', ['spin_unlock'], /gives back a lock that it has not taken/],
  ])('%s is a fault', async (_, calls, message) => {
    using collection = await load(locking(...calls), {})
    expect(() => run(collection)).toThrow(message)
  })
})
