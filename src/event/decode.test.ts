import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TypeBuilder } from '../btf/build.ts'
import type { BtfId, BtfType } from '../btf/types.ts'
import { Diagnostic } from '../diag/diagnostic.ts'
import { formatIpv6, parseIpv4, parseIpv6, parseMac } from './address.ts'
import { decoder, encoder, formatValue, toJSON, type Value } from './decode.ts'

const bytes = (...list: number[]) => Uint8Array.from(list)

describe('what bytes mean', () => {
  const b = new TypeBuilder()
  const u8 = b.int('unsigned char', 1)
  const char = b.int('char', 1, 'char')
  const u16 = b.int('unsigned short', 2)
  const u32 = b.int('unsigned int', 4)
  const i32 = b.int('int', 4, 'signed')
  const u64 = b.int('unsigned long', 8)
  const action = b.enum('xdp_action', 4, [
    { name: 'XDP_DROP', value: 1n },
    { name: 'XDP_PASS', value: 2n },
  ])

  it.each<[string, BtfId, Uint8Array, Value]>([
    ['a small number', u16, bytes(0x34, 0x12), 0x1234],
    ['a negative one', i32, bytes(0xfe, 0xff, 0xff, 0xff), -2],
    ['a large one', u64, bytes(1, 0, 0, 0, 0, 0, 0, 0x80), 0x8000_0000_0000_0001n],
    ['a bool', b.int('_Bool', 1, 'bool'), bytes(1), true],
    ['a pointer', b.ptr(u8), bytes(8, 0, 0, 0, 0, 0, 0, 0), 8n],
    ['text that ends', b.array(char, 6), bytes(0x74, 0x72, 0x75, 0x65, 0, 0x78), 'true'],
    ['text that fills its array', b.array(char, 2), bytes(0x73, 0x68), 'sh'],
    ['text that is not UTF-8', b.array(char, 3), bytes(0xff, 0x61, 0), '\ufffda'],
    ['bytes', b.array(u8, 3), bytes(1, 2, 0), [1, 2, 0]],
    ['an enumerator', action, bytes(2, 0, 0, 0), 'XDP_PASS'],
    ['a number that no enumerator has', action, bytes(9, 0, 0, 0), 9],
    ['a typedef', b.typedef('pid_t', b.qualified('const', i32)), bytes(7, 0, 0, 0), 7],
    ['an IPv4 address', b.typedef('waggle_ipv4', u32), bytes(1, 2, 0, 192), '192.0.2.1'],
    ['a MAC address', b.typedef('waggle_mac', b.array(u8, 6)), bytes(2, 0, 0x5e, 0x10, 0, 1), '02:00:5e:10:00:01'],
    [
      'an IPv6 address behind another name',
      b.typedef('addr', b.typedef('waggle_ipv6', b.array(u8, 16))),
      bytes(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
      '2001:db8::1',
    ],
    [
      'a struct',
      b.struct('event', [
        { name: 'kind', type: u8 },
        { name: 'port', type: u16 },
      ]),
      bytes(6, 0xaa, 80, 0),
      { kind: 6, port: 80 },
    ],
    [
      'a union',
      b.union('half', [
        { name: 'all', type: u32 },
        { name: 'low', type: u16 },
      ]),
      bytes(1, 0, 2, 0),
      { all: 0x20001, low: 1 },
    ],
  ])('%s', (_, id, from, value) => {
    expect(decoder(b.types, id)(from)).toEqual(value)
  })

  it('starts where it is told, in a view of a larger buffer too', () => {
    const whole = bytes(9, 9, 9, 0x34, 0x12)
    expect(decoder(b.types, u16)(whole, 3)).toBe(0x1234)
    expect(decoder(b.types, u16)(whole.subarray(1), 2)).toBe(0x1234)
  })

  it('reads bit fields, signed ones and ones across bytes', () => {
    const types: BtfType[] = [
      { kind: 'int', name: 'int', size: 4, encoding: 'signed', bits: 32, bitOffset: 0 },
      { kind: 'int', name: 'unsigned', size: 4, encoding: 'unsigned', bits: 32, bitOffset: 0 },
      {
        kind: 'struct',
        name: 'bits',
        size: 4,
        members: [
          { name: 'a', type: 1, bitOffset: 0, bitSize: 3 },
          { name: 'b', type: 2, bitOffset: 3, bitSize: 10 },
        ],
      },
    ]
    const record = bytes(0b1111_1111, 0b0000_0010, 0, 0)
    expect(decoder(types, 3)(record)).toEqual({ a: -1, b: 0b00010_11111 })
    expect(encoder(types, 3)({ a: -1, b: 0b00010_11111 })).toEqual(record)
  })

  it('takes the members of unnamed structs as the own ones', () => {
    const inner = b.struct('', [
      { name: 'x', type: u8 },
      { name: 'y', type: u8 },
    ])
    const outer = b.struct('outer', [
      { name: 'z', type: u16 },
      { name: '', type: inner },
    ])
    expect(decoder(b.types, outer)(bytes(1, 0, 2, 3))).toEqual({ z: 1, x: 2, y: 3 })
    expect(encoder(b.types, outer)({ z: 1, x: 2, y: 3 })).toEqual(bytes(1, 0, 2, 3))
  })

  it('keeps a member called __proto__ a member', () => {
    const id = b.struct('odd', [{ name: '__proto__', type: u8 }])
    const value = decoder(b.types, id)(bytes(5))
    expect(Object.entries(value as object)).toEqual([['__proto__', 5]])
    expect(encoder(b.types, id)(value)).toEqual(bytes(5))
  })
})

describe('what does not fit', () => {
  const b = new TypeBuilder()
  const u16 = b.int('unsigned short', 2)
  const key = b.struct('key', [
    { name: 'name', type: b.array(b.int('char', 1, 'char'), 4) },
    { name: 'ports', type: b.array(u16, 2) },
  ])

  it.each<[Value, string]>([
    [{ ports: [1, 70000] }, 'ports[1] is 70000, but a whole number from 0 to 65535 is wanted'],
    [{ ports: [1, 1.5] }, 'ports[1] is 1.5, but a whole number from 0 to 65535 is wanted'],
    [{ ports: [1] }, 'ports is a list, but a list of 2 is wanted'],
    [{ name: 'grüß' }, 'name is "grüß", but text of at most 4 bytes is wanted'],
    [{ name: 'a\0b' }, 'name is "a\\u0000b", but text without a NUL character is wanted'],
    [{ port: 1 }, 'port is 1, but a member of struct key is wanted'],
    [7, 'the value is 7, but struct key is wanted'],
  ])('is refused (%#)', (value, message) => {
    expect(messageOf(() => encoder(b.types, key)(value))).toBe(message)
  })

  it('too few bytes are refused', () => {
    expect(messageOf(() => decoder(b.types, key)(new Uint8Array(7)))).toMatch(
      /7 bytes are too few for struct key, which has 8/,
    )
    expect(messageOf(() => decoder(b.types, key)(new Uint8Array(8), 1))).toMatch(/too few/)
  })

  it.each<[string, BtfType[]]>([
    ['a function', [{ kind: 'func_proto', ret: 0, params: [] }]],
    ['itself', [{ kind: 'struct', name: 's', size: 4, members: [{ name: 'a', type: 1, bitOffset: 0, bitSize: 0 }] }]],
    ['a circle of typedefs', [{ kind: 'typedef', name: 'a', type: 1 }]],
    [
      'beyond',
      [{ kind: 'struct', name: 's', size: 1, members: [{ name: 'a', type: 2, bitOffset: 8, bitSize: 0 }] }, U8()],
    ],
    [
      '2^32 nothings',
      [
        { kind: 'array', type: 2, index: 0, length: 0xffffffff },
        { kind: 'struct', name: '', size: 0, members: [] },
      ],
    ],
    ['a short address', [{ kind: 'typedef', name: 'waggle_ipv6', type: 2 }, U8()]],
  ])('a type that holds %s is refused', (_, types) => {
    expect(messageOf(() => decoder(types, 1))).not.toBe(undefined)
  })

  it('structs that double 40 times are refused, and soon', () => {
    const types: BtfType[] = Array.from({ length: 40 }, (_, i) => ({
      kind: 'struct',
      name: `s${i}`,
      size: 0,
      members: i === 0 ? [] : ['a', 'b'].map((name) => ({ name, type: i, bitOffset: 0, bitSize: 0 })),
    }))
    expect(messageOf(() => decoder(types, 40))).toMatch(/too deep/)
    expect(messageOf(() => decoder(types, 30))).toMatch(/more than 1048576 values/)
  })
})

describe('encode and decode', () => {
  it('are inverse for any type and value', () => {
    fc.assert(
      fc.property(typeAndValue(3), ({ build, value }) => {
        const b = new TypeBuilder()
        const id = build(b)
        expect(decoder(b.types, id)(encoder(b.types, id)(value))).toEqual(value)
      }),
      { numRuns: 300 },
    )
  })

  it('are inverse for IPv6 addresses, however they are written', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (address) => {
        expect(parseIpv6(formatIpv6(address))).toEqual(address)
      }),
    )
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        expect(parseIpv6(text)).toHaveLength(16)
      }),
    )
  })

  it.each(['1.2.3', '1.2.3.256', '01.2.3.4567', '', '1.2.3.4 '])('%j is no IPv4 address', (text) => {
    expect(parseIpv4(text)).toBeUndefined()
  })

  it.each([
    '',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '::12345',
    '1.2.3.4::',
    '1:2:3:4:5:6:7:8::',
  ])('%j is no IPv6 address', (text) => {
    expect(parseIpv6(text)).toBeUndefined()
  })

  it.each(['', '02:00:5e:10:00', '02-00-5e-10-00-01', '2:0:5e:10:0:1'])('%j is no MAC address', (text) => {
    expect(parseMac(text)).toBeUndefined()
  })
})

