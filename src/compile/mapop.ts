// Operations on maps: what counts.inc(key) and its like become. A full map or ring buffer adds one to a
// counter of the map's own, in an internal array of the object, so that nothing is lost silently.

import type { Size } from '../isa/insn.ts'
import type { Flow } from './flow.ts'
import type { Block, Node } from './ir.ts'
import { integerOf, type KType, sizeOf, typeName } from './ktype.ts'
import { address, place, readPlace, writePlace } from './memory.ts'
import type { Operand } from './operand.ts'
import type { MapEntity } from './scope.ts'
import type { Span } from './syntax.ts'

/** The internal map of counters: one u64 for each map that can lose something. */
export const LOST_MAP = '.bss'

/** BPF_NOEXIST of bpf(2). */
const NOEXIST = 1

/** Gives out the places of the counters of loss. */
export interface Losses {
  counter(map: MapEntity): number
}

/** Arity of each method, for the message about wrong arguments. */
export const METHODS: Readonly<Record<string, readonly [least: number, most: number]>> = {
  inc: [1, 2],
  get: [1, 1],
  getOrInsert: [2, 2],
  set: [2, 2],
  delete: [1, 1],
  emit: [1, 1],
}

export class MapOps {
  private readonly flow: Flow
  private readonly losses: Losses

  constructor(flow: Flow, losses: Losses) {
    this.flow = flow
    this.losses = losses
  }

  call(map: MapEntity, method: string, args: readonly Operand[], span: Span): Operand {
    const { flow } = this
    const arity = Object.hasOwn(METHODS, method) ? METHODS[method] : undefined
    const isRing = map.type === 'ringbuf'
    const isArray = map.type === 'array' || map.type === 'percpu_array'
    const has = isRing
      ? method === 'emit'
      : method !== 'emit' && !(isArray && (method === 'delete' || method === 'getOrInsert'))
    if (!arity || !has) {
      const help = isRing
        ? 'a ring buffer has emit()'
        : isArray
          ? 'it has inc, get and set'
          : 'it has inc, get, getOrInsert, set and delete'
      throw flow.report.error(span, 'unknown-method', `${map.name} has no method ${method}`, help)
    }
    if (args.length < arity[0] || args.length > arity[1]) {
      throw flow.report.error(
        span,
        'arguments',
        `${map.name}.${method}() takes ${arity[0] === arity[1] ? arity[0] : `${arity[0]} or ${arity[1]}`} arguments, not ${args.length}`,
      )
    }
    if (isRing) return this.emit(map, args[0], span)
    const key = address(flow, place(flow, map.key as KType, args[0], `key of ${map.name}`, span))
    switch (method) {
      case 'inc':
        return this.inc(map, key, args[1], isArray, span)
      case 'get':
        return this.get(map, key)
      case 'getOrInsert':
        return this.getOrInsert(map, key, args[1], span)
      case 'set':
        return this.set(map, key, args[1], span)
      default:
        flow.call('map_delete_elem', this.map(map), key)
        return { kind: 'void' }
    }
  }

  /** `map.get(key)!`: the author vouches that it is there, and the verifier asks for the proof. */
  unchecked(map: MapEntity, args: readonly Operand[], span: Span): Operand {
    const { flow } = this
    const key = address(flow, place(flow, map.key as KType, args[0], `key of ${map.name}`, span))
    return readPlace(flow, map.value, this.lookup(map, key), 0, 'map')
  }

  private map(map: MapEntity): Node {
    return this.flow.emit({ op: 'map', map: map.name })
  }

  private lookup(map: MapEntity, key: Node): Node {
    return this.flow.call('map_lookup_elem', this.map(map), key)
  }

  /** Counts one loss and goes on to `after`. */
  private lose(map: MapEntity, after: Block): void {
    const { flow } = this
    const counter = flow.emit({ op: 'mapValue', map: LOST_MAP, offset: this.losses.counter(map) })
    flow.emit({ op: 'atomicAdd', size: 8, offset: 0 }, counter, flow.const(1))
    flow.jump(after)
  }

  /** Values of a map that every processor has for itself need no atomic addition. */
  private add(map: MapEntity, type: KType, value: Node, by: Node): void {
    const { flow } = this
    const size = sizeOf(type) as Size
    if ((size === 4 || size === 8) && !map.type.startsWith('percpu')) {
      flow.emit({ op: 'atomicAdd', size, offset: 0 }, value, by)
    } else flow.store(size, value, 0, flow.bin('add', flow.load(size, value, 0), by))
  }

