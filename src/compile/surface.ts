// The authoring surface: what a probe file imports from 'waggle'. It stands alone, without imports, for
// its text is also what the compiler hands to the TypeScript checker as the module `waggle`. At run time
// a declaration is a plain description (kind, types, sizes; the name is that of its export); what only
// the kernel can do throws. The language is described in docs/language.md.

// ── types ────────────────────────────────────────────────────────────────────────────────────────

declare const width: unique symbol

/** A number that fits one of the integer types `Fits`. Any plain number may be assigned to it. */
export type Branded<Fits extends string> = number & { readonly [width]?: Fits }

/** Unsigned, 8 bits: 0 to 255. */
export type u8 = Branded<'u8'>
/** Unsigned, 16 bits: 0 to 65,535. */
export type u16 = Branded<'u8' | 'u16'>
/** Unsigned, 32 bits: 0 to 4,294,967,295. */
export type u32 = Branded<'u8' | 'u16' | 'u32'>
/** Unsigned, 64 bits. A number in kernel code, a `bigint` on the user side. */
export type u64 = Branded<'u8' | 'u16' | 'u32' | 'u64'>
/** Signed, 8 bits: -128 to 127. */
export type i8 = Branded<'i8'>
/** Signed, 16 bits. */
export type i16 = Branded<'i8' | 'u8' | 'i16'>
/** Signed, 32 bits. */
export type i32 = Branded<'i8' | 'u8' | 'i16' | 'u16' | 'i32'>
/** Signed, 64 bits. A number in kernel code, a `bigint` on the user side. */
export type i64 = Branded<'i8' | 'u8' | 'i16' | 'u16' | 'i32' | 'u32' | 'i64'>

/**
 * A type of the kernel side, as a value: what a map's key, a map's value or a struct's field is.
 * `Kernel` is how kernel code sees such a value, `User` how the user side does.
 */
export interface Type<Kernel = unknown, User = unknown> {
  /** `int`, `bool`, `str`, `array`, `struct` or `enum`. */
  readonly kind: string
  /** Bytes. */
  readonly size: number
  /** Bytes: where a value may start in memory. */
  readonly align: number
  /** For the checker alone: never there at run time. */
  readonly kernel?: Kernel
  /** For the checker alone: never there at run time. */
  readonly user?: User
}

/** What a value of the type `T` is in kernel code: `Value<typeof Flow>`. */
export type Value<T> = T extends Type<infer Kernel, unknown> ? Kernel : never
/** What a value of the type `T` is on the user side: 64-bit integers are bigints there. */
export type Decoded<T> = T extends Type<unknown, infer User> ? User : never

/** An integer type. Called, it converts: `u32(x)` keeps the low 32 bits of x. */
export interface IntType<Kernel = number, User = number> extends Type<Kernel, User> {
  (value: number | bigint | boolean): Kernel
  readonly kind: 'int'
  /** Bits: 8, 16, 32 or 64. */
  readonly bits: number
  readonly signed: boolean
}

/** A string of at most `length` bytes, its terminating zero included. */
export interface StrType extends Type<string, string> {
  readonly kind: 'str'
}
/** Fields one after another, each at its natural alignment, as C lays them out. */
export interface StructType<F extends Fields = Fields>
  extends Type<{ [K in keyof F]: Value<F[K]> }, { [K in keyof F]: Decoded<F[K]> }> {
  readonly kind: 'struct'
  readonly fields: F
  /** Bytes from the start of the struct, by field. */
  readonly offsets: Readonly<Record<string, number>>
}
/** A fixed number of elements. */
export interface ArrayType<T extends Type = Type> extends Type<FixedArray<Value<T>>, Decoded<T>[]> {
  readonly kind: 'array'
  readonly element: T
  readonly length: number
}
/** An integer whose values have names: decoded by name on the user side. */
export interface EnumType<K = number, M extends Record<string, number> = Record<string, number>>
  extends Type<K, (keyof M & string) | number> {
  readonly kind: 'enum'
  readonly base: IntType<K, unknown>
  readonly members: M
}
/** A fixed array in kernel code: indexed by number, of constant length. */
export interface FixedArray<T> {
  readonly length: number
  [index: number]: T
}
/** The fields of a struct, by name. */
export type Fields = { readonly [name: string]: Type }

