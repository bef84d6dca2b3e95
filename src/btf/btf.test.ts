import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Diagnostic } from '../diag/diagnostic.ts'
import { TypeBuilder } from './build.ts'
import { encodeFuncInfo, encodeLineInfo } from './ext.ts'
import { alignOf, describe as describeType, findMember, flatMembers, resolve, sizeOf } from './layout.ts'
import { btfList } from './list.ts'
import { readBtf } from './read.ts'
import type { BtfType } from './types.ts'
import { BtfWriter, writeBtf } from './write.ts'

/** One type of every kind, with what is special about each. */
const EVERY_KIND: readonly BtfType[] = [
  { kind: 'int', name: 'unsigned int', size: 4, encoding: 'unsigned', bits: 32, bitOffset: 0 },
  { kind: 'int', name: 'char', size: 1, encoding: 'char', bits: 8, bitOffset: 0 },
  { kind: 'int', name: 'long', size: 8, encoding: 'signed', bits: 64, bitOffset: 0 },
  { kind: 'int', name: '_Bool', size: 1, encoding: 'bool', bits: 8, bitOffset: 0 },
  { kind: 'ptr', type: 6 },
  {
    kind: 'struct',
    name: 'node',
    size: 24,
    members: [
      { name: 'next', type: 5, bitOffset: 0, bitSize: 0 },
      { name: '', type: 7, bitOffset: 64, bitSize: 0 },
      { name: 'comm', type: 8, bitOffset: 128, bitSize: 0 },
    ],
  },
  {
    kind: 'union',
    name: '',
    size: 8,
    members: [
      { name: 'number', type: 3, bitOffset: 0, bitSize: 0 },
      { name: 'half', type: 1, bitOffset: 0, bitSize: 0 },
    ],
  },
  { kind: 'array', type: 2, index: 1, length: 8 },
  {
    kind: 'struct',
    name: 'flags',
    size: 4,
    members: [
      { name: 'low', type: 1, bitOffset: 0, bitSize: 3 },
      { name: 'high', type: 1, bitOffset: 3, bitSize: 29 },
    ],
  },
  { kind: 'enum', name: 'sign', size: 4, signed: true, values: [{ name: 'MINUS', value: -1n }] },
  { kind: 'enum', name: 'huge', size: 4, signed: false, values: [{ name: 'MOST', value: 0xffff_ffffn }] },
  { kind: 'enum64', name: 'wide', size: 8, signed: false, values: [{ name: 'TOP', value: 1n << 63n }] },
  { kind: 'enum64', name: 'deep', size: 8, signed: true, values: [{ name: 'BOTTOM', value: -(1n << 63n) }] },
  { kind: 'fwd', name: 'somewhere', union: true },
  { kind: 'typedef', name: 'u32', type: 1 },
  { kind: 'volatile', type: 15 },
  { kind: 'const', type: 16 },
  { kind: 'restrict', type: 5 },
  { kind: 'func_proto', ret: 0, params: [{ name: 'ctx', type: 5 }] },
  { kind: 'func', name: 'main', type: 19, linkage: 'global' },
  { kind: 'var', name: 'counter', type: 17, linkage: 'static' },
  { kind: 'datasec', name: '.bss', size: 4, vars: [{ type: 21, offset: 0, size: 4 }] },
  { kind: 'float', name: 'double', size: 8 },
  { kind: 'decl_tag', name: 'ctx', type: 20, component: -1 },
  { kind: 'decl_tag', name: 'packed', type: 6, component: 1, attribute: true },
  { kind: 'type_tag', name: 'user', type: 1 },
]

