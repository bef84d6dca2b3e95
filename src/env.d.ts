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