function intType<Kernel, User>(bits: number, signed: boolean): IntType<Kernel, User> {
  const convert = (value: number | bigint | boolean): unknown => {
    const wide = signed ? BigInt.asIntN(bits, BigInt(value)) : BigInt.asUintN(bits, BigInt(value))
    return bits === 64 ? wide : Number(wide)
  }
  const size = bits / 8
  return Object.assign(convert as (value: number | bigint | boolean) => Kernel, {
    kind: 'int' as const,
    size,
    align: size,
    bits,
    signed,
  })
}

/** Unsigned, 8 bits. `u8(x)` keeps the low 8 bits of x. */
export const u8: IntType<u8, number> = intType(8, false)
/** Unsigned, 16 bits. `u16(x)` keeps the low 16 bits of x. */
export const u16: IntType<u16, number> = intType(16, false)
/** Unsigned, 32 bits. `u32(x)` keeps the low 32 bits of x. */
export const u32: IntType<u32, number> = intType(32, false)
/** Unsigned, 64 bits; a bigint on the user side. `u64(x)` reads the bits of x as unsigned. */
export const u64: IntType<u64, bigint> = intType(64, false)
/** Signed, 8 bits. `i8(x)` keeps the low 8 bits of x, with their sign. */
export const i8: IntType<i8, number> = intType(8, true)
/** Signed, 16 bits. `i16(x)` keeps the low 16 bits of x, with their sign. */
export const i16: IntType<i16, number> = intType(16, true)
/** Signed, 32 bits. `i32(x)` keeps the low 32 bits of x, with their sign. */
export const i32: IntType<i32, number> = intType(32, true)
/** Signed, 64 bits; a bigint on the user side. `i64(x)` reads the bits of x as signed. */
export const i64: IntType<i64, bigint> = intType(64, true)

/** True or false, in one byte. */
export const bool: Type<boolean, boolean> = { kind: 'bool', size: 1, align: 1 }

/** A string in `length` bytes, its terminating zero included; what does not fit is cut off. */
export function str(length: number): StrType {
  return { kind: 'str', size: length, align: 1 }
}

/** A struct: `struct({ pid: u32, comm: str(16) })`. Fields lie as in C; padding is always zero. */
export function struct<F extends Fields>(fields: F): StructType<F> {
  const offsets: Record<string, number> = {}
  let size = 0
  let align = 1
  for (const [name, type] of Object.entries(fields)) {
    size = Math.ceil(size / type.align) * type.align
    offsets[name] = size
    size += type.size
    align = Math.max(align, type.align)
  }
  return { kind: 'struct', size: Math.ceil(size / align) * align, align, fields, offsets }
}

/** A fixed array of `length` elements. The map type of the same name is `arrayMap`. */
export function array<T extends Type>(element: T, length: number): ArrayType<T> {
  return { kind: 'array', size: element.size * length, align: element.align, element, length }
}

/**
 * An integer with names for some of its values: `enumeration(u8, { tcp: 6, udp: 17 })`. In kernel code
 * `Protocol.tcp` is the number; the user side prints the name.
 */
export function enumeration<K, U, const M extends Record<string, number>>(
  base: IntType<K, U>,
  members: M,
): EnumType<K, M> & { readonly [N in keyof M]: K } {
  const type = { kind: 'enum' as const, size: base.size, align: base.align, base, members }
  return Object.assign(type, members) as unknown as EnumType<K, M> & { readonly [N in keyof M]: K }
}

// ── maps and globals ─────────────────────────────────────────────────────────────────────────────

/** What every map declaration says. */
export interface MapDeclaration<K extends Type = Type, V extends Type = Type> {
  readonly kind: 'map'
  /** The kernel's name of the map type: `hash`, `lru_hash`, `percpu_array`, `ringbuf` … */
  readonly type: string
  readonly key: K
  readonly value: V
  /** How many elements it can hold. */
  readonly maxEntries: number
}

