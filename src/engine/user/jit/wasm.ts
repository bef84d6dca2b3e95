// Modules of WebAssembly, written byte by byte: as much of the binary format (WebAssembly Core Specification 2.0,
// chapter 5) as translated programs need. Nothing here knows of eBPF.

/** Value types, and the type of a block without results. */
export const TYPE = { i32: 0x7f, i64: 0x7e, f64: 0x7c, empty: 0x40 } as const
export type ValueType = (typeof TYPE)['i32' | 'i64' | 'f64']

/** Opcodes by their name in the text format. */
export const OP = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  br: 0x0c,
  br_if: 0x0d,
  br_table: 0x0e,
  return: 0x0f,
  call: 0x10,
  drop: 0x1a,
  select: 0x1b,
  local_get: 0x20,
  local_set: 0x21,
  local_tee: 0x22,
  global_get: 0x23,
  global_set: 0x24,
  i32_load: 0x28,
  i64_load: 0x29,
  i32_load8_u: 0x2d,
  i64_load8_s: 0x30,
  i64_load8_u: 0x31,
  i64_load16_s: 0x32,
  i64_load16_u: 0x33,
  i64_load32_s: 0x34,
  i64_load32_u: 0x35,
  i32_store: 0x36,
  i64_store: 0x37,
  i64_store8: 0x3c,
  i64_store16: 0x3d,
  i64_store32: 0x3e,
  i32_const: 0x41,
  i64_const: 0x42,
  i32_eqz: 0x45,
  i32_eq: 0x46,
  i32_ne: 0x47,
  i32_lt_s: 0x48,
  i32_lt_u: 0x49,
  i32_gt_s: 0x4a,
  i32_gt_u: 0x4b,
  i32_le_s: 0x4c,
  i32_le_u: 0x4d,
  i32_ge_s: 0x4e,
  i32_ge_u: 0x4f,
  i64_eqz: 0x50,
  i64_eq: 0x51,
  i64_ne: 0x52,
  i64_lt_s: 0x53,
  i64_lt_u: 0x54,
  i64_gt_s: 0x55,
  i64_gt_u: 0x56,
  i64_le_s: 0x57,
  i64_le_u: 0x58,
  i64_ge_s: 0x59,
  i64_ge_u: 0x5a,
  i32_add: 0x6a,
  i32_sub: 0x6b,
  i32_mul: 0x6c,
  i32_div_s: 0x6d,
  i32_div_u: 0x6e,
  i32_rem_s: 0x6f,
  i32_rem_u: 0x70,
  i32_and: 0x71,
  i32_or: 0x72,
  i32_xor: 0x73,
  i32_shl: 0x74,
  i32_shr_s: 0x75,
  i32_shr_u: 0x76,
  i32_rotl: 0x77,
  i32_rotr: 0x78,
  i64_add: 0x7c,
  i64_sub: 0x7d,
  i64_mul: 0x7e,
  i64_div_s: 0x7f,
  i64_div_u: 0x80,
  i64_rem_s: 0x81,
  i64_rem_u: 0x82,
  i64_and: 0x83,
  i64_or: 0x84,
  i64_xor: 0x85,
  i64_shl: 0x86,
  i64_shr_s: 0x87,
  i64_shr_u: 0x88,
  i64_rotl: 0x89,
  i64_rotr: 0x8a,
  i32_wrap_i64: 0xa7,
  i64_extend_i32_s: 0xac,
  i64_extend_i32_u: 0xad,
  f64_convert_i64_u: 0xba,
  i32_extend8_s: 0xc0,
  i32_extend16_s: 0xc1,
  i64_extend8_s: 0xc2,
  i64_extend16_s: 0xc3,
  i64_extend32_s: 0xc4,
} as const

/** Bytes that grow. The integers of the format are LEB128: seven bits a byte, the lowest first. */
export class Bytes {
  #bytes: Uint8Array<ArrayBuffer>
  length = 0

  constructor(room = 256) {
    this.#bytes = new Uint8Array(room)
  }