describe('texts of a value', () => {
  it.each<[Value, string]>([
    ['a b', 'a b'],
    [12345678901234567890n, '12345678901234567890'],
    [
      { saddr: '192.0.2.1', path: '/bin/true', comm: 'tmux: server', n: [1, 2n] },
      '{ saddr: 192.0.2.1, path: /bin/true, comm: "tmux: server", n: [1, 2] }',
    ],
    [{}, '{}'],
    [false, 'false'],
  ])('for a terminal (%#)', (value, text) => {
    expect(formatValue(value)).toBe(text)
  })

  it('for JSON: bigints as numbers where that is exact', () => {
    const value = { small: 7n, exact: 2n ** 53n - 1n, large: 2n ** 53n, list: [-5n, true], nothing: Number.NaN }
    expect(toJSON(value)).toEqual({
      small: 7,
      exact: 2 ** 53 - 1,
      large: '9007199254740992',
      list: [-5, true],
      nothing: null,
    })
  })
})

function U8(): BtfType {
  return { kind: 'int', name: 'u8', size: 1, encoding: 'unsigned', bits: 8, bitOffset: 0 }
}

function messageOf(run: () => unknown): string | undefined {
  try {
    run()
  } catch (error) {
    if (error instanceof Diagnostic) return error.message
    throw error
  }
  return undefined
}

