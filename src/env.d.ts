// The few globals that Node and browsers share and that ECMAScript itself does not name. The core
// (everything outside engine/kernel, engine/user/hooks, cli and scripts) may use these and no others.

declare class TextEncoder {
  encode(text: string): Uint8Array<ArrayBuffer>
}
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean })
  decode(bytes: Uint8Array): string
}
declare const performance: { now(): number }
declare function btoa(binary: string): string
declare function atob(base64: string): string

/** The part of the WebAssembly interface (https://webassembly.github.io/spec/js-api/) that the user engine works with. */
declare namespace WebAssembly {
  class Memory {
    constructor(limits: { initial: number; maximum?: number })
    readonly buffer: ArrayBuffer
    /** By so many pages of 64 KiB; detaches `buffer`. */
    grow(pages: number): number
  }
  class Module {
    constructor(bytes: Uint8Array<ArrayBuffer>)
  }
  class Instance {
    constructor(module: Module, imports: Record<string, Record<string, unknown>>)
    readonly exports: Record<string, unknown>
  }
  function validate(bytes: Uint8Array<ArrayBuffer>): boolean
}
