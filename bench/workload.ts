// The benchmark programs of bench/workload as ObjectSpecs: as much of ELF as clang's objects of them have, the maps that
// common.h declares, what the maps hold before the first run, and the packet.

import { readFileSync } from 'node:fs'
import { decode } from '../src/isa/codec.ts'
import type { Insn } from '../src/isa/insn.ts'
import type { FuncInfo, MapSpec, ObjectSpec, Relocation } from '../src/object/spec.ts'

/** Pure code, and programs that are mostly map operations. */
export const PURE = [
  'collatz',
  'siphash',
  'fnv',
  'prime',
  'sort',
  'switch',
  'csum',
  'memcpy',
  'parse',
  'calls',
] as const
export const MAPS = ['arrlk', 'hashlk', 'hashupd', 'hist', 'flow'] as const
export const PROGRAMS = ['empty', ...PURE, ...MAPS] as const

const bytes = (...values: readonly (readonly [value: number, size: 4 | 8])[]): Uint8Array =>
  Uint8Array.from(
    values.flatMap(([value, size]) =>
      Array.from({ length: size }, (_, i) => Number((BigInt(value) >> BigInt(8 * i)) & 0xffn)),
    ),
  )

const HEADER =
  '000102030405060708090a0b08004500 05ce000140004006 00000a0000010a000002 1f90005000000001000000015010ffff00000000'
const HEADER_SIZE = 54

/** 1,500 bytes: noise, an Ethernet, IPv4 and TCP header, and eight zeros that the programs rely on. */
export function packet(): Uint8Array {
  const data = new Uint8Array(1500)
  let x = 12345
  for (let i = 0; i < data.length; i++) {
    x = (Math.imul(x, 1103515245) + 12345) >>> 0
    data[i] = (x >>> 16) & 0xff
  }
  const digits = HEADER.replaceAll(' ', '')
  for (let i = 0; i < HEADER_SIZE; i++) data[i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16)
  data.fill(0, 1408, 1416)
  return data
}

const map = (name: string, type: MapSpec['type'], keySize: number, valueSize: number, maxEntries: number): MapSpec => ({
  name,
  type,
  keySize,
  valueSize,
  maxEntries,
  flags: 0,
})

function maps(): MapSpec[] {
  const filled = (count: number, keySize: 4 | 8): [Uint8Array, Uint8Array][] =>
    Array.from({ length: count }, (_, i) => [bytes([i, keySize]), bytes([i * 7 + 1, 8])])
  const data = packet()
  const flow = new Uint8Array(16)
  flow.set(data.subarray(26, 38))
  flow[12] = 6
  return [
    { ...map('arr', 'array', 4, 8, 1024), contents: filled(1024, 4) },
    { ...map('hsh', 'hash', 8, 8, 1024), contents: filled(512, 8) },
    map('hist', 'array', 4, 8, 64),
    map('buf', 'array', 4, 2048, 1),
    { ...map('flows', 'hash', 16, 16, 1024), contents: [[flow, new Uint8Array(16)]] },
  ]
}

interface Section {
  readonly name: string
  readonly bytes: Uint8Array
  readonly info: number
}

/** e_shoff, e_shentsize, e_shnum and e_shstrndx of the ELF header. */
const SECTIONS_AT = 0x28
const SECTION_SIZE_AT = 0x3a
/** Relocation types of BPF. */
const R_BPF_64_64 = 1
const R_BPF_64_32 = 10
const STT_FUNC = 2

/** The object of a program. Throws an Error if it is not as clang-14 made it. */
export function workload(name: (typeof PROGRAMS)[number]): ObjectSpec {
  const file = new Uint8Array(readFileSync(new URL(`workload/${name}.o`, import.meta.url)))
  const view = new DataView(file.buffer)
  const text = (table: Uint8Array, at: number): string =>
    new TextDecoder().decode(table.subarray(at, table.indexOf(0, at)))
  const size = view.getUint16(SECTION_SIZE_AT, true)
  const header = (index: number): DataView =>
    new DataView(file.buffer, Number(view.getBigUint64(SECTIONS_AT, true)) + index * size, size)
  const content = (at: DataView): Uint8Array => {
    const start = Number(at.getBigUint64(24, true))
    return file.subarray(start, start + Number(at.getBigUint64(32, true)))
  }
  const names = content(header(view.getUint16(SECTION_SIZE_AT + 4, true)))
  const sections: Section[] = Array.from({ length: view.getUint16(SECTION_SIZE_AT + 2, true) }, (_, i) => {
    const at = header(i)
    const nobits = at.getUint32(4, true) === 8
    return {
      name: text(names, at.getUint32(0, true)),
      bytes: nobits ? new Uint8Array() : content(at),
      info: at.getUint32(44, true),
    }
  })
  const named = (wanted: string): Section | undefined => sections.find((section) => section.name === wanted)
  const strings = named('.strtab')!.bytes
  const symbols = records(named('.symtab')!.bytes, 24, (at) => ({
    name: text(strings, at.getUint32(0, true)),
    type: at.getUint8(4) & 15,
    section: sections[at.getUint16(6, true)]?.name,
    slot: Number(at.getBigUint64(8, true)) / 8,
  }))
  const main = decode(named('xdp')!.bytes.slice())
  const rest = decode(named('.text')?.bytes.slice() ?? new Uint8Array())
  const insns: Insn[] = [...main, ...rest]
  const relocations: Relocation[] = []
  for (const { slot, symbol, type } of relocationsOf(named('.relxdp')?.bytes)) {
    const to = symbols[symbol]
    if (type === R_BPF_64_64) relocations.push({ insn: slot, kind: 'map', map: to.name })
    else if (type === R_BPF_64_32) insns[slot] = { ...insns[slot], imm: main.length + to.slot + insns[slot].imm - slot }
    else throw new Error(`${name}.o has a relocation of type ${type}`)
  }
  const functions: FuncInfo[] = [
    { insn: 0, name: 'entry' },
    ...symbols
      .filter((symbol) => symbol.type === STT_FUNC && symbol.section === '.text')
      .map(({ name, slot }) => ({ insn: main.length + slot, name })),
  ]
  const used = new Set(relocations.map((relocation) => relocation.map))
  const program = { name: 'entry', type: 'xdp', section: 'xdp', insns, functions, lines: [], relocations } as const
  return { name, license: 'GPL', programs: [program], maps: maps().filter((map) => used.has(map.name)), types: [] }
}

const records = <T>(bytes: Uint8Array, size: number, read: (at: DataView) => T): T[] =>
  Array.from({ length: bytes.length / size }, (_, i) =>
    read(new DataView(bytes.buffer, bytes.byteOffset + i * size, size)),
  )

const relocationsOf = (bytes: Uint8Array = new Uint8Array()): { slot: number; symbol: number; type: number }[] =>
  records(bytes, 16, (at) => ({
    slot: Number(at.getBigUint64(0, true)) / 8,
    symbol: at.getUint32(12, true),
    type: at.getUint32(8, true),
  }))
