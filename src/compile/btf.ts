// BTF of what the compiler makes: map keys and values, config values, and a prototype for each program, so
// that the kernel, bpftool and Waggle's own decoder can show data by name.

import type { TypeBuilder } from '../btf/build.ts'
import type { BtfId } from '../btf/types.ts'
import { type KType, sizeOf, typeName } from './ktype.ts'
import type { ConfigEntity } from './scope.ts'
import type { Shape, Subprog } from './subprog.ts'

/** C's names for the integers, of which printers know what to make. */
const C_NAMES: Readonly<Record<string, string>> = {
  u8: 'unsigned char',
  u16: 'unsigned short',
  u32: 'unsigned int',
  u64: 'unsigned long long',
  i8: 'signed char',
  i16: 'short',
  i32: 'int',
  i64: 'long long',
}

/** The id of `type`; `hint` names a struct that has no declaration of its own. */
export function btfOf(types: TypeBuilder, type: KType, hint: string): BtfId {
  switch (type.kind) {
    case 'int':
      return types.int(C_NAMES[typeName(type)], type.bits / 8, type.signed ? 'signed' : 'unsigned')
    case 'bool':
      return types.int('_Bool', 1, 'bool')
    case 'str':
      return types.array(types.int('char', 1, 'char'), type.size)
    case 'array':
      return types.array(btfOf(types, type.element, hint), type.length)
    case 'enum': {
      const size = sizeOf(type) as 1 | 2 | 4 | 8
      const values = [...type.members].map(([name, value]) => ({ name, value }))
      return types.enum(type.name || hint, size, values)
    }
    case 'struct': {
      const name = type.name || hint
      const fields = type.fields.map((field) => ({
        name: field.name,
        type: btfOf(types, field.type, `${name}_${field.name}`),
      }))
      return types.struct(name, fields)
    }
  }
}

/** The function of a program: `int name(void *ctx)`. */
export function programType(types: TypeBuilder, name: string): BtfId {
  const ctx = types.ptr(0)
  const proto = types.funcProto(types.int('int', 4, 'signed'), [{ name: 'ctx', type: ctx }])
  return types.func(name, proto)
}

/** A function that is called: static, so that the verifiers look at it where it is called. */
export function subprogType(types: TypeBuilder, { name, fn, params, result }: Subprog): BtfId {
  const idOf = (shape: Shape): BtfId => {
    if (shape.kind === 'bool') return btfOf(types, shape, name)
    return shape.kind === 'int' ? btfOf(types, shape.type, name) : types.ptr(btfOf(types, shape.type, name))
  }
  const args = params.map((shape, i) => ({ name: fn.params[i].name, type: idOf(shape) }))
  return types.func(name, types.funcProto(result ? idOf(result) : 0, args), 'static')
}

/** The section of config values, for the map that holds them. */
export function configSection(types: TypeBuilder, section: string, configs: readonly ConfigEntity[]): BtfId {
  const vars = configs.map((config) => ({
    type: types.var(
      config.name,
      types.qualified('const', types.qualified('volatile', btfOf(types, config.type, config.name))),
    ),
    offset: config.offset,
  }))
  return types.datasec(section, vars)
}

/** The section of the counters of loss. */
export function lostSection(
  types: TypeBuilder,
  section: string,
  maps: readonly { name: string; offset: number }[],
): BtfId {
  const u64 = types.int(C_NAMES.u64, 8)
  return types.datasec(
    section,
    maps.map(({ name, offset }) => ({ type: types.var(`${name}_lost`, u64), offset })),
  )
}
