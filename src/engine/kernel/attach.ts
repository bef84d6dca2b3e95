// Attaching: a program's fd and a place give a link's fd. Each kind of place has its own system calls; all of them
// hang on file descriptors, so that closing them (or the end of the process, however it comes) detaches.

import { readdirSync } from 'node:fs'
import { Diagnostic } from '../../diag/diagnostic.ts'
import { nearest } from '../../diag/nearest.ts'
import type { ProgramSpec } from '../../object/spec.ts'
import { ATTACH_TYPES, STRUCTS } from '../../spec/gen/uapi.ts'
import type { ProgTypeName } from '../../spec/names.ts'
import type { Link } from '../engine.ts'
import type { Bpf } from './bpf.ts'
import { isErrno, refusal } from './errors.ts'
import type { Capability } from './privilege.ts'
import { type KernelInfo, notAllowed } from './probe.ts'
import { cString } from './sys.ts'
import type { Tracefs } from './tracefs.ts'

/** What attaching needs besides the program. */
export interface AttachHost {
  readonly bpf: Bpf
  readonly info: KernelInfo
  readonly tracefs: Tracefs
}

type Attacher = (host: AttachHost, program: ProgramSpec, progFd: number, target: string) => KernelLink

/** The program types that can be attached, and how. */
const ATTACHERS: Readonly<Partial<Record<ProgTypeName, Attacher>>> = {
  tracepoint: attachTracepoint,
  raw_tracepoint: attachRawTracepoint,
  xdp: attachXdp,
}

/** Throws a Diagnostic: no target, no such target, or the kernel's refusal. */
export function attach(host: AttachHost, program: ProgramSpec, progFd: number, target = program.target): KernelLink {
  const attacher = ATTACHERS[program.type]
  if (!attacher) {
    throw new Diagnostic({
      code: 'kernel/attach-type',
      message: `${program.type} programs can be loaded but not attached yet, and "${program.name}" is one`,
      help: `What can be attached: ${Object.keys(ATTACHERS).join(', ')}.`,
      errno: 'ENOTSUP',
    })
  }
  if (target === undefined || target === '') {
    throw new Diagnostic({
      code: 'kernel/attach-target',
      message: `program "${program.name}" does not say what it attaches to`,
      help:
        program.type === 'xdp' ? `Name a network interface: ${interfaces().join(', ')}.` : `Name a ${program.type}.`,
      errno: 'EINVAL',
    })
  }
  return attacher(host, program, progFd, target)
}

/** A link that lives as long as its file descriptors, which are closed in the order given. */
export class KernelLink implements Link {
  readonly description: string
  readonly #bpf: Bpf
  #fds: readonly number[]

  constructor(bpf: Bpf, description: string, fds: readonly number[]) {
    this.#bpf = bpf
    this.description = description
    this.#fds = fds
  }

