import { describe, expect, it } from 'vitest'
import { Diagnostic } from '../../diag/diagnostic.ts'
import { assembleProgram } from '../../isa/assemble.ts'
import type { MapSpec, ObjectSpec } from '../../object/spec.ts'
import { HELPER_IDS } from '../../spec/gen/uapi.ts'
import type { ProgTypeName } from '../../spec/names.ts'
import { HELPERS, whyNot } from './helpers.ts'
import { USER_HELPERS, type UserEngineOptions, userEngine } from './index.ts'

const helpers = new Map<string, number>(Object.entries(HELPER_IDS))

function object(asm: string, maps: readonly MapSpec[] = [], type: ProgTypeName = 'xdp'): ObjectSpec {
  const { insns, relocations, lines } = assembleProgram(asm, { helpers, file: 'p.asm' })
  const functions = [{ insn: 0, name: 'main' }]
  const program = { name: 'main', type, section: type, insns, relocations, lines, functions }
  return { name: 'test', license: 'GPL', programs: [program], maps, types: [] }
}

const PACKET = new Uint8Array(64)

async function run(asm: string, options: UserEngineOptions = {}, maps: readonly MapSpec[] = []): Promise<number> {
  using collection = await userEngine(options).load(object(asm, maps))
  return collection.progs.get('main')!.run({ data: PACKET }).retval
}

/** The Diagnostic that it throws. */
async function refusal(what: Promise<unknown>): Promise<Diagnostic> {
  const error = await what.then(
    () => undefined,
    (error: unknown) => error,
  )
  expect(error).toBeInstanceOf(Diagnostic)
  return error as Diagnostic
}

const ringbuf: MapSpec = { name: 'events', type: 'ringbuf', keySize: 0, valueSize: 0, maxEntries: 4096, flags: 0 }
const counts: MapSpec = { name: 'counts', type: 'hash', keySize: 4, valueSize: 8, maxEntries: 4, flags: 0 }

describe('a fault', () => {
  it('points at the line that made it', async () => {
    const error = await refusal(run('r0 = 0\nr2 = *(u32 *)(r1 + 0)\nr0 = *(u64 *)(r2 + 60)\nexit'))
    expect(error.code).toBe('user/fault')
    expect(error.message).toMatch(/^read of 8 bytes at 0x[0-9a-f]+: it ends 4 bytes after the end of the packet$/)
    expect(error.at).toEqual({ file: 'p.asm', line: 3, column: 1, text: 'r0 = *(u64 *)(r2 + 60)' })
    expect(error.notes[0].message).toBe('insn 2 of main')
    expect(error.help).toContain('verif')
  })

  it.each([
    ['a null pointer', 'r1 = 0\nr0 = *(u8 *)(r1 + 4)\nexit', 'that is a null pointer'],
    ['below the stack', 'r0 = *(u8 *)(r10 - 513)\nexit', 'it begins 1 bytes before the stack'],
    ['above the stack', '*(u64 *)(r10 - 4) = 0\nr0 = 0\nexit', 'it ends 4 bytes after the end of the stack'],
    ['the read-only context', '*(u32 *)(r1 + 0) = 0\nr0 = 0\nexit', 'the context is read-only'],
    ['past the context', 'r0 = *(u32 *)(r1 + 24)\nexit', 'it ends 4 bytes after the end of the context'],
    ["a map's handle", 'r1 = map[counts] ll\nr0 = *(u8 *)(r1 + 0)\nexit', 'map counts is a handle, not memory'],
    [
      'the stack of a function that has returned',
      'call f\nr0 = *(u64 *)(r6 - 8)\nexit\nf: r6 = 0\nr0 = r10\nexit',
      'that is a null pointer',
    ],
    ['a number as a map', 'r1 = 5\nr2 = r10\nr2 += -8\ncall map_lookup_elem\nexit', '0x5 is no map'],
    [
      'a key that is outside',
      'r1 = map[counts] ll\nr2 = r10\ncall map_lookup_elem\nexit',
      'it ends 4 bytes after the end of the stack',
    ],
    [
      'a record that was never reserved',
      'r1 = r10\nr2 = 0\ncall ringbuf_submit\nexit',
      'is no reserved record of a ring buffer',
    ],
    ['nine frames', 'call f\nexit\nf: call f\nexit', 'more than 8 calls deep'],
    [
      'running off the end',
      'r0 = 0\nif r0 == 0 goto +1\nexit\nr0 = 1',
      'the program leaves its instructions: there is none at 4',
    ],
  ])('of %s', async (_, asm, message) => {
    const fixed = asm.endsWith('exit') ? asm : asm
    expect((await refusal(run(fixed, {}, [counts, ringbuf]))).message).toContain(message)
  })

  it('leaves the ring buffer usable', async () => {
    const asm = `r6 = *(u32 *)(r1 + 4)
      r7 = *(u32 *)(r1 + 0)
      r6 -= r7
      r1 = map[events] ll
      r2 = 8
      r3 = 0
      call ringbuf_reserve
      *(u64 *)(r0 + 0) = r6
      if r6 == 64 goto +1
      r1 = *(u8 *)(r10 + 0)
      r1 = r0
      r2 = 0
      call ringbuf_submit
      r0 = 0
      exit`
    using collection = await userEngine().load(object(asm, [ringbuf]))
    const prog = collection.progs.get('main')!
    expect(() => prog.run({ data: new Uint8Array(20) })).toThrow(/after the end of the stack/)
    prog.run({ data: PACKET })
    using source = collection.maps.get('events')!.events()
    expect(source.drain().map((record) => record[0])).toEqual([64])
  })

  it('ends a program that does not end', async () => {
    const error = await refusal(run('r0 = 0\nloop: goto loop', { fuel: 1000 }))
    expect(error.code).toBe('user/fuel')
    expect(error.message).toBe('the program did not end within 1000 instructions')
    expect(error.at?.line).toBe(2)
  })
})

