import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Diagnostic } from '../../diag/diagnostic.ts'
import { readAssembly } from '../../object/asm.ts'
import { Coverage } from './coverage.ts'
import { Debugger } from './debug.ts'
import { userEngine } from './index.ts'
import { Tracer, type TraceStep } from './trace.ts'

/** Writes packet, stack and maps, asks for time and random numbers, calls a function and a helper that calls back. */
const BUSY = `.section xdp busy
.map seen hash 8 8 64
.map ring ringbuf 0 0 4096
  r6 = *(u32 *)(r1 + 0)
  call ktime_get_ns
  *(u64 *)(r10 - 8) = r0
  call get_prandom_u32
  *(u64 *)(r10 - 16) = r0
  *(u8 *)(r6 + 3) = 7
  call store
  r1 = 5
  r2 = subprog[each] ll
  r3 = r10
  r3 += -24
  *(u64 *)(r10 - 24) = 0
  r4 = 0
  call loop
  r1 = map[seen] ll
  r2 = r10
  r2 += -8
  call map_delete_elem
  r1 = map[ring] ll
  r2 = r10
  r2 += -16
  r3 = 16
  r4 = 0
  call ringbuf_output
  r0 = 2
  exit
store:
  *(u64 *)(r10 - 8) = 99
  *(u64 *)(r10 - 16) = 1
  r1 = map[seen] ll
  r2 = r10
  r2 += -8
  r3 = r10
  r3 += -16
  r4 = 0
  call map_update_elem
  r0 = 0
  exit
each:
  *(u64 *)(r10 - 8) = r1
  *(u64 *)(r2 + 0) += r1
  r6 = r1
  r1 = map[seen] ll
  r3 = r2
  r2 = r10
  r2 += -8
  r4 = 0
  call map_update_elem
  r0 = 0
  exit
`.replace('*(u64 *)(r2 + 0) += r1', 'lock *(u64 *)(r2 + 0) += r1')

const busy = () => {
  let now = 1000n
  const asked: string[] = []
  return {
    asked,
    options: {
      spec: readAssembly(BUSY, 'busy.asm'),
      input: { data: new Uint8Array(64) },
      host: {
        get now() {
          asked.push('now')
          return now++
        },
        get random() {
          asked.push('random')
          return Math.floor(Math.random() * 2 ** 32)
        },
      },
    },
  }
}

/** Everything that can be seen at this point. */
const look = (debug: Debugger) => ({
  state: debug.state,
  at: debug.at,
  seen: [...debug.maps.get('seen')!.entries()],
})

/** Each line of the text is an instruction; this is the one that has `text`, as `busy.asm:7`. */
const lineOf = (source: string, text: string) =>
  `busy.asm:${source.split('\n').findIndex((line) => line.includes(text)) + 1}`

