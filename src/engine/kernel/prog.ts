// A loaded program: running it by hand (BPF_PROG_TEST_RUN) and attaching it.

import { Diagnostic } from '../../diag/diagnostic.ts'
import type { ProgramSpec } from '../../object/spec.ts'
import type { ProgTypeName } from '../../spec/names.ts'
import type { Prog, RunInput, RunResult } from '../engine.ts'
import { type AttachHost, attach, type KernelLink } from './attach.ts'
import { refusal } from './errors.ts'

/** What the kernel runs by hand, and on what input (the test_run of each type's bpf_prog_ops). */
const INPUT: Readonly<Partial<Record<ProgTypeName, 'packet' | 'ctx'>>> = {
  xdp: 'packet',
  socket_filter: 'packet',
  sched_cls: 'packet',
  sched_act: 'packet',
  raw_tracepoint: 'ctx',
  syscall: 'ctx',
}

/** By how much a program may make a packet longer (headroom and tailroom of a test run). */
const GROWTH = 4096

export class KernelProg implements Prog {
  readonly spec: ProgramSpec
  readonly #host: AttachHost
  #fd: number
  readonly #links: KernelLink[] = []

  /** Takes over the fd: it is closed with the program. */
  constructor(host: AttachHost, spec: ProgramSpec, fd: number) {
    this.#host = host
    this.spec = spec
    this.#fd = fd
  }

  /** Negative after `close`. */
  get fd(): number {
    return this.#fd
  }

  run(input: RunInput): RunResult {
    const kind = INPUT[this.spec.type]
    if (kind === 'packet') return this.#runPacket(input)
    if (kind === 'ctx') return this.#runCtx(input)
    throw new Diagnostic({
      code: 'kernel/run-type',
      message: `the kernel does not run ${this.spec.type} programs by hand, and "${this.spec.name}" is one`,
      help: `It runs ${Object.keys(INPUT).join(', ')}. Attach this one, or run it on the user engine.`,
      errno: 'ENOTSUP',
    })
  }

  attach(target?: string): KernelLink {
    const link = attach(this.#host, this.spec, this.#fd, target)
    this.#links.push(link)
    return link
  }

  /** Detaches its links. Idempotent. */
  close(): void {
    for (const link of this.#links.splice(0)) link.detach()
    this.#host.bpf.sys.close(this.#fd)
    this.#fd = -1
  }

  /** A socket filter sees the packet behind its Ethernet header, which comes back as zeros. */
  #runPacket({ data = new Uint8Array(0), ctx, repeat = 1 }: RunInput): RunResult {
    const out = new Uint8Array(data.length + GROWTH)
    const { result, attr } = this.#host.bpf.progTestRun({
      prog_fd: this.#fd,
      data_in: data,
      data_size_in: data.length,
      data_out: out,
      data_size_out: out.length,
      repeat,
      ctx_in: ctx,
      ctx_size_in: ctx?.length,
    })
    if (result < 0) throw this.#cannotRun(result)
    return {
      retval: attr.u32('retval'),
      data: out.slice(0, attr.u32('data_size_out')),
      duration: attr.u32('duration'),
    }
  }

  /** The kernel neither repeats nor times these: the duration is that of the calls. */
  #runCtx({ ctx, repeat = 1 }: RunInput): RunResult {
    let retval = 0
    const start = performance.now()
    for (let i = 0; i < repeat; i++) {
      const { result, attr } = this.#host.bpf.progTestRun({ prog_fd: this.#fd, ctx_in: ctx, ctx_size_in: ctx?.length })
      if (result < 0) throw this.#cannotRun(result)
      retval = attr.u32('retval')
    }
    return { retval, duration: ((performance.now() - start) * 1e6) / Math.max(1, repeat) }
  }

  #cannotRun(errno: number): Diagnostic {
    return refusal({ call: 'prog_test_run', errno, what: `program "${this.spec.name}" cannot be run on this input` })
  }
}
