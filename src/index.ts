export * from './compile/surface.ts'
export { Diagnostic } from './diag/diagnostic.ts'