  private inc(map: MapEntity, key: Node, by: Operand | undefined, isArray: boolean, span: Span): Operand {
    const { flow } = this
    const integer = integerOf(map.value)
    if (!integer || (integer.bits < 32 && !map.type.startsWith('percpu'))) {
      throw flow.report.error(
        span,
        'type',
        `inc() needs values of 32 or 64 bits; ${map.name} holds ${typeName(map.value)}`,
        'declare the map with u64 values',
      )
    }
    const amount = by ? flow.convert(flow.toInt(by, span), integer).node : flow.const(1)
    const [hit, miss, done] = [flow.newBlock(), flow.newBlock(), flow.newBlock()]
    const value = this.lookup(map, key)
    flow.branch('ne', value, flow.const(0), hit, miss)
    flow.enter(hit)
    this.add(map, map.value, value, amount)
    flow.jump(done)
    flow.enter(miss)
    if (isArray) this.lose(map, done)
    else {
      const first = flow.slot(`first value of ${map.name}`, sizeOf(map.value))
      flow.store(sizeOf(map.value) as Size, first, 0, amount)
      this.insert(map, key, first, done, (raced) => this.add(map, map.value, raced, amount))
    }
    flow.enter(done)
    return { kind: 'void' }
  }

  /** Sets a key that was not there; if another processor was first, does `raced` with its value. */
  private insert(map: MapEntity, key: Node, value: Node, done: Block, raced: (value: Node) => void): void {
    const { flow } = this
    const [again, hit, lost] = [flow.newBlock(), flow.newBlock(), flow.newBlock()]
    const result = flow.call('map_update_elem', this.map(map), key, value, flow.const(NOEXIST))
    flow.branch('eq', result, flow.const(0), done, again)
    // Whatever the reason: if the key is there now, another processor was first; if not, the map is full.
    flow.enter(again)
    const other = this.lookup(map, key)
    flow.branch('ne', other, flow.const(0), hit, lost)
    flow.enter(hit)
    raced(other)
    flow.jump(done)
    flow.enter(lost)
    this.lose(map, done)
  }

  private get(map: MapEntity, key: Node): Operand {
    const { flow } = this
    const [hit, miss, done] = [flow.newBlock(), flow.newBlock(), flow.newBlock()]
    const pointer = this.lookup(map, key)
    flow.branch('ne', pointer, flow.const(0), hit, miss)
    flow.enter(hit)
    const operand = readPlace(flow, map.value, pointer, 0, 'map')
    const here: Span = { at: flow.at, end: flow.at + 1 }
    const present = flow.builder.variable(`${map.name} present`)
    const cell = { kind: 'option', present, of: flow.cell(operand, map.name, here) } as const
    flow.write(cell, operand, here)
    flow.jump(done)
    flow.enter(miss)
    flow.write(cell, { kind: 'undefined' }, here)
    flow.jump(done)
    flow.enter(done)
    return cell
  }

  private getOrInsert(map: MapEntity, key: Node, init: Operand, span: Span): Operand {
    const { flow } = this
    const [hit, miss, again, found, lost, done] = Array.from({ length: 6 }, () => flow.newBlock())
    const pointer = this.lookup(map, key)
    const here: Span = { at: flow.at, end: flow.at + 1 }
    flow.branch('ne', pointer, flow.const(0), hit, miss)
    flow.enter(hit)
    const operand = readPlace(flow, map.value, pointer, 0, 'map')
    const cell = {
      kind: 'option',
      present: flow.builder.variable('present'),
      of: flow.cell(operand, map.name, here),
    } as const
    flow.write(cell, operand, here)
    flow.jump(done)
    flow.enter(miss)
    const mark = flow.mark()
    const first = address(flow, place(flow, map.value, init, `first value of ${map.name}`, span))
    flow.call('map_update_elem', this.map(map), key, first, flow.const(NOEXIST))
    flow.release(mark)
    flow.jump(again)
    // Whether it was set just now or by another processor, it is there unless the map is full.
    flow.enter(again)
    const second = this.lookup(map, key)
    flow.branch('ne', second, flow.const(0), found, lost)
    flow.enter(found)
    flow.write(cell, readPlace(flow, map.value, second, 0, 'map'), here)
    flow.jump(done)
    flow.enter(lost)
    flow.write(cell, { kind: 'undefined' }, here)
    this.lose(map, done)
    flow.enter(done)
    return cell
  }

  private set(map: MapEntity, key: Node, value: Operand, span: Span): Operand {
    const { flow } = this
    const from = address(flow, place(flow, map.value, value, `value of ${map.name}`, span))
    const [lost, done] = [flow.newBlock(), flow.newBlock()]
    const result = flow.call('map_update_elem', this.map(map), key, from, flow.const(0))
    flow.branch('eq', result, flow.const(0), done, lost)
    flow.enter(lost)
    this.lose(map, done)
    flow.enter(done)
    return { kind: 'void' }
  }

  /** Fields are written straight into the record: no copy on the stack. */
  private emit(map: MapEntity, record: Operand, span: Span): Operand {
    const { flow } = this
    const [there, lost, done] = [flow.newBlock(), flow.newBlock(), flow.newBlock()]
    const size = flow.const(sizeOf(map.value))
    const pointer = flow.call('ringbuf_reserve', this.map(map), size, flow.const(0))
    flow.branch('ne', pointer, flow.const(0), there, lost)
    flow.enter(there)
    writePlace(flow, map.value, pointer, 0, record, span)
    flow.call('ringbuf_submit', pointer, flow.const(0))
    flow.jump(done)
    flow.enter(lost)
    this.lose(map, done)
    flow.enter(done)
    return { kind: 'void' }
  }
}
