import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { ObjectSpec } from '../../object/spec.ts'
import type { Collection } from '../engine.ts'
import { type KernelEngine, kernelEngine } from './load.ts'
import { describeKernel, idsNamed, map, object, openFds, program, toU64, u32 } from './testing.ts'

/** Counts, under key 0 of `hits`. */
const COUNT = `
  r1 = 0
  *(u32 *)(r10 - 4) = r1
  r1 = map[hits] ll
  r2 = r10
  r2 += -4
  call map_lookup_elem
  if r0 == 0 goto out
  r1 = 1
  lock *(u64 *)(r0 + 0) += r1
out:
  r0 = 2
  exit`

/** The same, only for what one process does. */
const countOnly = (tgid: number): string => `
  call get_current_pid_tgid
  r0 >>= 32
  if r0 != ${tgid} goto out
  ${COUNT}`

const HITS = map('hits', 'array', 4, 8, 1)
const hits = (collection: Collection): number => Number(toU64(collection.maps.get('hits')!.get(u32(0))!))

/** One system call of this process, getppid(2), which Node makes each time it is asked. */
const act = (): number => process.ppid

describeKernel('attaching in the kernel', (support) => {
  let engine: KernelEngine
  let countOwn: string
  const opened: Collection[] = []
  beforeAll(async () => {
    engine = kernelEngine({ support })
    // In a container process.pid is not the number that programs see: one that runs in this process says which is.
    const own = object([], [program('own_tgid', 'raw_tracepoint', 'call get_current_pid_tgid\nr0 >>= 32\nexit')])
    const loaded = await engine.load(own)
    countOwn = countOnly(loaded.progs.get('own_tgid')!.run({}).retval)
    loaded.close()
  })
  afterEach(() => {
    for (const each of opened.splice(0)) each.close()
  })
  afterAll(() => engine?.close())

  async function load(spec: ObjectSpec): Promise<Collection> {
    const collection = await engine.load(spec)
    opened.push(collection)
    return collection
  }

  describe('to a tracepoint', () => {
    const spec = () => object([HITS], [program('own_calls', 'tracepoint', countOwn, 'syscalls/sys_enter_getppid')])

    it('detaches without blocking, and once', async () => {
      const loaded = await load(spec())
      // The first attachment also opens tracefs, which stays open.
      loaded.progs.get('own_calls')!.attach().detach()
      const before = openFds()
      const link = loaded.progs.get('own_calls')!.attach()
      const detached = link[Symbol.asyncDispose]()
      link.detach()
      await Promise.all([detached, link[Symbol.asyncDispose]()])
      act()
      expect(hits(loaded)).toBe(0)
      expect(openFds()).toBe(before)
    })

    it('runs the program each time, until the link is detached', async () => {
      const loaded = await load(spec())
      act()
      expect(hits(loaded)).toBe(0)
      const link = loaded.progs.get('own_calls')!.attach()
      expect(link.description).toBe('tracepoint:syscalls:sys_enter_getppid')
      for (let i = 0; i < 10; i++) act()
      expect(hits(loaded)).toBe(10)
      link.detach()
      link.detach()
      act()
      expect(hits(loaded)).toBe(10)
    })

    it('may be attached twice', async () => {
      const loaded = await load(spec())
      const prog = loaded.progs.get('own_calls')!
      prog.attach()
      prog.attach('syscalls/sys_exit_getppid')
      act()
      expect(hits(loaded)).toBe(2)
    })

    it('names the nearest tracepoints where there is none of that name', async () => {
      const loaded = await load(object([HITS], [program('typo', 'tracepoint', countOwn, 'sched/sched_proces_exec')]))
      expect(() => loaded.progs.get('typo')!.attach()).toThrow(
        expect.objectContaining({
          code: 'kernel/unknown-tracepoint',
          message: 'there is no tracepoint sched/sched_proces_exec',
          help: expect.stringContaining('sched/sched_process_exec'),
        }),
      )
      expect(() => loaded.progs.get('typo')!.attach('../../etc/passwd')).toThrow(/there is no tracepoint/)
    })

    it('says so where the program reads past the record', async () => {
      const text = 'r0 = *(u64 *)(r1 + 4088)\nr0 = 0\nexit'
      const loaded = await load(object([], [program('far', 'tracepoint', text, 'syscalls/sys_enter_getppid')]))
      expect(() => loaded.progs.get('far')!.attach()).toThrow(
        expect.objectContaining({
          errno: 'EACCES',
          message: expect.stringContaining('reads past the end of that record'),
        }),
      )
    })

    it('is undone by closing the collection', async () => {
      const fds = openFds()
      const loaded = await load(
        object(
          [map('gone_map', 'array', 4, 8, 1)],
          [program('gone_prog', 'tracepoint', 'r0 = 0\nexit', 'syscalls/sys_enter_getppid')],
        ),
      )
      loaded.progs.get('gone_prog')!.attach()
      expect(idsNamed(support.bpf, 'prog', 'gone_prog')).toHaveLength(1)
      loaded.close()
      loaded.close()
      expect(openFds()).toBe(fds)
      await expect.poll(() => idsNamed(support.bpf, 'prog', 'gone_prog')).toEqual([])
      await expect.poll(() => idsNamed(support.bpf, 'map', 'gone_map')).toEqual([])
    })

    it('leaves no file descriptor over 200 rounds', async () => {
      // Detaching waits for the kernel's grace periods, some 70 ms, so only every tenth round attaches.
      const round = async (i: number) => {
        const loaded = await load(spec())
        if (i % 10 === 0) loaded.progs.get('own_calls')!.attach()
        act()
        expect(hits(loaded)).toBe(i % 10 === 0 ? 1 : 0)
        loaded.close()
      }
      await round(0)
      const fds = openFds()
      for (let i = 0; i < 200; i++) await round(i)
      expect(openFds()).toBe(fds)
    })
  })

  describe('to a raw tracepoint', () => {
    it('runs the program', async () => {
      const loaded = await load(object([HITS], [program('own_raw', 'raw_tracepoint', countOwn, 'sys_enter')]))
      const link = loaded.progs.get('own_raw')!.attach()
      expect(link.description).toBe('raw_tracepoint:sys_enter')
      act()
      link.detach()
      const seen = hits(loaded)
      expect(seen).toBeGreaterThan(0)
      act()
      expect(hits(loaded)).toBe(seen)
    })

    it('names the nearest ones where there is none of that name', async () => {
      const loaded = await load(object([HITS], [program('typo', 'raw_tracepoint', countOwn, 'sched_proces_exec')]))
      expect(() => loaded.progs.get('typo')!.attach()).toThrow(
        expect.objectContaining({ errno: 'ENOENT', help: expect.stringContaining('sched_process_exec') }),
      )
    })
  })

  describe('to a network interface', () => {
    const CLONE_NEWNET = 0x40000000
    const { sys } = support.bpf
    let home: number

    // A network namespace of this thread's own, whose loopback is the only interface.
    beforeAll(() => {
      home = openSync('/proc/thread-self/ns/net', 'r')
      expect(sys.call('unshare', CLONE_NEWNET)).toBe(0)
      bringUp('lo')
    })
    afterAll(() => {
      expect(sys.call('setns', home, CLONE_NEWNET)).toBe(0)
      closeSync(home)
    })

    it('sees the packets that arrive there, until it is detached', async () => {
      const loaded = await load(object([HITS], [program('packets', 'xdp', COUNT)]))
      const link = loaded.progs.get('packets')!.attach('lo')
      expect(link.description).toBe('xdp:lo')
      await send(3)
      expect(hits(loaded)).toBe(3)
      link.detach()
      await send(2)
      expect(hits(loaded)).toBe(3)
    })

    it('is refused where another program is attached, and where there is no such interface', async () => {
      const loaded = await load(object([HITS], [program('packets', 'xdp', COUNT)]))
      const prog = loaded.progs.get('packets')!
      prog.attach('lo')
      expect(() => prog.attach('lo')).toThrow(
        expect.objectContaining({ errno: 'EBUSY', message: expect.stringContaining('another program') }),
      )
      expect(() => prog.attach('lo7')).toThrow(/there is no network interface lo7/)
      expect(() => prog.attach()).toThrow(/does not say what it attaches to/)
    })

    /** ioctl(2) with a struct ifreq: the name, then the flags at 16. */
    function bringUp(name: string): void {
      const [AF_INET, SOCK_DGRAM, SIOCSIFFLAGS, IFF_UP] = [2, 2, 0x8914, 1]
      const request = new Uint8Array(40)
      request.set(new TextEncoder().encode(name))
      request[16] = IFF_UP
      const socket = sys.call('socket', AF_INET, SOCK_DGRAM, 0)
      expect(sys.call('ioctl', socket, SIOCSIFFLAGS, request)).toBe(0)
      sys.close(socket)
    }

    /** UDP datagrams over the loopback, to a socket that takes them. */
    async function send(count: number): Promise<void> {
      const receiver = createSocket('udp4').bind(0, '127.0.0.1')
      await once(receiver, 'listening')
      const { port } = receiver.address()
      const sender = createSocket('udp4')
      for (let i = 0; i < count; i++) await new Promise((sent) => sender.send('x', port, '127.0.0.1', sent))
      for (const socket of [sender, receiver]) await new Promise<void>((closed) => socket.close(closed))
    }
  })
})