describe('the debugger', () => {
  it('goes forward to the end and back, and finds the same at every point', () => {
    using debug = new Debugger(busy().options)
    expect(debug.end).toEqual({ retval: 2 })
    const there = [look(debug)]
    while (debug.position < debug.length) {
      debug.step()
      there.push(look(debug))
    }
    expect(there).toHaveLength(debug.length + 1)
    expect(there.at(-1)?.seen).toHaveLength(6)
    for (let position = debug.length; position >= 0; position--) {
      expect(look(debug)).toEqual(there[position])
      debug.step(-1)
    }
  })

  it('has the same state wherever it came from', () => {
    using debug = new Debugger(busy().options)
    using other = new Debugger({ ...busy().options, host: { now: 5n, random: 1 } })
    expect(other.length).toBe(debug.length)
    const ways = fc.array(fc.integer({ min: -40, max: 60 }), { maxLength: 6 })
    fc.assert(
      fc.property(ways, fc.nat(other.length), (steps, to) => {
        other.seek(to)
        const direct = look(other)
        for (const step of steps) {
          other.step(step)
          other.state
        }
        other.seek(to)
        return JSON.stringify(look(other), replacer) === JSON.stringify(direct, replacer)
      }),
      { numRuns: 40 },
    )
  })

  it('asks the host once, however often it runs again', () => {
    const { asked, options } = busy()
    using debug = new Debugger(options)
    const once = [...asked]
    for (const position of [30, 3, 60, 0]) {
      debug.seek(position)
      look(debug)
    }
    expect(asked).toEqual(once)
    expect(once).toContain('now')
  })

  it('shows what each instruction did, and undoes it', () => {
    using debug = new Debugger(busy().options)
    debug.break(lineOf(BUSY, '*(u8 *)(r6 + 3) = 7'))
    debug.run()
    expect(debug.state.packet[3]).toBe(0)
    const address = debug.state.registers[6]
    debug.step()
    expect(debug.state.packet[3]).toBe(7)
    expect(debug.read(address, 4)).toEqual(Uint8Array.of(0, 0, 0, 7))
    debug.step(-1)
    expect(debug.state.packet[3]).toBe(0)
    expect(debug.read(0, 8)).toBeUndefined()
  })

  it('steps over, into and out of functions, both ways', () => {
    using debug = new Debugger(busy().options)
    debug.break(lineOf(BUSY, 'call store'))
    const call = debug.run()
    const over = debug.stepOver()
    expect(debug.depth).toBe(1)
    expect(over).toBeGreaterThan(call + 5)
    expect(debug.backOver()).toBe(call)
    expect(debug.stepInto()).toBe(call + 1)
    expect(debug.state.frames.map(({ name, slot }) => [name, slot])).toEqual([
      ['store', debug.slot],
      ['busy', 7 - 1],
    ])
    debug.stepInto()
    expect(debug.stepOut()).toBe(over)
    expect(debug.backInto()).toBe(over - 1)
    expect(debug.depth).toBe(2)
    expect(debug.backOut()).toBe(call)
  })

  it('stops in a function that a helper calls back, each time', () => {
    using debug = new Debugger(busy().options)
    debug.break(lineOf(BUSY, 'r6 = r1'))
    const seen: bigint[] = []
    while (debug.run() < debug.length) seen.push(debug.state.registers[1])
    expect(seen).toEqual([0n, 1n, 2n, 3n, 4n])
    debug.runBack()
    expect(debug.state.registers[1]).toBe(4n)
    expect(debug.depth).toBe(2)
    expect(debug.runBack()).toBeLessThan(debug.length)
  })

  it('takes source lines as steps', () => {
    const spec = readAssembly('.section xdp two\nr0 = 1\nr0 += 1\nr0 += 1\nexit', 'two.asm')
    const [program] = spec.programs
    // As from a compiler: two instructions to a line.
    const lines = program.lines.filter((_, i) => i % 2 === 0)
    const compiled = { ...spec, programs: [{ ...program, lines }] }
    using debug = new Debugger({ spec: compiled, input: { data: new Uint8Array(14) } })
    expect([debug.stepOver(), debug.stepOver()]).toEqual([2, 4])
    expect([debug.backOver(), debug.backOver()]).toEqual([2, 0])
  })

  it('stands at the end with a fault, where the run has one', () => {
    const spec = readAssembly('.section xdp bad\nr1 = 0\nr0 = *(u64 *)(r1 + 0)\nexit', 'bad.asm')
    using debug = new Debugger({ spec, input: { data: new Uint8Array(14) } })
    expect(debug.length).toBe(2)
    expect(debug.end).toMatchObject({ fault: { code: 'user/fault' } })
    expect(debug.seek(9)).toBe(2)
    expect(debug.state.registers[1]).toBe(0n)
  })

  it('begins where setup left off', () => {
    const { options } = busy()
    const key = new Uint8Array(8).fill(9)
    using debug = new Debugger({ ...options, setup: ({ maps }) => maps.get('seen')!.set(key, key) })
    expect(debug.maps.get('seen')!.get(key)).toEqual(key)
    debug.seek(20)
    debug.state
    debug.seek(0)
    expect([...debug.maps.get('seen')!.entries()]).toEqual([[key, key]])
  })

  it('refuses breakpoints where nothing is', () => {
    using debug = new Debugger(busy().options)
    for (const at of ['busy.asm:2', 'other.asm:4', 999]) {
      expect(() => debug.break(at)).toThrow(Diagnostic)
      expect(debug.unbreak(at)).toBe(false)
    }
  })
})

describe('an observer', () => {
  it('is told by a Tracer what each step changed', async () => {
    const steps: TraceStep[] = []
    const tracer = new Tracer((step) => steps.push(step))
    using collection = await userEngine({ observer: tracer }).load(readAssembly(BUSY, 'busy.asm'))
    collection.progs.get('busy')!.run({ data: new Uint8Array(64) })
    tracer.end()
    const [first, , third] = steps
    expect(first.registers.get(6)?.points).toEqual({ what: 'pkt', offset: 0 })
    expect([...third.stack.keys()]).toEqual([-8])
    expect(steps.at(-1)).toMatchObject({ slot: 28, depth: 1, at: { text: '  exit' } })
    expect(steps.at(-2)?.registers).toEqual(new Map([[0, { value: 2n, points: undefined }]]))
  })

  it('counts executions by line', async () => {
    const spec = readAssembly(BUSY, 'busy.asm')
    const coverage = new Coverage(spec.programs)
    using collection = await userEngine({ observer: coverage }).load(spec)
    expect(coverage.lines().every(({ count }) => count === 0)).toBe(true)
    collection.progs.get('busy')!.run({ data: new Uint8Array(64), repeat: 3 })
    const count = (text: string) => coverage.lines().find((line) => line.text.includes(text))?.count
    expect([count('call ktime_get_ns'), count('r6 = r1'), count('*(u64 *)(r10 - 8) = 99')]).toEqual([3, 15, 3])
  })
})

const replacer = (_: string, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value)
