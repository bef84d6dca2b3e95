// A tracepoint's record as tracefs describes it in events/CATEGORY/NAME/format
// (Documentation/trace/events.rst, "Event formats"), and its parser. The text is the kernel's:
//
//     name: sched_process_exec
//     ID: 318
//     format:
//             field:unsigned short common_type;  offset:0;  size:2;  signed:0;
//             …
//             field:__data_loc char[] filename;  offset:8;  size:4;  signed:0;
//             field:char comm[16];  offset:12;  size:16;  signed:0;
//
//     print fmt: …

import { Diagnostic } from '../diag/diagnostic.ts'

export interface TracepointField {
  readonly name: string
  /** The C type as printed: `pid_t`, `char[16]`, `__data_loc char[]`. */
  readonly type: string
  /** Bytes from the start of the record. */
  readonly offset: number
  readonly size: number
  readonly signed: boolean
  /** `array`: `size` bytes of elements (a string if of char); `dynamic`: a u32, offset in the low and length in the high half. */
  readonly kind: 'scalar' | 'array' | 'dynamic'
  /** A dynamic field whose offset counts from the end of the field itself (__rel_loc), not from the start of the record. */
  readonly relative?: boolean
}

export interface TracepointFormat {
  readonly category: string
  readonly name: string
  readonly id: number
  /** In order of offset, the common_* fields included. */
  readonly fields: readonly TracepointField[]
  /** Bytes of the fixed part. */
  readonly size: number
}

/** No record is larger (PERF_MAX_TRACE_SIZE, include/linux/trace_events.h), so no field lies beyond. */
const LARGEST_RECORD = 8192

/**
 * Reads the text of a tracefs format file. `target` is the tracepoint's `category/name`. Throws a Diagnostic
 * (`spec/tracepoint-format`) that quotes the line where the text is not of that form.
 */
export function parseTracepointFormat(text: string, target: string): TracepointFormat {
  const slash = target.indexOf('/')
  const lines = text.split('\n')
  let name: string | undefined
  let id: number | undefined
  const fields: TracepointField[] = []
  for (const [i, line] of lines.entries()) {
    const bad = (message: string): Diagnostic => malformed(target, message, i, line)
    const [, key, rest] = /^\s*(name|ID|format|field|print fmt):(.*)$/.exec(line) ?? []
    if (key === 'name') name = rest.trim()
    else if (key === 'ID') id = parseId(rest, bad)
    else if (key === 'field') fields.push(parseField(rest, bad))
    else if (key === 'print fmt') break
    else if (key === undefined && line.trim() !== '') throw bad('a line that is none of name, ID, format, field')
  }
  if (name === undefined || name === '') throw malformed(target, 'it has no name')
  if (id === undefined) throw malformed(target, 'it has no ID')
  if (fields.length === 0) throw malformed(target, 'it has no fields')
  fields.sort((a, b) => a.offset - b.offset)
  const size = Math.max(...fields.map((field) => field.offset + field.size))
  return { category: slash < 0 ? '' : target.slice(0, slash), name, id, fields, size }
}

function parseId(text: string, bad: (message: string) => Diagnostic): number {
  if (!/^\s*\d{1,9}\s*$/.test(text)) throw bad('an ID that is not a number')
  return Number(text)
}

/** `unsigned short common_type;  offset:0;  size:2;  signed:0;` */
function parseField(text: string, bad: (message: string) => Diagnostic): TracepointField {
  const parts = /^([^;]+);\s*offset:(\d+);\s*size:(\d+);(?:\s*signed:(-?\d+);)?\s*$/.exec(text)
  if (parts === null) throw bad('a field that does not say offset and size')
  const [offset, size] = [Number(parts[2]), Number(parts[3])]
  if (offset + size > LARGEST_RECORD) throw bad(`a field beyond ${LARGEST_RECORD} bytes`)
  // A size of zero is kept: flexible arrays at the end of a record have it.
  const declaration = /^(.*?[\s*\])])\s*([A-Za-z_]\w*)\s*((?:\[[^\]]*\]\s*)*)$/.exec(parts[1].trim())
  if (declaration === null) throw bad('a field without type and name')
  const type = declaration[1].trim()
  const array = declaration[3].trim()
  const dynamic = /^__(data|rel)_loc\b/.test(type)
  if (dynamic && size !== 4) throw bad('a __data_loc field that is not 4 bytes')
  return {
    name: declaration[2],
    type: `${type}${array}`,
    offset,
    size,
    signed: parts[4] !== undefined && Number(parts[4]) !== 0,
    kind: dynamic ? 'dynamic' : array !== '' || isWide(size) ? 'array' : 'scalar',
    ...(/^__rel_loc\b/.test(type) && { relative: true }),
  }
}

/** A struct or the like, which is no number: bytes to a program. */
const isWide = (size: number): boolean => size !== 1 && size !== 2 && size !== 4 && size !== 8

function malformed(target: string, message: string, index?: number, line?: string): Diagnostic {
  const at = index !== undefined &&
    line !== undefined && {
      at: { file: `events/${target}/format`, line: index + 1, column: 1, length: Math.max(1, line.length), text: line },
    }
  return new Diagnostic({
    code: 'spec/tracepoint-format',
    message: `the description of tracepoint ${target} can't be read: ${message}`,
    ...at,
    help: 'It comes from tracefs, /sys/kernel/tracing/events/CATEGORY/NAME/format.',
  })
}
