// What the kernel's refusals mean. A system call gives a number; here it becomes a Diagnostic that names the call
// and the errno, says what it means at that place, and what to do about it. Names of the numbers come from Node,
// with the few that only the kernel uses (include/linux/errno.h) added.

import { constants } from 'node:os'
import { Diagnostic } from '../../diag/diagnostic.ts'

/** Errnos that libc does not name: ENOTSUPP is the kernel's own and reaches user space through bpf(2). */
const BEYOND_LIBC = { ENOTSUPP: 524 }

/** Several names have one number (EAGAIN and EWOULDBLOCK, EOPNOTSUPP and ENOTSUP): the kernel's own is kept. */
const ALIASES = new Set(['EWOULDBLOCK', 'ENOTSUP', 'EDEADLOCK'])

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries({ ...constants.errno, ...BEYOND_LIBC })
    .filter(([name]) => !ALIASES.has(name))
    .map(([name, value]) => [value, name]),
)
const VALUES: ReadonlyMap<string, number> = new Map([...NAMES].map(([value, name]) => [name, value]))

/** `ENOENT` for 2 or -2. */
export function errnoName(errno: number): string {
  return NAMES.get(Math.abs(errno)) ?? `errno ${Math.abs(errno)}`
}

/** Whether a call's result is this error. */
export function isErrno(result: number, name: string): boolean {
  return result < 0 && VALUES.get(name) === -result
}

interface Meaning {
  readonly means: string
  readonly help?: string
}

const CAPACITY: Meaning = {
  means: 'the kernel has no memory for it',
  help: 'Use fewer entries, or smaller values.',
}
const MEMLOCK: Meaning = {
  means: 'this process may not hold that much locked memory, or may not use BPF at all',
  help: 'Before Linux 5.11 maps count against the limit of locked memory: `ulimit -l unlimited`.',
}

/** By call, then by errno. What is not here is passed on by its name. */
const MEANINGS: Readonly<Record<string, Readonly<Record<string, Meaning>>>> = {
  map_create: {
    EINVAL: { means: 'this kernel does not take a map of this type, of these sizes or with these flags' },
    E2BIG: { means: 'its keys, values or number of entries are more than a map may have', help: CAPACITY.help },
    ENOMEM: CAPACITY,
    EPERM: MEMLOCK,
  },
  map_update_elem: {
    E2BIG: { means: 'the map is full, or the index is past its end' },
    EEXIST: { means: 'the key is there already' },
    ENOENT: { means: 'there is no such key' },
    EINVAL: { means: 'this type of map does not take that' },
    EPERM: { means: 'the map is read-only' },
    ENOTSUPP: { means: 'this type of map cannot be written from user space' },
    EBADF: { means: 'the map is closed' },
  },
  map_lookup_elem: {
    ENOTSUPP: { means: 'this type of map cannot be read by key' },
    EBADF: { means: 'the map is closed' },
  },
  map_delete_elem: {
    EINVAL: { means: 'elements of this type of map cannot be deleted' },
    ENOTSUPP: { means: 'elements of this type of map cannot be deleted' },
    EPERM: { means: 'the map is read-only' },
    EBADF: { means: 'the map is closed' },
  },
  map_lookup_and_delete_elem: {
    ENOTSUPP: { means: 'this type of map does not give elements away' },
    EBADF: { means: 'the map is closed' },
  },
  map_lookup_batch: {
    ENOTSUPP: { means: 'this type of map has no batches' },
  },
  map_get_next_key: {
    ENOTSUPP: { means: 'this type of map has no keys to go through' },
    EBADF: { means: 'the map is closed' },
  },
  prog_load: {
    E2BIG: { means: 'it has more instructions than this kernel takes' },
    EINVAL: { means: 'this kernel does not take a program of this type with these instructions or helpers' },
    ENOMEM: { means: 'the kernel has no memory for it' },
  },
  prog_test_run: {
    EINVAL: { means: 'the input does not fit this type of program' },
    ENOTSUPP: { means: 'the kernel cannot run this type of program by hand' },
    ENOSPC: { means: 'the packet grew beyond the room for it' },
  },
  link_create: {
    EBUSY: { means: 'another program is attached there', help: 'Detach that one first.' },
    EEXIST: { means: 'another program is attached there', help: 'Detach that one first.' },
    EOPNOTSUPP: { means: 'that place cannot take it' },
    ENODEV: { means: 'there is no such device' },
  },
  perf_event_open: {
    EACCES: { means: 'this process may not open it', help: 'Grant CAP_PERFMON, or run as root.' },
    ENOENT: { means: 'there is none such' },
    EMFILE: { means: 'this process has too many open files', help: 'Raise the limit: `ulimit -n 65536`.' },
  },
  raw_tracepoint_open: {
    ENOENT: { means: 'there is no raw tracepoint of that name' },
    EINVAL: { means: 'the program reads more arguments than that tracepoint has' },
  },
}

export interface Refusal {
  /** The call, `map_create`: half of the code, and the key to the meanings. */
  readonly call: string
  /** Negative or positive. */
  readonly errno: number
  /** What could not be done, as the head of the sentence: `map "counts" cannot be created`. */
  readonly what: string
  readonly help?: string
  readonly log?: string
}

/** `what`: what it means (ERRNO from call). */
export function refusal({ call, errno, what, help, log }: Refusal): Diagnostic {
  const name = errnoName(errno)
  const meaning = MEANINGS[call]?.[name]
  return new Diagnostic({
    code: `kernel/${call.replaceAll('_', '-')}`,
    message: meaning ? `${what}: ${meaning.means} (${name})` : `${what}: ${call} gave ${name}`,
    help: help ?? meaning?.help,
    errno: name,
    log,
  })
}