describe('reading what was written', () => {
  it('gives every kind back as it was', () => {
    expect(readBtf(writeBtf(EVERY_KIND)).all()).toEqual(EVERY_KIND)
  })

  it('finds the first of a name, by kind', () => {
    const types: BtfType[] = [
      { kind: 'fwd', name: 'task', union: false },
      { kind: 'int', name: 'int', size: 4, encoding: 'signed', bits: 32, bitOffset: 0 },
      { kind: 'struct', name: 'task', size: 0, members: [] },
      { kind: 'struct', name: 'task', size: 0, members: [] },
      { kind: 'typedef', name: 'päckchen', type: 2 },
    ]
    for (const found of [readBtf(writeBtf(types)), btfList(types)]) {
      expect(found.find('task')).toBe(1)
      expect(found.find('task', 'struct')).toBe(3)
      expect(found.find('task', 'union', 'enum')).toBeUndefined()
      expect(found.find('tas')).toBeUndefined()
      expect(found.find('')).toBeUndefined()
      expect(found.find('päckchen')).toBe(5)
      expect(found.count).toBe(6)
      expect(found.type(0)).toBeUndefined()
      expect(() => found.type(6)).toThrow(/no type 6/)
    }
  })

  it('reads the other byte order', () => {
    const bytes = writeBtf([{ kind: 'int', name: 'int', size: 4, encoding: 'signed', bits: 32, bitOffset: 0 }])
    const view = new DataView(bytes.buffer)
    const strings = 24 + view.getUint32(12, true)
    view.setUint16(0, view.getUint16(0, true), false)
    for (let at = 4; at < strings; at += 4) view.setUint32(at, view.getUint32(at, true), false)
    const btf = readBtf(bytes)
    expect(btf.littleEndian).toBe(false)
    expect(btf.type(1)).toMatchObject({ kind: 'int', name: 'int', size: 4, encoding: 'signed' })
  })

  it('shares the strings of types with those of line info', () => {
    const writer = new BtfWriter([{ kind: 'fwd', name: 'shared', union: false }])
    const line = 'counts.inc(comm())'
    const record = encodeLineInfo(writer, [{ insn: 0, file: 'shared', line: 7, column: 3, text: line }])
    const btf = readBtf(writer.finish())
    const view = new DataView(record.buffer)
    expect(record.length).toBe(16)
    expect(btf.string(view.getUint32(4, true))).toBe('shared')
    expect(btf.string(view.getUint32(8, true))).toBe(line)
    expect(view.getUint32(12, true)).toBe((7 << 10) | 3)
    expect(btf.find('shared')).toBe(1)
  })

  it('does so for any types', () => {
    fc.assert(
      fc.property(fc.array(anyType(), { minLength: 1, maxLength: 30 }), (types) => {
        expect(readBtf(writeBtf(types)).all()).toEqual(types)
      }),
      { numRuns: 150 },
    )
  })
})

describe('bytes that are not BTF', () => {
  const good = writeBtf(EVERY_KIND)

  it.each([
    ['empty', new Uint8Array(0), 'btf/truncated'],
    ['text', new TextEncoder().encode('{"this": "is no BTF at all"}'), 'btf/magic'],
    ['cut short', good.slice(0, good.length - 1), 'btf/truncated'],
    ['of another version', Uint8Array.from(good, (byte, i) => (i === 2 ? 9 : byte)), 'btf/version'],
    ['with an unknown kind', Uint8Array.from(good, (byte, i) => (i === 24 + 7 ? 31 : byte)), 'btf/kind'],
    ['with an endless string', Uint8Array.from(good, (byte, i) => (i === good.length - 1 ? 65 : byte)), 'btf/strings'],
  ])('%s: refused', (_, bytes, code) => {
    expect(codeOf(() => readBtf(bytes))).toBe(code)
  })

  it('a reference to no type: refused when the type is asked for', () => {
    const btf = readBtf(writeBtf([{ kind: 'ptr', type: 7 }]))
    expect(codeOf(() => btf.type(1))).toBe('btf/reference')
  })

  it('any mutation gives types or a Diagnostic', () => {
    const edit = fc.record({ at: fc.nat(good.length - 1), byte: fc.nat(255) })
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 6 }), (edits) => {
        const bytes = good.slice()
        for (const { at, byte } of edits) bytes[at] = byte
        survives(bytes)
      }),
      { numRuns: 400 },
    )
  })

  it('any bytes behind a header give types or a Diagnostic', () => {
    const body = fc.uint8Array({ maxLength: 200 })
    fc.assert(
      fc.property(body, fc.nat(300), fc.nat(300), (bytes, typeLength, stringLength) => {
        const all = new Uint8Array(24 + bytes.length)
        const view = new DataView(all.buffer)
        view.setUint16(0, 0xeb9f, true)
        view.setUint8(2, 1)
        for (const [i, word] of [24, 0, typeLength, typeLength, stringLength].entries())
          view.setUint32(4 + 4 * i, word, true)
        all.set(bytes, 24)
        survives(all)
      }),
      { numRuns: 300 },
    )
  })

  /** Everything that can be asked of a BTF answers or throws a Diagnostic. */
  function survives(bytes: Uint8Array): void {
    diagnosticOrValue(() => {
      const btf = readBtf(bytes)
      diagnosticOrValue(() => btf.find('node', 'struct'))
      for (let id = 1; id < btf.count; id++) {
        diagnosticOrValue(() => btf.type(id))
        diagnosticOrValue(() => sizeOf(btf, id))
        diagnosticOrValue(() => flatMembers(btf, id))
        diagnosticOrValue(() => describeType(btf, id))
      }
    })
  }
})

