export { Diagnostic, type DiagnosticInit, type Location, type Note, type RenderOptions } from './diagnostic.ts'
export { nearest } from './nearest.ts'