/** A map from keys to values. */
export interface HashMap<K extends Type = Type, V extends Type = Type> extends MapDeclaration<K, V> {
  /**
   * Adds `by` (1 if absent) to the integer under `key`, atomically; a missing key starts at 0. If the map is
   * full, the increment is lost, and counted as lost.
   */
  inc(key: Value<K>, by?: number): void
  /**
   * The value under `key`, or undefined if there is none: check before use. An integer is a snapshot; a
   * struct is a reference into the map, so that assigning to its fields changes the map.
   */
  get(key: Value<K>): Value<V> | undefined
  /** As get, but a missing key is first set to `init`. Undefined only if the map is full, which counts as lost. */
  getOrInsert(key: Value<K>, init: Value<V>): Value<V> | undefined
  /** Sets `key` to `value`. If the map is full, the value is lost, and counted as lost. */
  set(key: Value<K>, value: Value<V>): void
  /** Removes `key`; nothing happens if there is none. */
  delete(key: Value<K>): void
}
/** A map whose keys are the indices 0 to `maxEntries - 1`; its values start at zero and cannot be removed. */
export type ArrayMap<V extends Type = Type> = Omit<HashMap<IntType<u32, number>, V>, 'delete' | 'getOrInsert'>

/** A queue of records to the user side, shared by all processors. */
export interface RingBuffer<T extends Type = Type> extends MapDeclaration<Type, T> {
  /** Hands one record to the user side. If the buffer is full, the record is lost, and counted as lost. */
  emit(record: Value<T>): void
}

/** A constant for the program that the user side may set before the program is loaded. */
export interface Config<T extends Type = Type> {
  readonly kind: 'config'
  readonly type: T
  /** What it is if nobody sets it. */
  readonly default: number | bigint | boolean
  /** Its value, in kernel code. */
  readonly value: Value<T>
}

function kernelOnly(what: string): never {
  throw Object.assign(new Error(`${what} means something in kernel code only`), {
    name: 'Diagnostic',
    code: 'compile/kernel-only',
    help: 'call it inside the function that is passed to tracepoint(), xdp() or another program; on the user side use what load() gives',
  })
}

const mapMethods = {
  inc: () => kernelOnly('inc() on a declared map'),
  get: () => kernelOnly('get() on a declared map'),
  getOrInsert: () => kernelOnly('getOrInsert() on a declared map'),
  set: () => kernelOnly('set() on a declared map'),
  delete: () => kernelOnly('delete() on a declared map'),
  emit: () => kernelOnly('emit() on a declared ring buffer'),
}

/** The description as plain enumerable data; the methods stay out of sight, on its prototype. */
function map<M>(type: string, key: Type, value: Type, maxEntries: number): M {
  return Object.assign(Object.create(mapMethods), { kind: 'map', type, key, value, maxEntries }) as M
}

const index: Type = u32
const nothing: Type = { kind: 'void', size: 0, align: 1 }

/** A hash map: `hash(str(16), u64, 1024)`. When it is full, new keys are refused and counted as lost. */
export function hash<K extends Type, V extends Type>(key: K, value: V, maxEntries: number): HashMap<K, V> {
  return map('hash', key, value, maxEntries)
}
/** A hash map that makes room for a new key by dropping the one that was used longest ago. */
export function lruHash<K extends Type, V extends Type>(key: K, value: V, maxEntries: number): HashMap<K, V> {
  return map('lru_hash', key, value, maxEntries)
}
/** A hash map with a value of its own for each processor: no contention, and the user side gets one value a processor. */
export function percpuHash<K extends Type, V extends Type>(key: K, value: V, maxEntries: number): HashMap<K, V> {
  return map('percpu_hash', key, value, maxEntries)
}
/** An array of `maxEntries` values, all there from the start. */
export function arrayMap<V extends Type>(value: V, maxEntries: number): ArrayMap<V> {
  return map('array', index, value, maxEntries)
}
/** An array with values of their own for each processor. */
export function percpuArray<V extends Type>(value: V, maxEntries: number): ArrayMap<V> {
  return map('percpu_array', index, value, maxEntries)
}
/** A ring buffer of records of type `T` in `bytes` bytes: a power of two, at least a page of memory. */
export function ringbuf<T extends Type>(record: T, bytes: number): RingBuffer<T> {
  return map('ringbuf', nothing, record, bytes)
}

/** A constant that is fixed when the program is loaded: `config(u64, 1_000_000)`, read as `threshold.value`. */
export function config<T extends Type>(type: T, initial: number | bigint | boolean): Config<T> {
  return Object.defineProperty({ kind: 'config', type, default: initial }, 'value', {
    get: () => kernelOnly('value of a config'),
  }) as Config<T>
}

