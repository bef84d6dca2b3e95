// A tracepoint's record: how its fields are read in kernel code, and what the type checker is told about
// it. The format is the platform's, from tracefs (Documentation/trace/events.rst, "Event formats").

import { Diagnostic } from '../diag/diagnostic.ts'
import { nearest } from '../diag/nearest.ts'
import type { Platform } from '../spec/platform.ts'
import type { TracepointField, TracepointFormat } from '../spec/tracepoint.ts'
import type { Flow } from './flow.ts'
import type { Node } from './ir.ts'
import { type IntType, int } from './ktype.ts'
import type { Operand } from './operand.ts'
import type { Report } from './report.ts'
import type { ProgramEntity } from './scope.ts'

/** The format of the program's tracepoint. Throws a Diagnostic with the nearest names if there is none. */
export function formatOf(program: ProgramEntity, platform: Platform, report: Report): TracepointFormat {
  const target = program.target ?? ''
  const format = platform.tracepoint(target)
  if (format) return format
  const missing = platform.noTracepoints?.()
  if (missing) {
    const { code, message, help, errno } = missing
    throw new Diagnostic({ code, message, at: report.location(program.targetSpan), help, errno, cause: missing })
  }
  const near = nearest(target, platform.tracepoints())
  const help =
    near.length > 0
      ? `did you mean ${near.map((name) => `'${name}'`).join(' or ')}?`
      : 'a tracepoint is named category/name, as sched/sched_process_exec'
  throw report.error(
    program.targetSpan,
    'unknown-tracepoint',
    `${platform.description} has no tracepoint '${target}'`,
    help,
  )
}

/** Text that tells the checker the exact record of each tracepoint: to be added to the surface. */
export function declareRecords(formats: readonly TracepointFormat[]): string {
  if (formats.length === 0) return ''
  const records = formats.map(({ category, name, fields }) => {
    const members = fields.map(
      (field) => `    /** ${field.type} */\n    readonly ${field.name}: ${typescriptType(field)}`,
    )
    return `  '${category}/${name}': {\n${members.join('\n')}\n  }`
  })
  return `\nexport interface Tracepoints {\n${records.join('\n')}\n}\n`
}

const isString = (field: TracepointField): boolean => field.kind !== 'scalar' && /\bchar\b/.test(field.type)
const integer = (field: TracepointField): IntType | undefined =>
  field.kind === 'scalar' && (field.size === 1 || field.size === 2 || field.size === 4 || field.size === 8)
    ? int((field.size * 8) as IntType['bits'], field.signed)
    : undefined

function typescriptType(field: TracepointField): string {
  if (isString(field)) return 'string'
  const type = integer(field)
  return type ? `${type.signed ? 'i' : 'u'}${type.bits}` : 'unknown'
}

/** The field as an operand; undefined if it is there but of a kind that kernel code cannot read. */
export function readField(flow: Flow, ctx: Node, field: TracepointField): Operand | undefined {
  const type = integer(field)
  if (type) return flow.loadInt(type, ctx, field.offset, true)
  if (!isString(field)) return undefined
  return {
    kind: 'fill',
    what: field.name,
    size: undefined,
    write: (base, offset, size) => {
      const from = field.kind === 'array' ? flow.plus(ctx, field.offset) : dynamic(flow, ctx, field)
      flow.call('probe_read_kernel_str', flow.plus(base, offset), flow.const(size), from)
    },
  }
}

/** __data_loc: the low half of the word is the offset of the data from the start of the record. */
function dynamic(flow: Flow, ctx: Node, field: TracepointField): Node {
  const word = flow.load(4, ctx, field.offset, true)
  return flow.bin('add', ctx, flow.bin('and', word, flow.const(0xffff)))
}
