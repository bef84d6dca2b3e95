// waggle asm: assembly to the bytes of a program and back.

import { readFileSync, writeFileSync } from 'node:fs'
import { Diagnostic } from '../diag/diagnostic.ts'
import { assembleProgram } from '../isa/assemble.ts'
import { decode, encode, INSN_SIZE, validate } from '../isa/codec.ts'
import { disassemble } from '../isa/disassemble.ts'
import type { Insn } from '../isa/insn.ts'
import { HELPERS_BY_NAME, withoutDirectives } from '../object/asm.ts'
import { unreadable } from '../sdk/source.ts'
import { type Arguments, type Command, lastValue, misuse } from './command.ts'
import { DIALECT_OPTION, readDialect } from './dialect.ts'
import { unwritable } from './sink.ts'

/** Its descriptor. Asking process.stdin for it would make it a stream, which may not be read at once. */
const STDIN = 0

const FORMATS = ['hex', 'c', 'raw', 'text', 'json'] as const
type Format = (typeof FORMATS)[number]

export const asm: Command = {
  name: 'asm',
  summary: 'assemble eBPF instructions, or disassemble them',
  synopsis: ['waggle asm [FILE] [OPTION ...]', 'waggle asm --disassemble [FILE] [OPTION ...]'],
  description: [
    'Reads assembly from FILE, or from standard input where there is none or it is -, and prints the bytes of the ' +
      'program, 8 for each slot, little-endian. Both notations are read, also mixed: that of clang, bpftool and the ' +
      "kernel's log (r0 = *(u32 *)(r1 + 4)) and that of the conformance vectors (ldxw %r0, [%r1+4]). Labels stand " +
      'before a colon, helpers are called by name or number, and comments begin with ;, # or //. What bpftool, ' +
      "llvm-objdump and the kernel's log print can be pasted as it is.",
    'With --disassemble it goes the other way: the input is the raw bytes of a program, or the same in hexadecimal ' +
      'digits, with blanks, commas and 0x between them or not, or an array as --format c prints it.',
    'Directives (see waggle prog dump --help) are passed over. The bytes of a program have no names of maps in them: ' +
      'where an instruction names one, text and json can be printed, and nothing else.',
  ],
  options: [
    { name: 'disassemble', help: 'Read bytes and print instructions.' },
    {
      name: 'output',
      short: 'o',
      value: 'FILE',
      help: 'Write to this file instead of standard output; raw bytes if no format is given.',
    },
    {
      name: 'format',
      short: 'f',
      value: 'FORMAT',
      help:
        'hex, a slot a line; c, an array of unsigned char; raw bytes; text, the instructions as they are read back; json. ' +
        'hex if not given; with --disassemble, text.',
    },
    { name: 'json', help: 'The same as --format json; errors are JSON too.' },
    DIALECT_OPTION,
  ],
  examples: [
    { command: 'waggle asm drop.asm -o drop.bin', help: 'Raw bytes, for a loader of your own.' },
    { command: 'waggle asm drop.asm --format c', help: 'An array for a C file.' },
    { command: "echo 'r0 = 2; exit' | tr ';' '\\n' | waggle asm", help: 'Two instructions as hexadecimal digits.' },
    { command: 'waggle asm --disassemble drop.bin', help: 'And back.' },
    {
      command: 'waggle asm --disassemble --dialect vector drop.bin',
      help: 'In the notation of the conformance vectors.',
    },
  ],
  run: async (args) => {
    if (args.positionals.length > 1) throw misuse(asm, 'waggle asm wants one file')
    const [file = '-'] = args.positionals
    const program = args.flags.has('disassemble') ? fromBytes(file) : fromText(file)
    const output = lastValue(args, 'output')
    const rendered = render(program, formatOf(args, output), args)
    if (output !== undefined && output !== '-') write(output, rendered)
    else process.stdout.write(rendered)
    return 0
  },
}

interface Program {
  readonly insns: readonly Insn[]
  /** By slot: the maps that are known by their name. */
  readonly maps: ReadonlyMap<number, string>
  /** Why it has no bytes yet. */
  readonly open?: Diagnostic
}

