// For the tests of this folder: compiles a text with the real declarations; puts IR through the back end, and says
// what it means by evaluating it directly.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { binOp, condition, extend, swap } from '../isa/concrete.ts'
import type { MapSpec, ObjectSpec } from '../object/spec.ts'
import { linux, type TracepointSource } from '../spec/linux.ts'
import { type Emitted, emit } from './emit.ts'
import { type CompileResult, compile } from './index.ts'
import type { Block, Builder, Node, Variable } from './ir.ts'
import { layout } from './layout.ts'
import type { LowProgram } from './low.ts'
import { optimize } from './opt.ts'
import { type Allocation, allocate } from './regalloc.ts'
import { select } from './select.ts'
import { toSsa } from './ssa.ts'

const read = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8')

/** The part of the record that the tests need, in the words of tracefs. */
const EXEC = `name: sched_process_exec
ID: 311
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:__data_loc char[] filename;	offset:8;	size:4;	signed:0;
	field:pid_t pid;	offset:12;	size:4;	signed:1;
	field:pid_t old_pid;	offset:16;	size:4;	signed:1;

print fmt: "filename=%s"
`
const tracepoints: TracepointSource = {
  format: (target) => (target === 'sched/sched_process_exec' ? EXEC : undefined),
  list: () => ['sched/sched_process_exec', 'sched/sched_switch'],
}
export const platform = linux({ version: [6, 18], tracepoints })

const loadTypeScript = async (): Promise<typeof import('typescript')> =>
  createRequire(import.meta.url)('typescript') as typeof import('typescript')

export const compileText = (text: string, file = 'probe.ts'): Promise<CompileResult> =>
  compile({
    file,
    text,
    platform,
    declarations: { lib: read('lib.d.ts'), surface: read('surface.ts') },
    typescript: loadTypeScript,
  })

/** The object, where the text must compile. */
export async function objectOf(text: string): Promise<ObjectSpec> {
  const { spec, diagnostics } = await compileText(text)
  if (!spec) throw new Error(diagnostics.map((diagnostic) => diagnostic.render()).join('\n'))
  return spec
}

/** What is wrong with a text, as a person reads it. */
export async function complaints(text: string): Promise<string> {
  const { diagnostics } = await compileText(text)
  return diagnostics.map((diagnostic) => diagnostic.render()).join('\n')
}

/** Everything behind lowering: the instructions, and what led to them. */
export function backEnd(builder: Builder, frame = 0): Emitted & { low: LowProgram; allocation: Allocation } {
  toSsa(builder)
  optimize(builder)
  const low = select(builder)
  const allocation = allocate(low)
  layout(low, allocation)
  const lineAt = () => ({ file: 'ir', line: 1, column: 1, text: '' })
  return { ...emit(low, allocation, { frame, far: true, lineAt }), low, allocation }
}

/** An object with one XDP program, and maps `in` and `out` of one value of 8 bytes a word. */
export function objectOfIr(
  { insns, relocations, lines }: Emitted,
  inputs: readonly bigint[],
  outputs: number,
): ObjectSpec {
  const bytes = new DataView(new ArrayBuffer(inputs.length * 8))
  inputs.forEach((value, i) => {
    bytes.setBigInt64(i * 8, value, true)
  })
  const map = (name: string, words: number): MapSpec => ({
    name,
    type: 'array',
    keySize: 4,
    valueSize: words * 8,
    maxEntries: 1,
    flags: 0,
  })
  return {
    name: 'ir',
    license: 'GPL',
    programs: [
      { name: 'run', type: 'xdp', section: 'xdp', insns, functions: [{ insn: 0, name: 'run' }], lines, relocations },
    ],
    maps: [
      { ...map('in', inputs.length), contents: [[new Uint8Array(4), new Uint8Array(bytes.buffer)]] },
      map('out', outputs),
    ],
    types: [],
  }
}

/** What the blocks that lowering made mean, variables and all: the words of the map `out` at the exit. */
export function evaluate(
  builder: Builder,
  inputs: readonly bigint[],
  outputs: number,
  helpers: Readonly<Record<string, bigint>>,
): bigint[] {
  const values = new Map<Node, bigint>()
  const variables = new Map<Variable, bigint>()
  const out = Array.from({ length: outputs }, () => 0n)
  const of = (node: Node): bigint => values.get(node) as bigint
  const word = (node: Node): number => {
    if (node.operation.op !== 'mapValue') throw new Error('memory that is no map')
    return node.operation.offset / 8
  }
  const value = ({ operation, args }: Node): bigint => {
    switch (operation.op) {
      case 'const':
        return BigInt.asUintN(64, operation.value)
      case 'bin':
        return binOp(operation.bin, operation.width, of(args[0]), of(args[1]))
      case 'extend':
        return extend(operation.signed, operation.from, 64, of(args[0]))
      case 'swap':
        return swap('be', operation.bits, of(args[0]))
      case 'load':
        return BigInt.asUintN(64, inputs[word(args[0])])
      case 'store':
        out[word(args[0])] = of(args[1])
        return 0n
      case 'call':
        return helpers[operation.helper]
      case 'get':
        return variables.get(operation.variable) ?? 0n
      case 'set':
        variables.set(operation.variable, of(args[0]))
        return 0n
      default:
        return 0n
    }
  }
  for (let block: Block | undefined = builder.graph.blocks[0]; block; ) {
    for (const node of block.nodes) values.set(node, value(node))
    const end: Block['end'] = block.end
    if (end?.op === 'branch') block = condition(end.cond, 64, of(end.a), of(end.b)) ? end.yes : end.no
    else block = end?.op === 'jump' ? end.to : undefined
  }
  return out
}