// ── programs ─────────────────────────────────────────────────────────────────────────────────────

/** A program: where it attaches and of what type it is. Its code is compiled from the source file. */
export interface ProgramDeclaration {
  readonly kind: 'program'
  /** The kernel's name of the program type: `tracepoint`, `raw_tracepoint`, `xdp`. */
  readonly type: string
  /** The section of an object file that it belongs to: `tracepoint/sched/sched_process_exec`. */
  readonly section: string
  /** What it attaches to, where the declaration says so. */
  readonly target?: string
}

/**
 * Records of the tracepoints that are known to the checker, by `category/name`. The compiler fills in the
 * ones that a file names, from the formats of the kernel at hand.
 */
// biome-ignore lint/suspicious/noEmptyInterface: filled in by declaration merging
export interface Tracepoints {}

/**
 * A tracepoint's record where nobody has told the editor what it holds. The compiler knows the record from
 * the kernel and refuses a field that is not there.
 */
// biome-ignore lint/suspicious/noExplicitAny: the field's type is known to the compiler only
export type UnknownRecord = { readonly [field: string]: any }

/** What a tracepoint program gets: the fields of the record that the kernel wrote. */
export type TracepointContext<Target extends string> = Target extends keyof Tracepoints
  ? Tracepoints[Target]
  : UnknownRecord

/** What a raw tracepoint program gets: the arguments of the kernel's trace call, as 64-bit numbers. */
export interface RawTracepointContext {
  /** The n-th argument, from 0. */
  arg(n: number): u64
}

/** Runs at each hit of a kernel tracepoint: `tracepoint('sched/sched_process_exec', (ctx) => { … })`. */
export function tracepoint<const Target extends string>(
  target: Target,
  program: (ctx: TracepointContext<Target>) => void,
): ProgramDeclaration {
  return describe('tracepoint', `tracepoint/${target}`, program, target)
}

/** Runs at each hit of a kernel tracepoint, before its record is written: cheaper, with raw arguments. */
export function rawTracepoint(name: string, program: (ctx: RawTracepointContext) => void): ProgramDeclaration {
  return describe('raw_tracepoint', `raw_tracepoint/${name}`, program, name)
}

/** Runs on each packet that a network device receives and says what becomes of it: `return XDP.PASS`. */
export function xdp(program: (ctx: XdpContext) => XdpVerdict): ProgramDeclaration {
  return describe('xdp', 'xdp', program)
}

function describe(type: string, section: string, program: unknown, target?: string): ProgramDeclaration {
  if (typeof program !== 'function') throw new TypeError(`${type}() needs the program's function`)
  return target === undefined ? { kind: 'program', type, section } : { kind: 'program', type, section, target }
}

// ── packets ──────────────────────────────────────────────────────────────────────────────────────

/** What becomes of a packet: one of `XDP`. */
export type XdpVerdict = number

/** The verdicts of an XDP program (enum xdp_action). */
export const XDP = {
  /** An error of the program: the packet is dropped and the xdp_exception tracepoint fires. */
  ABORTED: 0,
  /** Drop the packet. */
  DROP: 1,
  /** Let it go on to the network stack. */
  PASS: 2,
  /** Send it back out of the device that it came in by. */
  TX: 3,
  /** Send it to where a redirect helper said. */
  REDIRECT: 4,
} as const

/** A packet as it came in, from its Ethernet header on. */
export interface XdpContext {
  /** Bytes of the packet, from the Ethernet header to its end. */
  readonly length: u32
  /** Index of the network device that it came in by. */
  readonly ifindex: u32
  /** Index of the receive queue. */
  readonly rxQueue: u32
  /** Whether the packet has at least `n` bytes. Raw reads need such a check before them. */
  has(n: number): boolean
  /** The byte at `offset`, from 0 at the Ethernet header. */
  u8(offset: number): u8
  /** Two bytes at `offset`, in network order. */
  u16(offset: number): u16
  /** Four bytes at `offset`, in network order. */
  u32(offset: number): u32
  /** Eight bytes at `offset`, in network order. */
  u64(offset: number): u64
  /** The Ethernet header; undefined in a packet shorter than 14 bytes. */
  ethernet(): EthernetHeader | undefined
  /** The outer VLAN tag (802.1Q or 802.1ad); undefined if the packet has none. */
  vlan(): VlanTag | undefined
  /** The IPv4 header, behind up to two VLAN tags; undefined if this is no IPv4 packet. */
  ipv4(): Ipv4Header | undefined
  /** The IPv6 header, behind up to two VLAN tags; undefined if this is no IPv6 packet. */
  ipv6(): Ipv6Header | undefined
  /** The TCP header behind `ip`; undefined if there is another protocol, a later fragment, or too few bytes. */
  tcp(ip: Ipv4Header | Ipv6Header): TcpHeader | undefined
  /** The UDP header behind `ip`; undefined if there is another protocol, a later fragment, or too few bytes. */
  udp(ip: Ipv4Header | Ipv6Header): UdpHeader | undefined
}