describe('what does not fit the format', () => {
  it.each<[string, BtfType]>([
    ['a NUL in a name', { kind: 'fwd', name: 'a\0b', union: false }],
    [
      'too many parameters',
      { kind: 'func_proto', ret: 0, params: Array.from({ length: 65536 }, () => ({ name: '', type: 0 })) },
    ],
    [
      'a far bit field',
      { kind: 'struct', name: 's', size: 2 ** 22, members: [{ name: 'b', type: 0, bitOffset: 2 ** 24, bitSize: 1 }] },
    ],
  ])('%s: refused', (_, type) => {
    expect(codeOf(() => writeBtf([type]))).toBe('btf/write')
  })

  it('line info out of order: refused', () => {
    const at = (insn: number) => ({ insn, file: 'a.ts', line: 1, column: 1, text: '' })
    expect(codeOf(() => encodeLineInfo(new BtfWriter([]), [at(3), at(3)]))).toBe('btf/line-order')
  })
})

describe('func info', () => {
  it('is slot and type', () => {
    const bytes = encodeFuncInfo([
      { insn: 0, type: 4 },
      { insn: 9, type: 5 },
    ])
    expect([...new Uint32Array(bytes.buffer)]).toEqual([0, 4, 9, 5])
  })
})

describe('building types', () => {
  it('lays structs out as C does', () => {
    const b = new TypeBuilder()
    const [u8, u16, u64] = [b.int('u8', 1), b.int('u16', 2), b.int('u64', 8)]
    const inner = b.struct('inner', [
      { name: 'a', type: u8 },
      { name: 'b', type: u16 },
    ])
    const outer = b.struct('outer', [
      { name: 'x', type: u8 },
      { name: 'inner', type: inner },
      { name: 'y', type: u64 },
      { name: 'tail', type: b.array(u8, 3) },
    ])
    const offsets = flatMembers(b.lookup, outer).map(({ name, bitOffset }) => [name, bitOffset / 8])
    expect(offsets).toEqual([
      ['x', 0],
      ['inner', 2],
      ['y', 8],
      ['tail', 16],
    ])
    expect([sizeOf(b.lookup, inner), alignOf(b.lookup, inner)]).toEqual([4, 2])
    expect([sizeOf(b.lookup, outer), alignOf(b.lookup, outer)]).toEqual([24, 8])
  })

  it('gives equal types one id', () => {
    const b = new TypeBuilder()
    const make = () =>
      b.datasec('.data', [
        { type: b.var('a', b.int('u8', 1)) },
        { type: b.var('b', b.typedef('time', b.int('u64', 8))) },
        { type: b.var('c', b.enum('e', 8, [{ name: 'X', value: -1n }])) },
      ])
    const id = make()
    expect(make()).toBe(id)
    expect(b.types[id - 1]).toMatchObject({ size: 24, vars: [{ offset: 0 }, { offset: 8 }, { offset: 16 }] })
  })
})

