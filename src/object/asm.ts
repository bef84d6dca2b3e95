// An object from assembly: one program, its maps and its licence, from a text that says of itself what it is, with
// three directives. The instructions are src/isa's; sections are named as libbpf names them
// (src/spec/progtypes.ts). Everything else that an object may have (types, several programs) wants a compiler.

import { Diagnostic, type Location } from '../diag/diagnostic.ts'
import { nearest } from '../diag/nearest.ts'
import { type Assembly, assembleProgram } from '../isa/assemble.ts'
import { rowOf } from '../isa/table.ts'
import { HELPER_IDS, MAP_TYPES } from '../spec/gen/uapi.ts'
import type { MapTypeName } from '../spec/names.ts'
import { PROG_ROWS, sectionOf } from '../spec/progtypes.ts'
import type { FuncInfo, MapSpec, ObjectSpec } from './spec.ts'

/** Ids by name, for calls by name: `call bpf_map_lookup_elem`. */
export const HELPERS_BY_NAME: ReadonlyMap<string, number> = new Map(Object.entries(HELPER_IDS))

/** What the directives of a text say, and the text with blank lines in their place, so that lines keep their numbers. */
interface Directives {
  readonly section?: { readonly name: string; readonly at: Location }
  readonly program?: string
  readonly license?: string
  readonly maps: readonly MapSpec[]
  readonly code: string
}

