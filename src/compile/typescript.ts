// The TypeScript package, which only this file and src/compile/convert.ts know. It is loaded when first
// needed, parses the probe, and checks its types against a minimal library and the authoring surface. No file
// is looked for on disk: other imports stay unresolved, which concerns the user side only.

import type ts from 'typescript'
import { Converter } from './convert.ts'
import type { Module, Span } from './syntax.ts'

type Api = typeof ts

/** Something that TypeScript found. */
export interface Finding extends Span {
  /** TypeScript's number: 2345. */
  readonly code: number
  readonly message: string
  /** Found by the parser: then the tree cannot be trusted. */
  readonly syntactic: boolean
}

export interface FrontEnd {
  /** The tree, and what the parser did not understand. */
  parse(text: string): { readonly module: Module; readonly findings: readonly Finding[] }
  /** What the type checker finds in the file that was parsed last. `surface` is the text of the module `waggle`. */
  check(lib: string, surface: string): readonly Finding[]
}

/** Gives the TypeScript package. */
export type TypeScriptLoader = () => Promise<Api>

const importTypeScript: TypeScriptLoader = async () => {
  const loaded = await import('typescript')
  return loaded.default ?? loaded
}

/** Loads the TypeScript package: 100 to 150 ms the first time, by far the most of a compilation. */
export async function loadFrontEnd(load: TypeScriptLoader = importTypeScript): Promise<FrontEnd> {
  return new TypeScriptFrontEnd(await load())
}

const LIB_FILE = '/lib.d.ts'
const SURFACE_FILE = '/waggle.ts'
const PROBE_FILE = '/probe.ts'

class TypeScriptFrontEnd implements FrontEnd {
  private readonly ts: Api
  private source: ts.SourceFile | undefined

  constructor(api: Api) {
    this.ts = api
  }

  parse(text: string): { module: Module; findings: readonly Finding[] } {
    const { ts } = this
    const source = ts.createSourceFile(PROBE_FILE, text, ts.ScriptTarget.ESNext, true)
    this.source = source
    // `parseDiagnostics` is internal, but a program would only copy them from there.
    const findings = (source as unknown as { parseDiagnostics: readonly ts.Diagnostic[] }).parseDiagnostics
    return { module: new Converter(ts, source).module(), findings: findings.map((d) => this.finding(d, true)) }
  }

  check(lib: string, surface: string): readonly Finding[] {
    const { ts, source } = this
    if (!source) throw new Error('check() before parse()')
    const target = ts.ScriptTarget.ESNext
    const files = new Map<string, ts.SourceFile>([
      [PROBE_FILE, source],
      [LIB_FILE, ts.createSourceFile(LIB_FILE, lib, target)],
      [SURFACE_FILE, ts.createSourceFile(SURFACE_FILE, surface, target)],
    ])
    const host: ts.CompilerHost = {
      getSourceFile: (name) => files.get(name),
      getDefaultLibFileName: () => LIB_FILE,
      writeFile: () => undefined,
      getCurrentDirectory: () => '/',
      getCanonicalFileName: (name) => name,
      useCaseSensitiveFileNames: () => true,
      getNewLine: () => '\n',
      fileExists: (name) => files.has(name),
      readFile: () => undefined,
      resolveModuleNameLiterals: (literals) =>
        literals.map((literal) => ({
          resolvedModule:
            literal.text === 'waggle'
              ? { resolvedFileName: SURFACE_FILE, extension: ts.Extension.Ts, isExternalLibraryImport: false }
              : undefined,
        })),
    }
    const program = ts.createProgram({
      rootNames: [LIB_FILE, PROBE_FILE],
      options: {
        target,
        module: ts.ModuleKind.ESNext,
        moduleResolution: ts.ModuleResolutionKind.Bundler,
        noLib: true,
        types: [],
        strict: true,
        noEmit: true,
        skipLibCheck: true,
      },
      host,
    })
    return program.getSemanticDiagnostics(source).map((d) => this.finding(d, false))
  }

  private finding(diagnostic: ts.Diagnostic, syntactic: boolean): Finding {
    const at = diagnostic.start ?? 0
    const message = this.ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n').split('\n', 1)[0]
    return { at, end: at + (diagnostic.length ?? 1), code: diagnostic.code, message, syntactic }
  }
}