describe('layout', () => {
  it('looks through typedefs, qualifiers and unnamed members', () => {
    const types = btfList(EVERY_KIND)
    expect(resolve(types, 17)).toBe(EVERY_KIND[0])
    expect(sizeOf(types, 21)).toBe(4)
    expect(findMember(types, 6, 'half')).toEqual({ name: 'half', type: 1, bitOffset: 64, bitSize: 0 })
    expect(describeType(types, 17)).toBe('const volatile u32')
    expect(describeType(types, 18)).toBe('restrict struct node *')
  })

  it('structs that double at each level are refused, or measured, and soon', () => {
    const types: BtfType[] = Array.from({ length: 30 }, (_, i) => ({
      kind: 'struct',
      name: `s${i}`,
      size: 0,
      members: i === 0 ? [] : [0, 1].map(() => ({ name: '', type: i, bitOffset: 0, bitSize: 0 })),
    }))
    expect(codeOf(() => flatMembers(btfList(types), 30))).toBe('btf/too-deep')
    expect(alignOf(btfList(types), 30)).toBe(1)
  })

  it.each<[string, BtfType[], string]>([
    [
      'a circle of typedefs',
      [
        { kind: 'typedef', name: 'a', type: 2 },
        { kind: 'typedef', name: 'b', type: 1 },
      ],
      'btf/too-deep',
    ],
    ['an array of itself', [{ kind: 'array', type: 1, index: 1, length: 2 }], 'btf/too-deep'],
    ['a function', [{ kind: 'func_proto', ret: 0, params: [] }], 'btf/no-size'],
    ['a forward declaration', [{ kind: 'fwd', name: 'x', union: false }], 'btf/no-size'],
  ])('%s has no size', (_, types, code) => {
    expect(codeOf(() => sizeOf(btfList(types), 1))).toBe(code)
  })
})

function codeOf(run: () => unknown): string | undefined {
  try {
    run()
  } catch (error) {
    if (error instanceof Diagnostic) return error.code
    throw error
  }
  return undefined
}

function diagnosticOrValue(run: () => unknown): void {
  codeOf(run)
}

/** Any type whose references point to itself or void, so that any list of them is whole. */
function anyType(): fc.Arbitrary<BtfType> {
  const name = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((text) => !text.includes('\0'))
  const type = fc.constantFrom(0, 1)
  const u32 = fc.nat(0xffffffff)
  const list = <T>(each: fc.Arbitrary<T>) => fc.array(each, { maxLength: 5 })
  const linkage = fc.constantFrom('static' as const, 'global' as const, 'extern' as const)
  return fc.oneof(
    fc.record({
      kind: fc.constant('int' as const),
      name,
      size: u32,
      encoding: fc.constantFrom('unsigned' as const, 'signed' as const, 'char' as const, 'bool' as const),
      bits: fc.nat(255),
      bitOffset: fc.nat(255),
    }),
    fc.record({
      kind: fc.constantFrom('ptr' as const, 'volatile' as const, 'const' as const, 'restrict' as const),
      type,
    }),
    fc.record({ kind: fc.constant('array' as const), type, index: type, length: u32 }),
    fc.record({
      kind: fc.constantFrom('struct' as const, 'union' as const),
      name,
      size: u32,
      members: list(fc.record({ name, type, bitOffset: fc.nat(0xffffff), bitSize: fc.nat(255) })),
    }),
    fc.boolean().chain((signed) =>
      fc.record({
        kind: fc.constant('enum' as const),
        name,
        size: u32,
        signed: fc.constant(signed),
        values: list(
          fc.record({ name, value: signed ? fc.bigInt(-(2n ** 31n), 2n ** 31n - 1n) : fc.bigInt(0n, 2n ** 32n - 1n) }),
        ),
      }),
    ),
    fc.boolean().chain((signed) =>
      fc.record({
        kind: fc.constant('enum64' as const),
        name,
        size: u32,
        signed: fc.constant(signed),
        values: list(
          fc.record({ name, value: signed ? fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n) : fc.bigInt(0n, 2n ** 64n - 1n) }),
        ),
      }),
    ),
    fc.record({ kind: fc.constant('fwd' as const), name, union: fc.boolean() }),
    fc.record({ kind: fc.constantFrom('typedef' as const, 'type_tag' as const), name, type }),
    fc.record({ kind: fc.constantFrom('func' as const, 'var' as const), name, type, linkage }),
    fc.record({ kind: fc.constant('func_proto' as const), ret: type, params: list(fc.record({ name, type })) }),
    fc.record({
      kind: fc.constant('datasec' as const),
      name,
      size: u32,
      vars: list(fc.record({ type, offset: u32, size: u32 })),
    }),
    fc.record({ kind: fc.constant('float' as const), name, size: u32 }),
    fc.record({ kind: fc.constant('decl_tag' as const), name, type, component: fc.integer({ min: -1, max: 100 }) }),
  )
}
