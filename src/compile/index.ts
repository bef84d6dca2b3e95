// The compiler: the text of a probe file in, an ObjectSpec out. It asks nothing of the machine it runs on:
// the platform, the declarations for the type checker and, where wanted, the TypeScript package are given.

import { TypeBuilder } from '../btf/build.ts'
import { Diagnostic } from '../diag/diagnostic.ts'
import type { MapSpec, ObjectSpec, ProgramSpec } from '../object/spec.ts'
import type { Platform } from '../spec/platform.ts'
import type { TracepointFormat } from '../spec/tracepoint.ts'
import { CONFIG_MAP } from './access.ts'
import { btfOf, configSection, lostSection } from './btf.ts'
import { judge } from './findings.ts'
import { generate } from './generate.ts'
import { sizeOf } from './ktype.ts'
import { lower } from './lower.ts'
import { LOST_MAP, type Losses } from './mapop.ts'
import { declareRecords, formatOf } from './record.ts'
import { Report } from './report.ts'
import { type ConfigEntity, type MapEntity, type ProgramEntity, Scope } from './scope.ts'
import { loadFrontEnd, type TypeScriptLoader } from './typescript.ts'

/** BPF_F_RDONLY_PROG of bpf(2): programs may only read it. */
const RDONLY_PROG = 128

export interface CompileInput {
  /** For messages and line info. */
  readonly file: string
  readonly text: string
  /** What it is compiled for: tracepoints and helpers are looked up here. */
  readonly platform: Platform
  /** Texts for the type checker: src/compile/lib.d.ts and src/compile/surface.ts. */
  readonly declarations: { readonly lib: string; readonly surface: string }
  /** Loads the TypeScript package, where the caller has a faster way than `import('typescript')`. */
  readonly typescript?: TypeScriptLoader
}

export interface CompileResult {
  /** Absent if there are diagnostics. */
  readonly spec?: ObjectSpec
  readonly diagnostics: readonly Diagnostic[]
}

/** Compiles a probe file. What is wrong with the file is in `diagnostics`; nothing is thrown for it. */
export async function compile(input: CompileInput): Promise<CompileResult> {
  const { file, text, platform } = input
  const frontEnd = await loadFrontEnd(input.typescript)
  const report = new Report(file, text)
  const { module, findings: syntax } = frontEnd.parse(text)
  if (syntax.length > 0) return { diagnostics: judge(syntax, [], [], report) }

  const scope = new Scope(module, report)
  const { maps, configs, programs, license } = scope.all()
  const formats = new Map<ProgramEntity, TracepointFormat>()
  const losses = new LossCounters()
  const lowered: { program: ProgramEntity; result: ReturnType<typeof lower> }[] = []
  for (const program of programs) {
    report.attempt(() => {
      if (program.type === 'tracepoint') formats.set(program, formatOf(program, platform, report))
      const format = formats.get(program)
      lowered.push({ program, result: lower({ program, format, scope, report, platform, losses }) })
    })
  }
  if (programs.length === 0 && report.found.length === 0) {
    const help = "export const onExec = tracepoint('sched/sched_process_exec', (ctx) => { … })"
    report.add(new Diagnostic({ code: 'compile/no-program', message: `${file} declares no program`, help }))
  }

  const unique = [
    ...new Map([...formats.values()].map((format) => [`${format.category}/${format.name}`, format])).values(),
  ]
  const surface = input.declarations.surface + declareRecords(unique)
  const spans = [...lowered.flatMap(({ result }) => result.copied.spans), ...scope.declarationSpans()]
  const diagnostics = judge(frontEnd.check(input.declarations.lib, surface), report.found, spans, report)
  if (diagnostics.length > 0) return { diagnostics }

  const types = new TypeBuilder()
  const made: ProgramSpec[] = []
  for (const { program, result } of lowered) {
    report.attempt(() => made.push(generate(program, result, { report, types, platform })))
  }
  if (report.found.length > 0) return { diagnostics: report.found }
  const spec: ObjectSpec = {
    name: objectName(file),
    license,
    programs: made,
    maps: [...maps.map((map) => mapSpec(map, types)), ...internalMaps(configs, losses, types)],
    types: types.types,
  }
  return { spec, diagnostics: [] }
}

/** The file's name without folders and extension, as libbpf names objects. */
function objectName(file: string): string {
  const base = file.split(/[/\\]/).at(-1) ?? file
  return base.replace(/\.[^.]*$/, '').replaceAll(/[^A-Za-z0-9_]/g, '_') || 'probe'
}

function mapSpec(map: MapEntity, types: TypeBuilder): MapSpec {
  const ring = map.type === 'ringbuf'
  const valueType = btfOf(types, map.value, map.name)
  return {
    name: map.name,
    type: map.type,
    keySize: map.key ? sizeOf(map.key) : 0,
    valueSize: ring ? 0 : sizeOf(map.value),
    maxEntries: map.maxEntries,
    flags: 0,
    ...(map.key ? { keyType: btfOf(types, map.key, `${map.name}_key`) } : {}),
    valueType,
    ...(map.lost === undefined ? {} : { lost: { map: LOST_MAP, offset: map.lost } }),
  }
}

/** Gives each map that can lose something a counter, when a program first needs it. */
class LossCounters implements Losses {
  readonly maps: { name: string; offset: number }[] = []

  counter(map: MapEntity): number {
    if (map.lost === undefined) {
      map.lost = this.maps.length * 8
      this.maps.push({ name: map.name, offset: map.lost })
    }
    return map.lost
  }
}

const u32Key = new Uint8Array(4)

function internalMaps(configs: readonly ConfigEntity[], losses: LossCounters, types: TypeBuilder): MapSpec[] {
  const made: MapSpec[] = []
  const common = { type: 'array', keySize: 4, maxEntries: 1, internal: true } as const
  const keyType = (): number => types.int('int', 4, 'signed')
  if (configs.length > 0) {
    const last = configs[configs.length - 1]
    const value = new Uint8Array(Math.ceil((last.offset + sizeOf(last.type)) / 8) * 8)
    for (const { initial, offset, type } of configs) {
      for (let i = 0; i < sizeOf(type); i++) value[offset + i] = Number((initial >> BigInt(8 * i)) & 0xffn)
    }
    made.push({
      ...common,
      name: CONFIG_MAP,
      valueSize: value.length,
      flags: RDONLY_PROG,
      keyType: keyType(),
      valueType: configSection(types, CONFIG_MAP, configs),
      contents: [[u32Key, value]],
      frozen: true,
    })
  }
  if (losses.maps.length > 0) {
    made.push({
      ...common,
      name: LOST_MAP,
      valueSize: losses.maps.length * 8,
      flags: 0,
      keyType: keyType(),
      valueType: lostSection(types, LOST_MAP, losses.maps),
    })
  }
  return made
}