  detach(): void {
    for (const fd of this.#fds) this.#bpf.sys.close(fd)
    this.#fds = []
  }

  [Symbol.dispose](): void {
    this.detach()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const fds = this.#fds
    this.#fds = []
    for (const fd of fds) await this.#bpf.sys.closeElsewhere(fd)
  }
}

/** include/uapi/linux/perf_event.h; the size is that of the structure's first version, which every kernel takes. */
const PERF_ATTR_SIZE = 64
const PERF_TYPE_TRACEPOINT = 2
const PERF_FLAG_FD_CLOEXEC = 8
const PERF_EVENT_IOC_ENABLE = 0x2400
const PERF_EVENT_IOC_SET_BPF = 0x40042408

/**
 * A perf event on one CPU is enough: the program hangs on the tracepoint itself and runs wherever that is hit. The
 * bpf link (Linux 5.15) is preferred because tools can list it; before, the perf event alone holds the program.
 */
function attachTracepoint(host: AttachHost, program: ProgramSpec, progFd: number, target: string): KernelLink {
  const { bpf, tracefs } = host
  const description = `tracepoint:${target.replace('/', ':')}`
  const what = `program "${program.name}" cannot be attached to ${description}`
  const event = openTracepoint(host, tracefs.id(target.replace(':', '/')), what)
  const link = bpf.linkCreate({ prog_fd: progFd, target_fd: event, attach_type: ATTACH_TYPES.perf_event })
  if (link >= 0) return new KernelLink(bpf, description, [link, event])
  const set = isErrno(link, 'EINVAL') ? bpf.sys.call('ioctl', event, PERF_EVENT_IOC_SET_BPF, progFd) : link
  const enabled = set < 0 ? set : bpf.sys.call('ioctl', event, PERF_EVENT_IOC_ENABLE, 0)
  if (enabled >= 0) return new KernelLink(bpf, description, [event])
  bpf.sys.close(event)
  if (isErrno(enabled, 'EACCES')) {
    const help = `Its format file lists the fields: events/${target}/format in tracefs.`
    throw refusal({ call: 'link_create', errno: enabled, what: `${what}: it reads past the end of that record`, help })
  }
  throw refused(host, 'link_create', enabled, what, ['perfmon'])
}

function openTracepoint(host: AttachHost, id: number, what: string): number {
  const values = { type: PERF_TYPE_TRACEPOINT, size: PERF_ATTR_SIZE, config: id, sample_period: 1 }
  const attr = host.bpf.attr(STRUCTS.perf_event_attr, values, PERF_ATTR_SIZE)
  const [everyProcess, cpu, noGroup] = [-1, 0, -1]
  const event = host.bpf.sys.call('perf_event_open', attr.bytes, everyProcess, cpu, noGroup, PERF_FLAG_FD_CLOEXEC)
  if (event >= 0) return event
  throw refused(host, 'perf_event_open', event, what, ['perfmon'])
}

function attachRawTracepoint(host: AttachHost, program: ProgramSpec, progFd: number, target: string): KernelLink {
  const name = target.replace(/^.*[/:]/, '')
  const link = host.bpf.rawTracepointOpen(cString(name), progFd)
  if (link >= 0) return new KernelLink(host.bpf, `raw_tracepoint:${name}`, [link])
  const what = `program "${program.name}" cannot be attached to raw tracepoint ${name}`
  if (!isErrno(link, 'ENOENT')) throw refused(host, 'raw_tracepoint_open', link, what, ['perfmon'])
  const near = nearest(
    name,
    host.tracefs.list().map((each) => each.replace(/^.*\//, '')),
  )
  const help = near.length > 0 ? `Did you mean ${near.join(', ')}?` : undefined
  throw refusal({ call: 'raw_tracepoint_open', errno: link, what, help })
}

/** Generic mode where the driver has no native one: the kernel chooses. */
function attachXdp(host: AttachHost, program: ProgramSpec, progFd: number, target: string): KernelLink {
  const { bpf } = host
  const index = bpf.sys.ifIndex(target)
  if (index === 0) {
    const near = nearest(target, interfaces())
    const names = near.length > 0 ? `Did you mean ${near.join(', ')}?` : `There are ${interfaces().join(', ')}.`
    throw new Diagnostic({
      code: 'kernel/unknown-interface',
      message: `there is no network interface ${target}`,
      help: names,
      errno: 'ENODEV',
    })
  }
  const link = bpf.linkCreate({ prog_fd: progFd, target_ifindex: index, attach_type: ATTACH_TYPES.xdp })
  if (link >= 0) return new KernelLink(bpf, `xdp:${target}`, [link])
  const what = `program "${program.name}" cannot be attached to interface ${target}`
  throw refused(host, 'link_create', link, what, ['net_admin'])
}

function refused(host: AttachHost, call: string, errno: number, what: string, needed: Capability[]): Diagnostic {
  const denied = isErrno(errno, 'EPERM') || isErrno(errno, 'EACCES')
  return denied ? notAllowed(errno, needed, host.info) : refusal({ call, errno, what })
}

function interfaces(): string[] {
  try {
    return readdirSync('/sys/class/net').toSorted()
  } catch {
    return []
  }
}
