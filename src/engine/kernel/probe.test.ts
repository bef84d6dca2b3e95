import { execFileSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { explainRefusal, type Privileges } from './privilege.ts'
import { kernelInfo, kernelSupport, neededFor } from './probe.ts'
import { describeKernel, openFds } from './testing.ts'

const privileges = (held: readonly string[], others: Partial<Privileges> = {}): Privileges => ({
  has: (capability) => held.includes(capability),
  seccomp: false,
  userNamespace: false,
  lockdown: 'none',
  unprivilegedDisabled: '2',
  ...others,
})

describe('why the kernel refuses', () => {
  it('names the capabilities that are missing and what grants them', () => {
    const { reason, help } = explainRefusal(['bpf', 'perfmon'], [6, 1], privileges(['bpf']))
    expect(reason).toBe('this process lacks CAP_PERFMON')
    expect(help).toContain('sudo setcap cap_perfmon+ep')
    expect(help).toContain('--cap-add PERFMON')
  })

  it('before Linux 5.8 asks for CAP_SYS_ADMIN', () => {
    expect(explainRefusal(['bpf', 'perfmon'], [5, 4], privileges([])).reason).toBe('this process lacks CAP_SYS_ADMIN')
    expect(explainRefusal(['bpf', 'net_admin'], [5, 4], privileges(['sys_admin'])).reason).toBe(
      'this process lacks CAP_NET_ADMIN',
    )
  })

  it('mentions the sysctl where it alone shuts out ordinary users', () => {
    const reason = 'this process lacks CAP_BPF, and kernel.unprivileged_bpf_disabled is 2'
    expect(explainRefusal(['bpf'], [6, 1], privileges([])).reason).toBe(reason)
    expect(explainRefusal(['bpf', 'perfmon'], [6, 1], privileges(['perfmon'])).reason).toBe(
      'this process lacks CAP_BPF',
    )
  })

  it('CAP_SYS_ADMIN stands for CAP_BPF and CAP_PERFMON', () => {
    expect(explainRefusal(['bpf', 'perfmon'], [6, 1], privileges(['sys_admin'])).reason).not.toContain('lacks')
  })

  it.each<[string, Partial<Privileges>]>([
    ['user namespace', { userNamespace: true }],
    ['seccomp filter', { seccomp: true }],
    ['lockdown', { lockdown: 'confidentiality' }],
    ['security module', {}],
  ])('with all capabilities, looks for a %s', (reason, others) => {
    const all = privileges(['bpf', 'perfmon', 'net_admin', 'sys_admin'], others)
    expect(explainRefusal(['bpf', 'perfmon'], [6, 1], all).reason).toContain(reason)
  })

  it('knows what each kind of program needs', () => {
    expect(neededFor('socket_filter')).toEqual(['bpf'])
    expect(neededFor('tracepoint')).toEqual(['bpf', 'perfmon'])
    expect(neededFor('xdp')).toEqual(['bpf', 'net_admin'])
  })
})

describe('kernelSupport', () => {
  it('says either what it found or what is missing, in one line', () => {
    const support = kernelSupport()
    if (support.ok) expect(support.version).toEqual(kernelInfo().version)
    else expect(support.missing.message).toMatch(/^[^\n]+$/)
  })
})

describeKernel('kernelSupport, with the kernel', () => {
  it('leaves no file descriptor', () => {
    const before = openFds()
    for (const type of ['tracepoint', 'xdp', 'socket_filter'] as const) expect(kernelSupport(type).ok).toBe(true)
    expect(openFds()).toBe(before)
  })

  it('says what an ordinary user lacks', () => {
    const script = `
      import { kernelSupport } from '${new URL('./probe.ts', import.meta.url)}'
      import { Tracefs } from '${new URL('./tracefs.ts', import.meta.url)}'
      kernelSupport()
      process.setgroups([])
      process.setgid(65534)
      process.setuid(65534)
      const { missing } = kernelSupport()
      console.log(JSON.stringify({ missing, tracefs: new Tracefs().missing }))`
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
    const { missing, tracefs } = JSON.parse(output)
    expect(missing).toMatchObject({ code: 'kernel/not-allowed', errno: 'EPERM' })
    expect(missing.message).toMatch(/^Linux .* does not allow BPF here: this process lacks CAP_BPF and CAP_PERFMON$/)
    expect(tracefs).toMatchObject({ code: 'kernel/no-tracefs', message: expect.stringContaining("can't be read") })
  })
})
