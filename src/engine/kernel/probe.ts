// Whether this machine lets us load programs, and if not, what is missing. The answer is the kernel's own: it
// is asked to load two instructions, which takes about 40 µs, and only a refusal is looked into further.

import { release } from 'node:os'
import { Diagnostic } from '../../diag/diagnostic.ts'
import { MAP_TYPES, PROG_TYPES } from '../../spec/gen/uapi.ts'
import type { ProgTypeName } from '../../spec/names.ts'
import { Bpf } from './bpf.ts'
import { errnoName, isErrno } from './errors.ts'
import { type Capability, explainRefusal } from './privilege.ts'
import { cString, Sys } from './sys.ts'

export interface KernelInfo {
  /** As uname(2) has it, `6.18.44-cloud-amd64`. */
  readonly release: string
  /** `6.18.44` */
  readonly number: string
  readonly version: readonly [major: number, minor: number]
}

export type KernelSupport =
  | ({ readonly ok: true; readonly bpf: Bpf } & KernelInfo)
  | { readonly ok: false; readonly missing: Diagnostic }

export function kernelInfo(): KernelInfo {
  const name = release()
  const number = /^\d+(\.\d+)*/.exec(name)?.[0] ?? '0.0'
  const [major, minor = 0] = number.split('.').map(Number)
  return { release: name, number, version: [major, minor] }
}

/** Networking types, for which bpf(2) asks for CAP_NET_ADMIN besides CAP_BPF (is_net_admin_prog_type, kernel/bpf/syscall.c). */
const NET_ADMIN: ReadonlySet<ProgTypeName> = new Set<ProgTypeName>([
  'sched_cls',
  'sched_act',
  'xdp',
  'lwt_in',
  'lwt_out',
  'lwt_xmit',
  'lwt_seg6local',
  'sk_skb',
  'sk_msg',
  'flow_dissector',
  'cgroup_device',
  'cgroup_sock',
  'cgroup_sock_addr',
  'cgroup_sockopt',
  'cgroup_sysctl',
  'sock_ops',
  'ext',
  'netfilter',
])

/** Tracing types, for which it asks for CAP_PERFMON (is_perfmon_prog_type, same file). */
const PERFMON: ReadonlySet<ProgTypeName> = new Set<ProgTypeName>([
  'kprobe',
  'tracepoint',
  'perf_event',
  'raw_tracepoint',
  'raw_tracepoint_writable',
  'tracing',
  'lsm',
  'struct_ops',
  'ext',
])

/** What loading a program of this type takes. */
export function neededFor(type: ProgTypeName): Capability[] {
  const needed: Capability[] = ['bpf']
  if (PERFMON.has(type)) needed.push('perfmon')
  if (NET_ADMIN.has(type)) needed.push('net_admin')
  return needed
}

/** `r0 = 0; exit` */
const NOTHING = Uint8Array.of(0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0)

/**
 * Whether programs of this type can be loaded here. Where they can't, `missing` says in one line which capability or
 * feature that is, and what grants it. Nothing stays in the kernel.
 */
export function kernelSupport(type: ProgTypeName = 'tracepoint'): KernelSupport {
  try {
    const bpf = new Bpf(new Sys())
    const info = kernelInfo()
    const missing = tryProgram(bpf, type, info) ?? tryMap(bpf, info)
    return missing ? { ok: false, missing } : { ok: true, bpf, ...info }
  } catch (error) {
    if (error instanceof Diagnostic) return { ok: false, missing: error }
    throw error
  }
}

function tryProgram(bpf: Bpf, type: ProgTypeName, info: KernelInfo): Diagnostic | undefined {
  const license = cString('GPL')
  const fd = bpf.progLoad({ prog_type: PROG_TYPES[type], insn_cnt: 2, insns: NOTHING, license })
  bpf.sys.close(fd)
  if (fd >= 0) return undefined
  if (isErrno(fd, 'EPERM') || isErrno(fd, 'EACCES')) return notAllowed(fd, neededFor(type), info)
  if (isErrno(fd, 'ENOSYS')) {
    return new Diagnostic({
      code: 'kernel/no-bpf',
      message: `Linux ${info.number} was built without bpf(2), or a sandbox hides it`,
      help: 'It needs a kernel with CONFIG_BPF_SYSCALL=y.',
      errno: 'ENOSYS',
    })
  }
  return new Diagnostic({
    code: 'kernel/prog-type',
    message: `Linux ${info.number} does not load ${type} programs (${errnoName(fd)})`,
    help: 'A newer kernel, or one that was built with this program type, does.',
    errno: errnoName(fd),
  })
}

/** Before Linux 5.11 a map may be refused where a program is not: by the limit of locked memory. */
function tryMap(bpf: Bpf, info: KernelInfo): Diagnostic | undefined {
  const [major, minor] = info.version
  if (major > 5 || (major === 5 && minor >= 11)) return undefined
  const fd = bpf.mapCreate({ map_type: MAP_TYPES.array, key_size: 4, value_size: 4096, max_entries: 64 })
  bpf.sys.close(fd)
  if (fd >= 0) return undefined
  return new Diagnostic({
    code: 'kernel/memlock',
    message: `Linux ${info.number} refuses maps: they count against the limit of locked memory`,
    help: 'Run it under `ulimit -l unlimited`, or give it CAP_SYS_RESOURCE.',
    errno: errnoName(fd),
  })
}

/** The Diagnostic for a refusal by EPERM or EACCES of something that needs these capabilities. */
export function notAllowed(errno: number, needed: readonly Capability[], info: KernelInfo): Diagnostic {
  const { reason, help } = explainRefusal(needed, info.version)
  return new Diagnostic({
    code: 'kernel/not-allowed',
    message: `Linux ${info.number} does not allow BPF here: ${reason}`,
    help,
    errno: errnoName(errno),
  })
}
