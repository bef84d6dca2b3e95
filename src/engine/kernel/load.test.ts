import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Diagnostic } from '../../diag/diagnostic.ts'
import type { ObjectSpec } from '../../object/spec.ts'
import { STRUCTS } from '../../spec/gen/uapi.ts'
import type { Collection } from '../engine.ts'
import { type KernelEngine, kernelEngine } from './load.ts'
import { describeKernel, idsNamed, map, object, openFds, program, u32, u64 } from './testing.ts'

const PASS = 'r0 = 2\nexit'

/** Counts packets under key 0 of `seen`. */
const COUNT = `
  r1 = 0
  *(u32 *)(r10 - 4) = r1
  r1 = map[seen] ll
  r2 = r10
  r2 += -4
  call map_lookup_elem
  if r0 == 0 goto out
  r1 = 1
  lock *(u64 *)(r0 + 0) += r1
out:
  r0 = 2
  exit`

describeKernel('the kernel engine', (support) => {
  let engine: KernelEngine
  const opened: Collection[] = []
  beforeAll(() => {
    engine = kernelEngine({ support })
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

  const refusedWith = async (spec: ObjectSpec): Promise<Diagnostic> =>
    await engine.load(spec).then(
      () => expect.unreachable(),
      (error) => error,
    )

  it('says what it runs on', () => {
    expect(engine.name).toBe('kernel')
    expect(engine.description).toMatch(/^kernel \d+\.\d+/)
  })

  it('runs a program on packets, with the map that it names', async () => {
    const loaded = await load(object([map('seen', 'array', 4, 8, 1)], [program('count', 'xdp', COUNT)]))
    const result = loaded.progs.get('count')!.run({ data: new Uint8Array(64), repeat: 5 })
    expect(result.retval).toBe(2)
    expect(result.data).toEqual(new Uint8Array(64))
    expect(loaded.maps.get('seen')!.get(u32(0))).toEqual(u64(5))
  })

  it('reads and writes a packet in place', async () => {
    const text = `
      r2 = *(u32 *)(r1 + 0)
      r3 = *(u32 *)(r1 + 4)
      r0 = 1
      r4 = r2
      r4 += 1
      if r4 > r3 goto out
      r0 = *(u8 *)(r2 + 0)
      r5 = 99
      *(u8 *)(r2 + 0) = r5
    out:
      exit`
    const loaded = await load(object([], [program('swap', 'xdp', text)]))
    const result = loaded.progs.get('swap')!.run({ data: new Uint8Array(20).fill(7) })
    expect(result.retval).toBe(7)
    expect(result.data).toEqual(new Uint8Array(20).fill(7).fill(99, 0, 1))
  })

  it('runs a raw tracepoint program on a context, or on none', async () => {
    const loaded = await load(
      object(
        [],
        [
          program('raw', 'raw_tracepoint', 'r0 = *(u64 *)(r1 + 8)\nexit'),
          program('none', 'raw_tracepoint', 'r0 = 3\nexit'),
        ],
      ),
    )
    const ctx = new Uint8Array(16).fill(5, 8, 9)
    expect(loaded.progs.get('raw')!.run({ ctx, repeat: 3 }).retval).toBe(5)
    expect(loaded.progs.get('none')!.run({}).retval).toBe(3)
  })

  it('reaches into the value of an array by address', async () => {
    const data = { ...map('data', 'array', 4, 16, 1), contents: [[u32(0), new Uint8Array(16).fill(42, 8)] as const] }
    const direct = program('direct', 'socket_filter', 'lddw %r1, map_value[data][8]\nr0 = *(u8 *)(r1 + 0)\nexit')
    expect(direct.relocations[0].kind).toBe('map_value')
    const loaded = await load(object([data], [direct]))
    expect(loaded.progs.get('direct')!.run({ data: new Uint8Array(20) }).retval).toBe(42)
  })

  it('calls a function of the program', async () => {
    const text = 'r1 = 20\ncall double\nexit\ndouble:\nr0 = r1\nr0 += r1\nexit'
    const caller = program('caller', 'socket_filter', text)
    const functions = [...caller.functions, { insn: 3, name: 'double' }]
    const loaded = await load(object([], [{ ...caller, functions }]))
    expect(loaded.progs.get('caller')!.run({ data: new Uint8Array(20) }).retval).toBe(40)
  })

  it('gives names the form that the kernel takes', async () => {
    await load(object([], [program('count-the packets.now', 'xdp', PASS)]))
    expect(idsNamed(support.bpf, 'prog', 'count_the_packe')).toHaveLength(1)
  })

  it('refuses to run by hand what the kernel does not', async () => {
    const loaded = await load(object([], [program('tp', 'tracepoint', 'r0 = 0\nexit', 'sched/sched_switch')]))
    expect(() => loaded.progs.get('tp')!.run({})).toThrow(
      expect.objectContaining({
        errno: 'ENOTSUP',
        message: expect.stringContaining('does not run tracepoint programs by hand'),
      }),
    )
  })

  it('refuses to attach what cannot be attached yet', async () => {
    const loaded = await load(object([], [program('filter', 'socket_filter', 'r0 = 0\nexit')]))
    expect(() => loaded.progs.get('filter')!.attach()).toThrow(
      /socket_filter programs can be loaded but not attached yet/,
    )
  })

  describe('a refusal by the verifier', () => {
    const BAD = `r0 = 0
r2 = *(u64 *)(r1 + 4000)
exit`

    it("is the kernel's last complaint, at the source line, with the whole log", async () => {
      const diagnostic = await refusedWith(object([], [program('bad', 'xdp', BAD)]))
      expect(diagnostic.code).toBe('kernel/verifier')
      expect(diagnostic.message).toBe('invalid bpf_context access off=4000 size=8')
      expect(diagnostic.at).toMatchObject({ file: 'bad.asm', line: 2, text: 'r2 = *(u64 *)(r1 + 4000)' })
      expect(diagnostic.notes[0].message).toBe(
        "the kernel's verifier refuses program bad at instruction 1: r2 = *(u64 *)(r1 +4000)",
      )
      expect(diagnostic.log).toContain('processed')
      expect(diagnostic.errno).toBe('EACCES')
    })

    it('quotes the source lines in its log', async () => {
      const { log } = await refusedWith(object([], [program('bad', 'xdp', BAD)]))
      expect(log).toMatch(/^; r2 = \*\(u64 \*\)\(r1 \+ 4000\)/m)
    })

    it('points at the instruction that the complaint names, where the log ends elsewhere', async () => {
      const text = 'r0 = 0\ngoto out\nr0 = 1\nout:\nexit'
      const diagnostic = await refusedWith(object([], [program('gap', 'xdp', text)]))
      expect(diagnostic.message).toContain('unreachable insn 2')
      expect(diagnostic.at).toMatchObject({ line: 3, text: 'r0 = 1' })
    })

    it('is found at the end of a log longer than its first buffer', async () => {
      const steps = Array.from({ length: 2500 }, (_, i) => `r2 = ${i}\n*(u64 *)(r10 - 8) = r2`).join('\n')
      const diagnostic = await refusedWith(
        object([], [program('long', 'xdp', `${steps}\nr0 = *(u64 *)(r3 + 0)\nexit`)]),
      )
      expect(diagnostic.message).toContain('R3 !read_ok')
      expect(diagnostic.at?.text).toBe('r0 = *(u64 *)(r3 + 0)')
      expect(diagnostic.log!.length).toBeGreaterThan(1 << 16)
    })

    it('leaves nothing of the object in the kernel', async () => {
      const fds = openFds()
      const spec = object(
        [map('orphan_map', 'hash', 4, 4, 4)],
        [program('orphan_prog', 'xdp', PASS), program('bad', 'xdp', BAD)],
      )
      await refusedWith(spec)
      expect(openFds()).toBe(fds)
      expect(idsNamed(support.bpf, 'prog', 'orphan_prog')).toEqual([])
      await expect.poll(() => idsNamed(support.bpf, 'map', 'orphan_map')).toEqual([])
    })
  })

  describe('type information', () => {
    const types: ObjectSpec['types'] = [
      { kind: 'int', name: 'u32', size: 4, encoding: 'unsigned', bits: 32, bitOffset: 0 },
      { kind: 'int', name: 'u64', size: 8, encoding: 'unsigned', bits: 64, bitOffset: 0 },
    ]
    const typed = (keyType: number, valueType: number) => ({ ...map('typed_map', 'hash', 4, 8, 4), keyType, valueType })

    it('goes with maps and programs', async () => {
      const loaded = await load({ ...object([typed(1, 2)], [program('typed_prog', 'xdp', PASS)]), types })
      expect(loaded.notes).toEqual([])
      expect(infoField('map', 'typed_map', STRUCTS.bpf_map_info.btf_value_type_id)).toBe(2)
      expect(infoField('prog', 'typed_prog', STRUCTS.bpf_prog_info.nr_line_info)).toBe(2)
      expect(infoField('prog', 'typed_prog', STRUCTS.bpf_prog_info.nr_func_info)).toBe(1)
    })

    it('is left out, and that is said, where the kernel does not take it for a map', async () => {
      const loaded = await load({ ...object([typed(1, 1)], []), types })
      expect(loaded.notes).toEqual(['the kernel does not take the types of map "typed_map": tools show its bytes'])
      loaded.maps.get('typed_map')!.set(u32(1), u64(1))
    })

    it('is left out, and that is said, where the kernel does not take it at all', async () => {
      const crooked: ObjectSpec['types'] = [{ kind: 'struct', name: 'not a name', size: 0, members: [] }]
      const loaded = await load({ ...object([], [program('count', 'xdp', PASS)]), types: crooked })
      expect(loaded.notes).toHaveLength(1)
      expect(loaded.notes![0]).toMatch(/the kernel does not take the object's type information \(.*Invalid name/)
      expect(loaded.progs.get('count')!.run({ data: new Uint8Array(20) }).retval).toBe(2)
    })

    function infoField(kind: 'map' | 'prog', name: string, { offset }: { offset: number }): number {
      const [id] = idsNamed(support.bpf, kind, name)
      const fd = support.bpf.fdById(kind, id)
      const info = new Uint8Array(256)
      support.bpf.objInfo(fd, info)
      support.bpf.sys.close(fd)
      return new DataView(info.buffer).getUint32(offset, true)
    }
  })

  it('leaves nothing in the kernel when its process is killed', async () => {
    const script = `
      import { kernelEngine } from '${new URL('./index.ts', import.meta.url)}'
      const spec = ${JSON.stringify(object([], [program('killed_prog', 'tracepoint', 'r0 = 0\nexit', 'sched/sched_process_fork')]))}
      const loaded = await kernelEngine().load(spec)
      loaded.progs.get('killed_prog').attach()
      console.log('attached')
      setInterval(() => loaded, 1000)`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    expect(idsNamed(support.bpf, 'prog', 'killed_prog')).toHaveLength(1)
    child.kill('SIGKILL')
    await once(child, 'exit')
    await expect.poll(() => idsNamed(support.bpf, 'prog', 'killed_prog'), { timeout: 5000 }).toEqual([])
  })

  it('refuses two programs of one name', async () => {
    const diagnostic = await refusedWith(object([], [program('same', 'xdp', PASS), program('same', 'xdp', PASS)]))
    expect(diagnostic.message).toBe('the object has two programs named "same"')
  })

  it('refuses a relocation to a map that is not there', async () => {
    const diagnostic = await refusedWith(object([], [program('count', 'xdp', COUNT)]))
    expect(diagnostic.message).toBe('program "count" refers to map "seen", which the object does not have')
  })
})