/** struct ethhdr, read from the packet in host order. */
export interface EthernetHeader {
  /** EtherType: 0x0800 is IPv4, 0x86dd IPv6, 0x8100 a VLAN tag. */
  readonly proto: u16
}
/** An 802.1Q or 802.1ad tag. */
export interface VlanTag {
  /** VLAN identifier: 12 bits. */
  readonly id: u16
  /** Priority code point: 3 bits. */
  readonly priority: u8
  /** Drop eligible indicator: 1 bit. */
  readonly dei: u8
  /** EtherType of what follows the tag. */
  readonly proto: u16
}
/** struct iphdr, read from the packet in host order. */
export interface Ipv4Header {
  readonly version: u8
  /** Header length in words of 4 bytes. */
  readonly ihl: u8
  readonly tos: u8
  readonly tot_len: u16
  readonly id: u16
  /** Three bits of flags and 13 of fragment offset, in units of 8 bytes. */
  readonly frag_off: u16
  readonly ttl: u8
  readonly protocol: u8
  readonly check: u16
  readonly saddr: u32
  readonly daddr: u32
}
/** struct ipv6hdr, read from the packet in host order; an address is given as its two halves. */
export interface Ipv6Header {
  readonly version: u8
  /** Traffic class. */
  readonly priority: u8
  readonly flow_lbl: u32
  readonly payload_len: u16
  readonly nexthdr: u8
  readonly hop_limit: u8
  /** The first 8 bytes of the source address. */
  readonly saddr_hi: u64
  /** The last 8 bytes of the source address. */
  readonly saddr_lo: u64
  /** The first 8 bytes of the destination address. */
  readonly daddr_hi: u64
  /** The last 8 bytes of the destination address. */
  readonly daddr_lo: u64
}
/** struct tcphdr, read from the packet in host order. */
export interface TcpHeader {
  readonly source: u16
  readonly dest: u16
  readonly seq: u32
  readonly ack_seq: u32
  /** Header length in words of 4 bytes. */
  readonly doff: u8
  readonly fin: u8
  readonly syn: u8
  readonly rst: u8
  readonly psh: u8
  readonly ack: u8
  readonly urg: u8
  readonly ece: u8
  readonly cwr: u8
  readonly window: u16
  readonly check: u16
  readonly urg_ptr: u16
}
/** struct udphdr, read from the packet in host order. */
export interface UdpHeader {
  readonly source: u16
  readonly dest: u16
  readonly len: u16
  readonly check: u16
}

// ── helpers ──────────────────────────────────────────────────────────────────────────────────────

/** Name of the running thread: at most 15 bytes (bpf_get_current_comm). */
export function comm(): string {
  return kernelOnly('comm()')
}
/** Id of the running process: what user space calls pid and the kernel tgid. */
export function pid(): u32 {
  return kernelOnly('pid()')
}
/** Id of the running thread: what user space calls tid and the kernel pid. */
export function tid(): u32 {
  return kernelOnly('tid()')
}
/** User id of the running process. */
export function uid(): u32 {
  return kernelOnly('uid()')
}
/** Group id of the running process. */
export function gid(): u32 {
  return kernelOnly('gid()')
}
/** Nanoseconds since boot, without the time spent suspended (CLOCK_MONOTONIC). */
export function ktime(): u64 {
  return kernelOnly('ktime()')
}
/** Number of the processor that the program runs on. */
export function cpu(): u32 {
  return kernelOnly('cpu()')
}
/** A pseudo-random number of 32 bits. */
export function random(): u32 {
  return kernelOnly('random()')
}
