export * from './compile/surface.ts'
export { Diagnostic } from './diag/diagnostic.ts'
export type { App, Declarations, Live, LiveEvents, LiveMap, LiveProgram, LoadOptions } from './sdk/load.ts'
export { load } from './sdk/load.ts'