describe('what is refused at load', () => {
  it.each([
    [
      'a missing helper',
      'call get_current_task\nexit',
      'no helper bpf_get_current_task here: it looks into the kernel, and there is none',
    ],
    ['a helper of sockets', 'call sk_assign\nexit', 'there are no kernel sockets'],
    ['a helper that does not exist', 'call 9999\nexit', 'helper 9999 does not exist'],
    ['a kernel function', 'call kfunc 77\nexit', 'it calls kernel function 77'],
    ['a call through a register', 'callx r2\nexit', 'callx'],
    ['a map that no relocation names', 'r1 = map[fd:3] ll\nexit', 'map_fd that no relocation resolves'],
    ['an arena cast', 'r1 = addr_space_cast(r2, 0, 1)\nexit', 'arena'],
  ])('%s', async (_, asm, message) => {
    const error = await refusal(userEngine().load(object(asm)))
    expect(error.message).toContain(message)
    expect(error.at?.line).toBe(1)
    expect(error.help).toBeTruthy()
  })

  it.each<[string, Partial<MapSpec>, string]>([
    ['a map type that is not there', { type: 'task_storage' }, 'user engine has none of that type'],
    ['a hash without keys', { keySize: 0 }, 'must be above 0'],
    ['an array with a key of 8 bytes', { type: 'array', keySize: 8 }, 'the key of an array is a u32'],
    ['a ring buffer of 5000 bytes', { type: 'ringbuf', keySize: 0, valueSize: 0, maxEntries: 5000 }, 'a power of two'],
    ['flags that the type does not have', { flags: 1 << 20 }, 'flags 0x100000 are not for a hash'],
    ['a counter of losses that is not there', { lost: { map: 'count', offset: 0 } }, 'the object has no map count'],
  ])('%s', async (_, change, message) => {
    const error = await refusal(userEngine().load(object('r0 = 0\nexit', [{ ...counts, ...change }])))
    expect(error.message).toContain(message)
  })

  it('suggests the nearest map', async () => {
    const error = await refusal(userEngine().load(object('r1 = map[count] ll\nr0 = 0\nexit', [counts])))
    expect(error.help).toBe('did you mean counts?')
  })

  it('what the verifier refuses', async () => {
    const finding = new Diagnostic({ code: 'verify/test', message: 'no' })
    expect(await refusal(userEngine({ verify: () => finding }).load(object('r0 = 0\nexit')))).toBe(finding)
    expect(await run('r0 = 3\nexit', { verify: () => undefined })).toBe(3)
  })

  it('maps that do not fit into the memory', async () => {
    const huge = { ...counts, type: 'array', maxEntries: 2 ** 24 } as const
    const error = await refusal(userEngine({ memory: 2 ** 22 }).load(object('r0 = 0\nexit', [huge])))
    expect(error.errno).toBe('ENOMEM')
  })
})

describe('run and attach', () => {
  it('does not run types that it has no context for', async () => {
    using collection = await userEngine().load(object('r0 = 0\nexit', [], 'sk_lookup'))
    const prog = collection.progs.get('main')!
    expect(() => prog.run({})).toThrow(expect.objectContaining({ code: 'user/program-type', errno: 'ENOTSUP' }))
  })

  it('does not attach, and says what to do', async () => {
    using collection = await userEngine().load(object('r0 = 0\nexit'))
    expect(() => collection.progs.get('main')!.attach('lo')).toThrow(
      expect.objectContaining({ code: 'user/attach', help: expect.stringContaining('run({ data })') }),
    )
  })

  it('wants a packet where the type has one', async () => {
    using collection = await userEngine().load(object('r0 = 0\nexit'))
    expect(() => collection.progs.get('main')!.run({})).toThrow(expect.objectContaining({ errno: 'EINVAL' }))
  })

  it('takes packets longer than a page, and short ones after them', async () => {
    const asm = 'r2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\nr0 = *(u8 *)(r3 - 1)\nexit'
    using collection = await userEngine().load(object(asm))
    const prog = collection.progs.get('main')!
    for (const size of [1, 9000, 65536, 60, 200_000, 14]) {
      const data = new Uint8Array(size).fill(size % 251)
      expect(prog.run({ data })).toMatchObject({ retval: size % 251, data })
    }
  })

  it('begins each run with an empty headroom', async () => {
    const asm = `r6 = r1\nr2 = -8\ncall xdp_adjust_head\nr2 = *(u32 *)(r6 + 0)\nr0 = *(u32 *)(r2 + 0)
      *(u32 *)(r2 + 0) = 7\nexit`
    using collection = await userEngine().load(object(asm))
    const prog = collection.progs.get('main')!
    expect([1, 2].map(() => prog.run({ data: PACKET }).retval)).toEqual([0, 0])
    expect(prog.run({ data: PACKET }).data).toHaveLength(72)
  })

  it('begins each run with an empty stack', async () => {
    expect(await run('r0 = *(u64 *)(r10 - 8)\nexit')).toBe(0)
    using collection = await userEngine().load(object('r0 = *(u64 *)(r10 - 8)\n*(u64 *)(r10 - 8) = 1\nexit'))
    expect(collection.progs.get('main')!.run({ data: PACKET, repeat: 3 }).retval).toBe(0)
  })
})