  byte(value: number): void {
    if (this.length === this.#bytes.length) this.#reserve(1)
    this.#bytes[this.length++] = value
  }

  /** An unsigned number below 2^32. */
  unsigned(value: number): void {
    value >>>= 0
    while (value > 0x7f) {
      this.byte((value & 0x7f) | 0x80)
      value >>>= 7
    }
    this.byte(value)
  }

  /** A signed 32-bit number; as a 64-bit one it has the same bytes. */
  signed(value: number): void {
    value |= 0
    while (value < -64 || value > 63) {
      this.byte((value & 0x7f) | 0x80)
      value >>= 7
    }
    this.byte(value & 0x7f)
  }

  /** A 64-bit number, signed or unsigned. */
  signed64(value: bigint): void {
    let rest = BigInt.asIntN(64, value)
    while (rest < -64n || rest > 63n) {
      this.byte(Number(rest & 0x7fn) | 0x80)
      rest >>= 7n
    }
    this.byte(Number(rest & 0x7fn))
  }

  /** An unsigned number in five bytes whatever it is, so that it can be put in later: gives the place. */
  placeholder(): number {
    const at = this.length
    for (let i = 0; i < 4; i++) this.byte(0x80)
    this.byte(0)
    return at
  }

  /** Fills a placeholder. */
  patch(at: number, value: number): void {
    for (let i = 0; i < 4; i++) this.#bytes[at + i] = ((value >>> (7 * i)) & 0x7f) | 0x80
    this.#bytes[at + 4] = value >>> 28
  }

  append(other: Bytes): void {
    const from = other.view()
    this.#reserve(from.length)
    this.#bytes.set(from, this.length)
    this.length += from.length
  }

  /** ASCII, with its length. */
  name(text: string): void {
    this.unsigned(text.length)
    for (let i = 0; i < text.length; i++) this.byte(text.charCodeAt(i))
  }

  /** What is there, not copied. */
  view(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.length)
  }

  #reserve(more: number): void {
    if (this.length + more <= this.#bytes.length) return
    const wider = new Uint8Array(Math.max(this.#bytes.length * 2, this.length + more))
    wider.set(this.view())
    this.#bytes = wider
  }
}

/** The instructions of one function. */
export class Code extends Bytes {
  readonly #params: number
  readonly #locals: ValueType[] = []
  /** How many constructs are open: a branch out of all of them is `br(depth - 1)`. */
  depth = 0
  /** Where calls of the module's own functions stand, and of which: their indices follow the imports'. */
  readonly calls: { readonly at: number; readonly to: number }[] = []

  /** `params`: how many parameters the function has. */
  constructor(params: number) {
    super(1024)
    this.#params = params
  }

  /** A new local variable, zero at first. */
  local(type: ValueType): number {
    this.#locals.push(type)
    return this.#params + this.#locals.length - 1
  }

  op(opcode: number): void {
    this.byte(opcode)
  }

  get(local: number): void {
    this.byte(OP.local_get)
    this.unsigned(local)
  }

  set(local: number): void {
    this.byte(OP.local_set)
    this.unsigned(local)
  }

  tee(local: number): void {
    this.byte(OP.local_tee)
    this.unsigned(local)
  }

  getGlobal(index: number): void {
    this.byte(OP.global_get)
    this.unsigned(index)
  }

  setGlobal(index: number): void {
    this.byte(OP.global_set)
    this.unsigned(index)
  }

  i32(value: number): void {
    this.byte(OP.i32_const)
    this.signed(value)
  }

  i64(value: number | bigint): void {
    this.byte(OP.i64_const)
    if (typeof value === 'number') this.signed(value)
    else this.signed64(value)
  }

  /** A load or store at the address on the stack plus `offset`, which is not negative. Any alignment will do. */
  memory(opcode: number, offset: number): void {
    this.byte(opcode)
    this.byte(0)
    this.unsigned(offset)
  }

  /** Fills memory: takes address, byte and length. */
  fill(): void {
    this.byte(0xfc)
    this.byte(0x0b)
    this.byte(0)
  }

  block(
    opcode: typeof OP.block | typeof OP.loop | typeof OP.if,
    type: ValueType | typeof TYPE.empty = TYPE.empty,
  ): void {
    this.byte(opcode)
    this.byte(type)
    this.depth++
  }

  /** Ends a construct, or the function. */
  end(): void {
    this.byte(OP.end)
    this.depth--
  }

  br(depth: number): void {
    this.byte(OP.br)
    this.unsigned(depth)
  }

  brIf(depth: number): void {
    this.byte(OP.br_if)
    this.unsigned(depth)
  }

  /** Calls an imported function. */
  callImport(index: number): void {
    this.byte(OP.call)
    this.unsigned(index)
  }

  /** Calls function `to` of the module, counted without imports. */
  callOwn(to: number): void {
    this.byte(OP.call)
    this.calls.push({ at: this.placeholder(), to })
  }

  /** Its locals as the format has them: runs of equal types. */
  declarations(): Bytes {
    const runs: { type: ValueType; count: number }[] = []
    for (const type of this.#locals) {
      const last = runs.at(-1)
      if (last?.type === type) last.count++
      else runs.push({ type, count: 1 })
    }
    const bytes = new Bytes(2 + runs.length * 2)
    bytes.unsigned(runs.length)
    for (const { type, count } of runs) {
      bytes.unsigned(count)
      bytes.byte(type)
    }
    return bytes
  }
}

export interface Signature {
  readonly params: readonly ValueType[]
  readonly results: readonly ValueType[]
}

const SECTION = { type: 1, import: 2, function: 3, global: 6, export: 7, code: 10 } as const
const FUNC_TYPE = 0x60
const KIND = { function: 0, memory: 2 } as const
const MUTABLE = 1
/** `\0asm` and version 1. */
const HEADER = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]

/** A module. Everything it imports is in the import module `env`; its memory there is `memory`. */
export class Module {
  readonly #types: Signature[] = []
  readonly #typeIndex = new Map<string, number>()
  readonly #imports: { name: string; type: number }[] = []
  readonly #functions: { type: number; code: Code | undefined }[] = []
  readonly #exports: { name: string; to: number }[] = []
  #globals = 0