/** A line that begins with a dot and is no label, as `.L1:` would be. */
const DIRECTIVE = /^\s*(\.[A-Za-z_]\w*)(?!\s*:)(?:\s+(.*))?$/
const COMMENT = /(?:\/\/|[;#]).*$/
/** What a program, a map and a function may be called: BPF_OBJ_NAME_LEN allows these characters. */
const NAME = /^[A-Za-z_.][\w.]*$/

/**
 * The object that an assembly text describes, of one program. `file` is for messages, and its base name is the
 * program's unless `.section` gives one. Throws a Diagnostic with the line that is wrong.
 */
export function readAssembly(text: string, file: string): ObjectSpec {
  const directives = readDirectives(text, file)
  const assembly = assembleProgram(directives.code, { file, helpers: HELPERS_BY_NAME })
  const { section } = directives
  if (!section) throw noSection(file)
  const found = sectionOf(section.name, PROG_ROWS)
  if (!found) throw unknownSection(section.name, section.at)
  if (assembly.insns.length === 0) throw empty(file)
  const stem = nameFrom(file)
  const name = directives.program ?? stem
  checkMaps(assembly, directives.maps)
  return {
    name: stem,
    license: directives.license ?? '',
    programs: [
      {
        name,
        type: found.row.name,
        section: section.name,
        ...(found.target !== undefined && { target: found.target }),
        insns: assembly.insns,
        functions: functionsOf(assembly, name),
        lines: assembly.lines,
        relocations: assembly.relocations,
      },
    ],
    maps: directives.maps,
    types: [],
  }
}

/** The text without its directives, each line at its place; for whoever wants the instructions only. Throws as `readAssembly`. */
export const withoutDirectives = (text: string, file: string): string => readDirectives(text, file).code

/** A directive's words, and the line that they stand in. */
interface Words {
  readonly words: readonly string[]
  readonly at: Location
}

/** By directive: what it wants after it, and what it adds. */
const READ: Readonly<Record<string, { wants: string; read: (words: Words, out: Mutable) => boolean }>> = {
  '.section': {
    wants: '.section xdp, or .section xdp NAME',
    read: ({ words: [section, program, ...rest], at }, out) => {
      if (section === undefined || rest.length > 0 || !(program === undefined || NAME.test(program))) return false
      out.section = { name: section.replace(/^"(.*)"$/, '$1'), at }
      out.program = program
      return true
    },
  },
  '.license': {
    wants: '.license GPL',
    read: ({ words }, out) => {
      out.license = words.join(' ').replace(/^"(.*)"$/, '$1')
      return words.length > 0
    },
  },
  '.map': {
    wants: '.map NAME TYPE KEY-BYTES VALUE-BYTES ENTRIES [FLAGS], as .map counts hash 4 8 1024',
    read: (line, out) => {
      const map = readMap(line)
      if (map && out.maps.some(({ name }) => name === map.name)) throw twice(map.name, line.at)
      if (map) out.maps.push(map)
      return map !== undefined
    },
  },
}

interface Mutable {
  section?: { name: string; at: Location }
  program?: string
  license?: string
  readonly maps: MapSpec[]
}

function readDirectives(text: string, file: string): Directives {
  const out: Mutable = { maps: [] }
  const code = text.split(/\r\n|\n|\r/).map((line, index) => {
    const found = DIRECTIVE.exec(line)
    if (!found) return line
    const [, directive, rest = ''] = found
    const column = line.indexOf('.') + 1
    const at: Location = { file, line: index + 1, column, length: directive.length, text: line }
    const row = READ[directive]
    if (!row) throw unknownDirective(directive, at)
    const words = rest.replace(COMMENT, '').trim().split(/\s+/)
    if (!row.read({ words: words[0] === '' ? [] : words, at }, out)) throw malformed(directive, row.wants, at)
    return ''
  })
  return { ...out, code: code.join('\n') }
}

/** Undefined if the words are not a map. */
function readMap({ words, at }: Words): MapSpec | undefined {
  const [name, type, ...numbers] = words
  if (numbers.length < 3 || numbers.length > 4 || !NAME.test(name)) return undefined
  if (!numbers.every((text) => /^(?:0x[0-9a-f]+|\d+)$/i.test(text) && Number(text) < 2 ** 32)) return undefined
  if (!(type in MAP_TYPES)) throw unknownMapType(type, at)
  const [keySize, valueSize, maxEntries, flags = 0] = numbers.map(Number)
  return { name, type: type as MapTypeName, keySize, valueSize, maxEntries, flags }
}

/** Every map that an instruction names must have its `.map`. */
function checkMaps({ relocations, lines }: Assembly, maps: readonly MapSpec[]): void {
  const names = maps.map(({ name }) => name)
  for (const { insn, map } of relocations) {
    if (names.includes(map)) continue
    const line = lines.find((each) => each.insn === insn)
    const [close] = nearest(map, names, 1)
    throw new Diagnostic({
      code: 'object/no-such-map',
      message: `there is no map '${map}'`,
      at: line && { ...line, column: Math.max(1, line.text.indexOf(map) + 1), length: map.length },
      help: close ? `did you mean ${close}?` : `declare it: .map ${map} hash 4 8 1024`,
    })
  }
}

/** The entry, and what local calls go to, by their labels. */
function functionsOf({ insns, labels }: Assembly, entry: string): FuncInfo[] {
  const names = new Map([...labels].map(([name, slot]) => [slot, name]))
  const targets = new Set<number>()
  insns.forEach((insn, slot) => {
    const row = rowOf(insn)
    if (row?.name === 'call_local' || row?.name === 'lddw_func') targets.add(slot + 1 + insn.imm)
  })
  const inside = [...targets].filter((slot) => slot > 0 && slot < insns.length).sort((a, b) => a - b)
  return [{ insn: 0, name: entry }, ...inside.map((insn) => ({ insn, name: names.get(insn) ?? `func_${insn}` }))]
}

/** `probes/drop-all.asm` is `drop_all`. */
function nameFrom(file: string): string {
  const stem = /([^/\\]*?)(?:\.\w+)?$/.exec(file)?.[1] ?? ''
  const name = stem.replace(/\W/g, '_').slice(0, 15)
  return /^[A-Za-z_]/.test(name) ? name : `_${name}`.slice(0, 15)
}

// Errors.

const noSection = (file: string): Diagnostic =>
  new Diagnostic({
    code: 'object/no-section',
    message: `${file} does not say what kind of program it is`,
    help: 'put a directive before the first instruction, as libbpf names sections: .section xdp',
  })

const empty = (file: string): Diagnostic =>
  new Diagnostic({
    code: 'object/no-instructions',
    message: `${file} has no instructions`,
    help: 'the shortest program is two: r0 = 0, then exit',
  })

function unknownSection(name: string, at: Location): Diagnostic {
  const sections = PROG_ROWS.flatMap(({ sections: all }) => all)
  const close = nearest(name, sections)
  return new Diagnostic({
    code: 'object/unknown-section',
    message: `no program type has a section '${name}'`,
    at: { ...at, column: (at.text?.indexOf(name) ?? 0) + 1, length: name.length },
    help:
      close.length > 0
        ? `did you mean ${close.join(' or ')}?`
        : `these are known: ${PROG_ROWS.map((row) => row.sections[0]).join(', ')}`,
  })
}

function unknownDirective(directive: string, at: Location): Diagnostic {
  const [close] = nearest(directive, Object.keys(READ), 1)
  return new Diagnostic({
    code: 'object/unknown-directive',
    message: `there is no directive ${directive}`,
    at,
    help: `${close ? `did you mean ${close}? ` : ''}there are ${Object.keys(READ).join(', ')}; a label ends in a colon`,
  })
}

const malformed = (directive: string, wants: string, at: Location): Diagnostic =>
  new Diagnostic({
    code: 'object/directive',
    message: `this is not how ${directive} is written`,
    at: { ...at, length: at.text?.trimEnd().length },
    help: `write ${wants}`,
  })

function unknownMapType(type: string, at: Location): Diagnostic {
  const close = nearest(type, Object.keys(MAP_TYPES))
  return new Diagnostic({
    code: 'object/unknown-map-type',
    message: `there is no map type '${type}'`,
    at: { ...at, column: (at.text?.indexOf(` ${type}`) ?? 0) + 2, length: type.length },
    help:
      close.length > 0
        ? `did you mean ${close.join(' or ')}?`
        : 'map types are named as in bpftool: hash, array, ringbuf',
  })
}

const twice = (name: string, at: Location): Diagnostic =>
  new Diagnostic({
    code: 'object/duplicate-map',
    message: `there are two maps '${name}'`,
    at,
    help: 'give the second another name',
  })
