// Fields and elements: of structs and arrays in memory, of literals, of packet headers, of the context and of
// config values; and the places that an assignment can go to.

import { nearest } from '../diag/nearest.ts'
import { sizeOf } from './ktype.ts'
import { readPlace } from './memory.ts'
import { Names } from './names.ts'
import { describe, type Operand, type RefOperand } from './operand.ts'
import { VIEWS } from './packet.ts'
import { readField } from './record.ts'
import type { Expr } from './syntax.ts'

/** The frozen map of config values. */
export const CONFIG_MAP = '.rodata'

export abstract class Access extends Names {
  protected member(expr: Expr & { kind: 'member' }): Operand {
    const { flow, report } = this
    const { object, name } = expr
    const entity = this.entityOf(object)
    if (entity?.kind === 'config') {
      if (name !== 'value')
        throw report.error(expr, 'unknown-field', `a config has a value and nothing else`, `write ${entity.name}.value`)
      const base = flow.emit({ op: 'mapValue', map: CONFIG_MAP, offset: entity.offset })
      return readPlace(flow, entity.type, base, 0, 'map', true)
    }
    if (entity?.kind === 'type' && entity.type.kind === 'enum') {
      const value = entity.type.members.get(name)
      if (value === undefined) throw this.noField(expr, entity.type.members.keys())
      return flow.convert(flow.literal(value), entity.type.base)
    }
    if (object.kind === 'name' && !entity && !this.local(object.name)) throw this.userGlobal(object, name)
    const operand = this.settled(this.expr(object))
    flow.at = expr.at
    if (operand.kind === 'context') return this.contextMember(expr)
    if (operand.kind === 'view') {
      const value = this.packet?.field(operand, name)
      if (!value) throw this.noField(expr, Object.keys(VIEWS[operand.view]))
      return value
    }
    if (operand.kind === 'object') {
      const value = operand.fields.get(name)
      if (value === undefined) throw this.noField(expr, operand.fields.keys())
      return value
    }
    if (operand.kind === 'list' && name === 'length') return flow.literal(BigInt(operand.items.length))
    if (operand.kind === 'ref' && operand.type.kind === 'array' && name === 'length')
      return flow.literal(BigInt(operand.type.length))
    if (operand.kind === 'ref' && operand.type.kind === 'struct') {
      const place = this.fieldOf(operand, expr)
      return readPlace(flow, place.type, place.base, place.offset, place.space)
    }
    throw report.error(expr, 'unknown-field', `${describe(operand)} has no field ${name}`)
  }

  protected fieldOf(ref: RefOperand, expr: Expr & { kind: 'member' }): RefOperand {
    if (ref.type.kind !== 'struct') throw this.noField(expr, [])
    const field = ref.type.fields.find(({ name }) => name === expr.name)
    if (!field)
      throw this.noField(
        expr,
        ref.type.fields.map(({ name }) => name),
      )
    return { ...ref, type: field.type, offset: ref.offset + field.offset }
  }

  protected noField(expr: Expr & { kind: 'member' }, names: Iterable<string>): Error {
    const all = [...names]
    const near = nearest(expr.name, all)
    const help =
      near.length > 0 ? `did you mean ${near.join(' or ')}?` : all.length > 0 ? `it has ${all.join(', ')}` : undefined
    return this.report.error(expr, 'unknown-field', `there is no field ${expr.name} here`, help)
  }

  protected contextMember(expr: Expr & { kind: 'member' }): Operand {
    const { flow, report } = this
    const found = this.packet?.member(expr.name)
    if (found) return found
    const field = this.format?.fields.find(({ name }) => name === expr.name)
    if (!field || !this.ctx) {
      throw this.noField(
        expr,
        this.format?.fields.map(({ name }) => name) ?? (this.packet ? ['length', 'ifindex', 'rxQueue'] : []),
      )
    }
    const operand = readField(flow, this.ctx, field)
    if (!operand)
      throw report.error(
        expr,
        'unsupported',
        `${field.name} is a ${field.type}, which kernel code cannot read yet`,
        'read a scalar or a string field',
      )
    return operand
  }

  protected index(expr: Expr & { kind: 'index' }): Operand {
    const { flow, report } = this
    const object = this.settled(this.expr(expr.object))
    if (object.kind === 'list') {
      const at = flow.constantOf(this.int(expr.index))
      const item = at === undefined ? undefined : object.items[Number(at)]
      if (!item)
        throw report.error(
          expr.index,
          'index',
          `an index into a constant array is a constant from 0 to ${object.items.length - 1}`,
          'go over it with for … of',
        )
      return item
    }
    const place = this.element(object, expr)
    return readPlace(flow, place.type, place.base, place.offset, place.space)
  }

  protected element(object: Operand, expr: Expr & { kind: 'index' }): RefOperand {
    const { flow, report } = this
    if (object.kind !== 'ref' || object.type.kind !== 'array') {
      throw report.error(expr.object, 'type', `${describe(object)} cannot be indexed`)
    }
    const { element, length } = object.type
    const at = this.int(expr.index)
    const constant = flow.constantOf(at)
    if (constant === undefined) {
      const scaled = flow.bin('mul', at.node, flow.const(sizeOf(element)))
      return {
        ...object,
        type: element,
        base: flow.bin('add', flow.plus(object.base, object.offset), scaled),
        offset: 0,
      }
    }
    if (constant < 0n || constant >= BigInt(length)) {
      throw report.error(expr.index, 'index', `index ${constant} is outside this array of ${length}`)
    }
    return { ...object, type: element, offset: object.offset + Number(constant) * sizeOf(element) }
  }

  /** The place in memory that an assignment goes to; undefined for a variable. */
  protected placeOf(target: Expr): RefOperand | undefined {
    if (target.kind === 'member') {
      if (this.entityOf(target.object)) return undefined
      const object = this.settled(this.expr(target.object))
      if (object.kind === 'ref') return this.fieldOf(object, target)
      return undefined
    }
    if (target.kind === 'index') return this.element(this.settled(this.expr(target.object)), target)
    return undefined
  }
}