describe('helpers', () => {
  it('ask the host', async () => {
    const host = { now: 1000n, random: 42, pidTgid: (7n << 32n) | 8n, uidGid: 5n, comm: 'a-name-that-is-too-long' }
    expect(await run('call ktime_get_ns\nexit', { host })).toBe(1000)
    expect(await run('call get_prandom_u32\nexit', { host })).toBe(42)
    expect(await run('call get_current_pid_tgid\nr0 >>= 32\nexit', { host })).toBe(7)
    expect(await run('call get_current_uid_gid\nexit', { host })).toBe(5)
    const comm = 'r1 = r10\nr1 += -16\nr2 = 16\ncall get_current_comm\n'
    expect(await run(`${comm}r0 = *(u8 *)(r10 - 2)\nexit`, { host })).toBe('-'.charCodeAt(0))
    expect(await run(`${comm}r0 = *(u8 *)(r10 - 1)\nexit`, { host })).toBe(0)
  })

  it('have a clock that goes on', async () => {
    expect(
      await run(
        'call ktime_get_ns\nr6 = r0\ncall ktime_get_ns\nr0 -= r6\nr1 = r0\nr0 = 1\nif r1 s>= 0 goto +1\nr0 = 2\nexit',
      ),
    ).toBe(1)
  })

  it('print to the host', async () => {
    const text = new TextEncoder().encode('pid %d of %s\n\0'.padEnd(32, '\0'))
    const contents = [[new Uint8Array(4), text]] as const
    const fmt: MapSpec = {
      name: 'fmt',
      type: 'array',
      keySize: 4,
      valueSize: text.length,
      maxEntries: 1,
      flags: 0,
      contents,
    }
    const lines: string[] = []
    const asm = `*(u32 *)(r10 - 4) = 0x6968
      r1 = map_value[fmt][0] ll
      r2 = ${text.length}
      r3 = -5
      r4 = r10
      r4 += -4
      call trace_printk
      exit`
    expect(await run(asm, { host: { print: (line) => void lines.push(line) } }, [fmt])).toBe(lines[0].length)
    expect(lines).toEqual(['pid -5 of hi\n'])
    expect(await run(asm.replace(`r2 = ${text.length}`, 'r2 = 3'), {}, [fmt])).toBe(2 ** 32 - 22)
  })

  it('walk through a map', async () => {
    const asm = `
      *(u32 *)(r10 - 4) = 1
      *(u64 *)(r10 - 16) = 10
      r1 = map[counts] ll
      r2 = r10
      r2 += -4
      r3 = r10
      r3 += -16
      r4 = 0
      call map_update_elem
      *(u32 *)(r10 - 4) = 2
      *(u64 *)(r10 - 16) = 30
      r1 = map[counts] ll
      r2 = r10
      r2 += -4
      r3 = r10
      r3 += -16
      r4 = 0
      call map_update_elem
      *(u64 *)(r10 - 24) = 0
      r1 = map[counts] ll
      r2 = subprog[add] ll
      r3 = r10
      r3 += -24
      r4 = 0
      call for_each_map_elem
      r1 = *(u64 *)(r10 - 24)
      r0 *= 1000
      r0 += r1
      exit
      add: r5 = *(u32 *)(r2 + 0)
      r3 = *(u64 *)(r3 + 0)
      r5 += r3
      r3 = *(u64 *)(r4 + 0)
      r3 += r5
      *(u64 *)(r4 + 0) = r3
      r0 = 0
      exit`
    expect(await run(asm, {}, [counts])).toBe(2043)
  })

  it('are listed, and for each that is missing there is a reason', () => {
    expect(USER_HELPERS).toContain('map_lookup_elem')
    for (const name of USER_HELPERS) expect(HELPER_IDS).toHaveProperty(name)
    for (const name of Object.keys(HELPER_IDS)) {
      if (name !== 'unspec' && !(name in HELPERS)) expect(whyNot(name as keyof typeof HELPERS)).toMatch(/\w/)
    }
  })
})
