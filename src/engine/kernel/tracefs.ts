// tracefs: where the kernel says which tracepoints there are, what number each has and how its record is laid
// out (Documentation/trace/events.rst). Often it is not mounted; then a privileged process opens an instance of its
// own that is mounted nowhere (fsopen, fsconfig and fsmount of mount_setattr(2)'s family, Linux 5.2) and is gone with the fd.

import { accessSync, constants, readFileSync } from 'node:fs'
import { Diagnostic } from '../../diag/diagnostic.ts'
import { nearest } from '../../diag/nearest.ts'
import { errnoName } from './errors.ts'
import { cString, Sys } from './sys.ts'

/** In order of preference. Looking below the second one mounts tracefs there if debugfs is mounted. */
const PLACES = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing']

/** include/uapi/linux/mount.h */
const FSOPEN_CLOEXEC = 1
const FSCONFIG_CMD_CREATE = 6
const FSMOUNT_CLOEXEC = 1

/** `category/name`, nothing that would lead out of the folder. */
const TARGET = /^[\w-]+\/[\w-]+$/

/** Opens nothing until it is first asked. */
export class Tracefs implements Disposable {
  #sys: Sys | undefined
  #root: string | Diagnostic | undefined
  #fd = -1

  /** Without `sys` it makes one of its own if it comes to that. */
  constructor(sys?: Sys) {
    this.#sys = sys
  }

  /** The text of events/CATEGORY/NAME/format; undefined if there is none such or tracefs can't be read. */
  format(target: string): string | undefined {
    return this.#event(target, 'format')
  }

  /** All tracepoints as `category/name`; empty if tracefs can't be read. */
  list(): string[] {
    const text = this.#read('available_events') ?? ''
    return text.split('\n').flatMap((line) => (line === '' ? [] : [line.replace(':', '/')]))
  }

  /** The number that perf_event_open takes. Throws a Diagnostic: no tracefs, or no such tracepoint and the names nearest to it. */
  id(target: string): number {
    const root = this.#open()
    if (typeof root !== 'string') throw root
    const text = this.#event(target, 'id')
    if (text === undefined) throw unknownTracepoint(target, this.list())
    return Number(text)
  }

  /** Why nothing can be read, or undefined if it can. */
  get missing(): Diagnostic | undefined {
    const root = this.#open()
    return typeof root === 'string' ? undefined : root
  }

  /** Idempotent. Asked again, it opens again. */
  close(): void {
    this.#sys?.close(this.#fd)
    this.#fd = -1
    this.#root = undefined
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #event(target: string, file: string): string | undefined {
    return TARGET.test(target) ? this.#read(`events/${target}/${file}`) : undefined
  }

  #read(path: string): string | undefined {
    const root = this.#open()
    if (typeof root !== 'string') return undefined
    try {
      return readFileSync(`${root}/${path}`, 'utf8')
    } catch {
      return undefined
    }
  }

  #open(): string | Diagnostic {
    this.#root ??= PLACES.find(readable) ?? this.#openDetached()
    return this.#root
  }

  #openDetached(): string | Diagnostic {
    this.#sys ??= new Sys()
    const context = this.#sys.call('fsopen', cString('tracefs'), FSOPEN_CLOEXEC)
    if (context < 0) return noTracefs(context)
    const created = this.#sys.call('fsconfig', context, FSCONFIG_CMD_CREATE)
    const fd = created < 0 ? created : this.#sys.call('fsmount', context, FSMOUNT_CLOEXEC)
    this.#sys.close(context)
    if (fd < 0) return noTracefs(fd)
    this.#fd = fd
    return `/proc/self/fd/${fd}`
  }
}

function readable(place: string): boolean {
  try {
    accessSync(`${place}/events`, constants.R_OK | constants.X_OK)
    return true
  } catch {
    return false
  }
}

function noTracefs(errno: number): Diagnostic {
  const name = errnoName(errno)
  const absent = name === 'ENODEV'
  return new Diagnostic({
    code: 'kernel/no-tracefs',
    message: absent
      ? 'this kernel has no tracepoints: it was built without tracefs (ENODEV)'
      : `the list of tracepoints (tracefs) can't be read by this process (${name})`,
    help: absent
      ? 'It needs a kernel with CONFIG_FTRACE and CONFIG_EVENT_TRACING.'
      : 'Tracefs belongs to root: run it with `sudo`, or mount it readable: `sudo mount -t tracefs -o mode=755 tracefs /sys/kernel/tracing`.',
    errno: name,
  })
}

function unknownTracepoint(target: string, names: readonly string[]): Diagnostic {
  const near = nearest(target, names)
  return new Diagnostic({
    code: 'kernel/unknown-tracepoint',
    message: `there is no tracepoint ${target}`,
    help:
      near.length > 0
        ? `Did you mean ${near.join(', ')}?`
        : 'A tracepoint is named by category and name: sched/sched_process_exec.',
    errno: 'ENOENT',
  })
}
