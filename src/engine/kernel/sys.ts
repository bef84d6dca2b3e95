// System calls from JavaScript: the one place that touches FFI. bpf(2) and its company have no wrapper in Node,
// so they go through libc's syscall(2) by number. Numbers: arch/x86/entry/syscalls/syscall_64.tbl and, for the
// other 64-bit machines, include/uapi/asm-generic/unistd.h.

import { createRequire } from 'node:module'
import type Koffi from 'koffi'
import { Diagnostic } from '../../diag/diagnostic.ts'

const GENERIC = {
  ioctl: 29,
  close: 57,
  unshare: 97,
  socket: 198,
  munmap: 215,
  mmap: 222,
  perf_event_open: 241,
  setns: 268,
  bpf: 280,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
} as const

export type SyscallName = keyof typeof GENERIC

/** By `process.arch`. All of them are 64-bit and little endian, which the attribute encoder relies on. */
const NUMBERS: Readonly<Record<string, Readonly<Record<SyscallName, number>>>> = {
  x64: {
    close: 3,
    mmap: 9,
    munmap: 11,
    ioctl: 16,
    socket: 41,
    unshare: 272,
    perf_event_open: 298,
    setns: 308,
    bpf: 321,
    fsopen: 430,
    fsconfig: 431,
    fsmount: 432,
  },
  arm64: GENERIC,
  riscv64: GENERIC,
  loong64: GENERIC,
}

/** Protection and sharing bits of mmap(2), include/uapi/asm-generic/mman-common.h. */
const PROT_READ = 1
const PROT_WRITE = 2
const MAP_SHARED = 1

/** Memory shared with the kernel. `bytes` must not be touched after `unmap`. */
export interface Mapping {
  readonly bytes: ArrayBuffer
  unmap(): void
}

/** A watch on a file descriptor by the event loop. It keeps the process alive only between `start` and `stop`. */
export interface Watch {
  /** Calls back each time the descriptor is readable, until `stop`. */
  start(onReadable: () => void): void
  stop(): void
  /** Must come before the descriptor is closed. Nothing may be called after it. */
  close(): void
}

/** Bytes are passed by address. */
type Argument = number | bigint | Uint8Array

/**
 * The calls themselves. All of them return what the kernel returned, or the negative errno. Making one costs about
 * 3 ms for loading the FFI library, so it is made once and passed on.
 */
export class Sys {
  readonly #koffi: typeof Koffi
  readonly #libc: ReturnType<typeof Koffi.load>
  readonly #numbers: Readonly<Record<SyscallName, number>>
  readonly #syscall: ReturnType<ReturnType<typeof Koffi.load>['func']>
  /** The kernel sees addresses only, the garbage collector must see the buffers: this holds them during a call. */
  readonly #inFlight: unknown[] = []

  /** Throws a Diagnostic where there is no such system: not Linux, an unknown processor, no FFI library. */
  constructor() {
    if (process.platform !== 'linux') throw notHere(`the kernel engine needs Linux, and this is ${process.platform}`)
    const numbers = NUMBERS[process.arch]
    if (!numbers) throw notHere(`the kernel engine does not know the system calls of ${process.arch}`)
    this.#numbers = numbers
    this.#koffi = loadKoffi()
    this.#libc = this.#koffi.load(null)
    // Variadic in C; on these machines integers travel in the same registers either way.
    this.#syscall = this.#libc.func('syscall', 'long', Array(7).fill('long'))
  }

  /** At most six arguments. */
  call(name: SyscallName, ...args: readonly Argument[]): number {
    const [a, b, c, d, e, f] = args.map((each) => (typeof each === 'object' ? this.address(each) : each))
    this.#inFlight.push(args)
    const result = this.#result(this.#syscall(this.#numbers[name], a ?? 0, b ?? 0, c ?? 0, d ?? 0, e ?? 0, f ?? 0))
    this.#inFlight.pop()
    return result
  }

  /** Where the bytes are in memory; valid only as long as something refers to them. */
  address(bytes: Uint8Array): bigint {
    return bytes.byteLength === 0 ? 0n : this.#koffi.address(bytes)
  }

  /** `fd` mapped and shared, as a view without a copy; or the negative errno. `length` and `offset` are whole pages. */
  mmap(fd: number, length: number, offset: number, writable: boolean): Mapping | number {
    const prot = writable ? PROT_READ | PROT_WRITE : PROT_READ
    const at = this.call('mmap', 0, length, prot, MAP_SHARED, fd, offset)
    if (at < 0) return at
    const unmap = () => void this.call('munmap', at, length)
    return { bytes: this.#koffi.view(BigInt(at), length), unmap }
  }

  close(fd: number): void {
    if (fd >= 0) this.call('close', fd)
  }

  /** As close, on another thread: for a descriptor whose closing waits in the kernel. */
  closeElsewhere(fd: number): Promise<void> {
    const { close } = this.#numbers
    return new Promise((done) => this.#syscall.async(close, fd, 0, 0, 0, 0, 0, () => done()))
  }

  /** Bytes in a page of memory. */
  pageSize(): number {
    return this.#libc.func('getpagesize', 'int', [])()
  }

  /** The index of a network interface in this thread's network namespace, or 0 if there is none of that name. */
  ifIndex(name: string): number {
    return this.#libc.func('if_nametoindex', 'uint', ['str'])(name)
  }

  watch(fd: number): Watch {
    const handle = this.#koffi.node.poll(fd, { readable: true }, () => {})
    handle.stop()
    return {
      // The library's callback runs outside Node's own callback scope, so promises settled in it would wait for the next event.
      start: (onReadable) => handle.start({ readable: true }, () => void setImmediate(onReadable)),
      stop: () => handle.stop(),
      close: () => handle.close(),
    }
  }

  // errno is of the thread: it must be read before anything else is called.
  #result(value: number): number {
    return value === -1 ? -this.#koffi.errno() : value
  }
}

/**
 * The package's own entry spends 4 ms in JavaScript on finding its binary. The binary's package, where the package
 * manager put it within reach, is the same object in less than half of the time.
 */
function loadKoffi(): typeof Koffi {
  const require = createRequire(import.meta.url)
  try {
    return require(`@koromix/koffi-linux-${process.arch}`)
  } catch {
    // Not within reach: the long way says why, if it does not work either.
  }
  try {
    return require('koffi')
  } catch (cause) {
    throw notHere('the kernel engine cannot load its FFI library, koffi', cause)
  }
}

function notHere(message: string, cause?: unknown): Diagnostic {
  const help = 'The user engine runs the same programs here, on captures and on input of your own.'
  return new Diagnostic({ code: 'kernel/unavailable', message, help, cause })
}

/** NUL-terminated. */
export function cString(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`)
}