interface Typed {
  readonly build: (b: TypeBuilder) => BtfId
  readonly value: Value
}

/** A type that a program may have in a map, and a value of it. */
function typeAndValue(depth: number): fc.Arbitrary<Typed> {
  const int = fc.constantFrom(1, 2, 4, 8).chain((size) =>
    fc.boolean().chain((signed) => {
      const bits = BigInt(size * 8)
      const number = signed
        ? fc.bigInt(-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n)
        : fc.bigInt(0n, (1n << bits) - 1n)
      return number.map((n) => ({
        build: (b: TypeBuilder) => b.int(`i${size}${signed}`, size, signed ? 'signed' : 'unsigned'),
        value: (size === 8 ? n : Number(n)) as Value,
      }))
    }),
  )
  const bool = fc
    .boolean()
    .map((value) => ({ build: (b: TypeBuilder) => b.int('_Bool', 1, 'bool'), value: value as Value }))
  const float = fc.double({ noNaN: true }).map((value) => ({
    build: (b: TypeBuilder) => b.add({ kind: 'float', name: 'double', size: 8 }),
    value: value as Value,
  }))
  const text = fc.string({ unit: 'grapheme', maxLength: 8 }).map((raw) => {
    const value = raw.replaceAll('\0', '')
    const length = new TextEncoder().encode(value).length
    return { build: (b: TypeBuilder) => b.array(b.int('char', 1, 'char'), length + 1), value: value as Value }
  })
  const named = fc.constantFrom('RED', 'GREEN').map((value) => ({
    build: (b: TypeBuilder) =>
      b.enum('colour', 4, [
        { name: 'RED', value: 0n },
        { name: 'GREEN', value: -3n },
      ]),
    value: value as Value,
  }))
  const address = fc.ipV4().map((value) => ({
    build: (b: TypeBuilder) => b.typedef('waggle_ipv4', b.int('u32', 4)),
    value: value as Value,
  }))
  const leaf: fc.Arbitrary<Typed> = fc.oneof(int, bool, float, text, named, address)
  if (depth === 0) return leaf
  const list = typeAndValue(0).chain(({ build, value }) =>
    fc.nat(4).map((length) => ({
      build: (b: TypeBuilder) => b.array(build(b), length),
      value: Array.from({ length }, () => value) as Value,
    })),
  )
  const struct = fc.array(typeAndValue(depth - 1), { maxLength: 5 }).map((parts) => ({
    build: (b: TypeBuilder) =>
      b.struct(
        's',
        parts.map((part, i) => ({ name: `m${i}`, type: part.build(b) })),
      ),
    value: Object.fromEntries(parts.map((part, i) => [`m${i}`, part.value])) as Value,
  }))
  return fc.oneof(leaf, list, struct)
}
