// What this process may do, and which sentence explains a refusal. Read from /proc only after the kernel has said
// no: capabilities (capabilities(7)), seccomp, user namespaces, lockdown and kernel.unprivileged_bpf_disabled.

import { readFileSync } from 'node:fs'

/** Bit numbers of include/uapi/linux/capability.h. */
const CAPABILITIES = { net_admin: 12, sys_admin: 21, perfmon: 38, bpf: 39 } as const

export type Capability = keyof typeof CAPABILITIES

export interface Privileges {
  has(capability: Capability): boolean
  /** A seccomp filter is on: containers have one that hides bpf(2). */
  readonly seccomp: boolean
  /** In a user namespace other than the first, capabilities do not count for BPF. */
  readonly userNamespace: boolean
  /** `none`, `integrity`, `confidentiality`; undefined where that can't be read. */
  readonly lockdown: string | undefined
  /** kernel.unprivileged_bpf_disabled: `0` lets everybody load socket filters; undefined where that can't be read. */
  readonly unprivilegedDisabled: string | undefined
}

export function readPrivileges(): Privileges {
  const status = read('/proc/self/status') ?? ''
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`)
  const uidMap = read('/proc/self/uid_map')?.trim().split(/\s+/)
  return {
    has: (capability) => ((effective >> BigInt(CAPABILITIES[capability])) & 1n) === 1n,
    seccomp: /^Seccomp:\s*2/m.test(status),
    userNamespace: uidMap !== undefined && uidMap.join(' ') !== '0 0 4294967295',
    lockdown: /\[(\w+)\]/.exec(read('/sys/kernel/security/lockdown') ?? '')?.[1],
    unprivilegedDisabled: read('/proc/sys/kernel/unprivileged_bpf_disabled')?.trim(),
  }
}

/** One line of why, and what grants it. */
export interface Explanation {
  readonly reason: string
  readonly help: string
}

/**
 * Why the kernel may have refused something that needs these capabilities: the first of the usual causes that
 * applies, or that none does. `version` matters because CAP_BPF and CAP_PERFMON came with Linux 5.8.
 */
export function explainRefusal(
  needed: readonly Capability[],
  version: readonly [number, number],
  privileges: Privileges = readPrivileges(),
): Explanation {
  const missing = missingOf(needed, version, privileges)
  if (missing.length > 0) {
    const { reason, help } = lack(missing)
    const { unprivilegedDisabled: disabled = '0' } = privileges
    if (missing.join() !== 'bpf' || needed.length > 1 || disabled === '0') return { reason, help }
    return { reason: `${reason}, and kernel.unprivileged_bpf_disabled is ${disabled}`, help }
  }
  if (privileges.userNamespace) {
    return {
      reason: 'this process is in a user namespace, where its capabilities do not count for BPF',
      help: 'Run it outside of the rootless container or user namespace, as root.',
    }
  }
  if (privileges.seccomp) {
    return {
      reason: 'a seccomp filter of this container forbids bpf(2)',
      help: 'In Docker or Podman: `--security-opt seccomp=unconfined`, or a profile that allows bpf and perf_event_open.',
    }
  }
  if (privileges.lockdown === 'confidentiality') {
    return {
      reason: 'kernel lockdown is in "confidentiality" mode',
      help: 'Boot with `lockdown=integrity` or without lockdown.',
    }
  }
  return {
    reason: 'the kernel or a security module forbids it, although this process has the capabilities',
    help: 'Look into the audit log (`ausearch -m avc`, `dmesg`); the kernel may have been built without this feature.',
  }
}

function missingOf(
  needed: readonly Capability[],
  [major, minor]: readonly [number, number],
  privileges: Privileges,
): Capability[] {
  if (privileges.has('sys_admin')) return needed.filter((each) => each === 'net_admin' && !privileges.has(each))
  const split = major > 5 || (major === 5 && minor >= 8)
  const asked = split ? needed : ['sys_admin' as const, ...needed.filter((each) => each === 'net_admin')]
  return asked.filter((each) => !privileges.has(each))
}

function lack(missing: readonly Capability[]): Explanation {
  const names = missing.map((each) => `CAP_${each.toUpperCase()}`)
  const grant = missing.map((each) => `cap_${each}`).join(',')
  const containers = missing.map((each) => `--cap-add ${each.toUpperCase()}`).join(' ')
  return {
    reason: `this process lacks ${names.join(' and ')}`,
    help: `Run it as root (\`sudo\`), or \`sudo setcap ${grant}+ep ${process.execPath}\`, or in a container with \`${containers}\`.`,
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