function fromText(file: string): Program {
  const name = file === '-' ? 'stdin' : file
  const text = withoutDirectives(new TextDecoder().decode(read(file)), name)
  const { insns, relocations, lines } = assembleProgram(text, { file: name, helpers: HELPERS_BY_NAME })
  const maps = new Map(relocations.map(({ insn, map }) => [insn, map]))
  const [first] = relocations
  const open =
    first &&
    new Diagnostic({
      code: 'isa/map-by-name',
      message: `the map '${first.map}' is known by its name only, and bytes have no names`,
      at: lines.find(({ insn }) => insn === first.insn),
      help: 'write its number, as in `r1 = map[fd:3] ll`, or print --format text or json',
    })
  return { insns, maps, open }
}

function fromBytes(file: string): Program {
  const bytes = read(file)
  const insns = decode(fromHex(bytes) ?? bytes)
  const broken = validate(insns)
  if (broken) throw broken
  return { insns, maps: new Map() }
}

/** An array as `--format c` prints it. */
const C_ARRAY = /^[\w\s[\]]+=\s*\{([^}]*)\}\s*;?\s*$/

/** The bytes that hexadecimal digits stand for; undefined if this is no such text. */
function fromHex(input: Uint8Array): Uint8Array | undefined {
  const text = new TextDecoder('latin1').decode(input)
  const words = (C_ARRAY.exec(text)?.[1] ?? text).split(/[\s,]+/).filter((word) => word !== '')
  if (!words.every((word) => /^(?:0x|\\x)?(?:[0-9a-f]{2})+$/i.test(word))) return undefined
  const digits = words.map((word) => word.replace(/^(?:0x|\\x)/i, '')).join('')
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}

function formatOf(args: Arguments, output: string | undefined): Format {
  const fallback = args.flags.has('disassemble') ? 'text' : output === undefined ? 'hex' : 'raw'
  const name = args.flags.has('json') ? 'json' : (lastValue(args, 'format') ?? fallback)
  const format = FORMATS.find((each) => each === name)
  if (format === undefined) throw misuse(asm, `--format is ${FORMATS.join(', ')}, not '${name}'`)
  return format
}

function render(program: Program, format: Format, args: Arguments): string | Uint8Array {
  const { insns, maps, open } = program
  const dialect = readDialect(asm, args)
  const text = (): string =>
    insns.length === 0
      ? ''
      : disassemble(insns, {
          dialect,
          mapName: (slot) => maps.get(slot),
          callName: (kind, id) => (kind === 'helper' ? HELPER_NAMES.get(id) : undefined),
        })
  if (format === 'text') return `${text()}\n`
  if (format === 'json') {
    const slots = insns.map((insn, slot) => ({ ...insn, map: maps.get(slot) }))
    return `${JSON.stringify({ insns: slots, text: text().split('\n'), hex: open ? undefined : hex(encode(insns)) })}\n`
  }
  if (open) throw open
  const bytes = encode(insns)
  if (format === 'raw') return bytes
  const slots = Array.from(insns, (_, i) => bytes.subarray(i * INSN_SIZE, (i + 1) * INSN_SIZE))
  if (format === 'hex') return slots.map((slot) => `${hex(slot, ' ')}\n`).join('')
  const rows = slots.map((slot) => `  ${Array.from(slot, (byte) => `0x${twoDigits(byte)},`).join(' ')}\n`)
  return `static const unsigned char program[] = {\n${rows.join('')}};\n`
}

const HELPER_NAMES: ReadonlyMap<number, string> = new Map([...HELPERS_BY_NAME].map(([name, id]) => [id, name]))

const twoDigits = (byte: number): string => byte.toString(16).padStart(2, '0')
const hex = (bytes: Uint8Array, between = ''): string => Array.from(bytes, twoDigits).join(between)

function read(file: string): Uint8Array {
  try {
    return readFileSync(file === '-' ? STDIN : file)
  } catch (cause) {
    throw unreadable(file, cause)
  }
}

function write(file: string, content: string | Uint8Array): void {
  try {
    writeFileSync(file, content)
  } catch (cause) {
    throw unwritable(file, cause)
  }
}
