// For the tests of this folder: compiles a text with the real declarations and runs it on the user engine.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { ObjectSpec } from '../object/spec.ts'
import { linux, type TracepointSource } from '../spec/linux.ts'
import { type CompileResult, compile } from './index.ts'

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