  /** Gives its index for `Code.callImport`. */
  import(name: string, signature: Signature): number {
    this.#imports.push({ name, type: this.#type(signature) })
    return this.#imports.length - 1
  }

  /** A function whose code follows by `define`: gives its index for `Code.callOwn`. */
  declare(signature: Signature): number {
    this.#functions.push({ type: this.#type(signature), code: undefined })
    return this.#functions.length - 1
  }

  define(index: number, code: Code): void {
    this.#functions[index].code = code
  }

  export(name: string, index: number): void {
    this.#exports.push({ name, to: index })
  }

  /** A mutable i64, zero at first: gives its index. */
  global(): number {
    return this.#globals++
  }

  /** The module's bytes. Every declared function must be defined. */
  finish(): Uint8Array<ArrayBuffer> {
    const out = new Bytes(4096)
    for (const byte of HEADER) out.byte(byte)
    section(out, SECTION.type, this.#types, (to, { params, results }) => {
      to.byte(FUNC_TYPE)
      list(to, params, (type) => to.byte(type))
      list(to, results, (type) => to.byte(type))
    })
    section(out, SECTION.import, [undefined, ...this.#imports], (to, entry) => {
      to.name('env')
      if (entry === undefined) {
        to.name('memory')
        to.byte(KIND.memory)
        to.byte(0)
        to.unsigned(1)
        return
      }
      to.name(entry.name)
      to.byte(KIND.function)
      to.unsigned(entry.type)
    })
    section(out, SECTION.function, this.#functions, (to, { type }) => to.unsigned(type))
    section(out, SECTION.global, new Array<undefined>(this.#globals).fill(undefined), (to) => {
      to.byte(TYPE.i64)
      to.byte(MUTABLE)
      to.byte(OP.i64_const)
      to.signed(0)
      to.byte(OP.end)
    })
    section(out, SECTION.export, this.#exports, (to, entry) => {
      to.name(entry.name)
      to.byte(KIND.function)
      to.unsigned(entry.to + this.#imports.length)
    })
    section(out, SECTION.code, this.#functions, (to, { code }) => {
      if (code === undefined) throw new RangeError('a function was declared and not defined')
      for (const { at, to: callee } of code.calls) code.patch(at, callee + this.#imports.length)
      const locals = code.declarations()
      to.unsigned(locals.length + code.length)
      to.append(locals)
      to.append(code)
    })
    return out.view().slice()
  }

  #type(signature: Signature): number {
    const key = `${signature.params.join()}>${signature.results.join()}`
    const known = this.#typeIndex.get(key)
    if (known !== undefined) return known
    this.#types.push(signature)
    this.#typeIndex.set(key, this.#types.length - 1)
    return this.#types.length - 1
  }
}

function list<T>(to: Bytes, items: readonly T[], write: (item: T) => void): void {
  to.unsigned(items.length)
  for (const item of items) write(item)
}

function section<T>(out: Bytes, id: number, items: readonly T[], write: (to: Bytes, item: T) => void): void {
  if (items.length === 0) return
  const body = new Bytes(1024)
  list(body, items, (item) => write(body, item))
  out.byte(id)
  out.unsigned(body.length)
  out.append(body)
}
