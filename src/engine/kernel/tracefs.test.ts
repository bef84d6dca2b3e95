import { expect, it } from 'vitest'
import { describeKernel, openFds } from './testing.ts'
import { Tracefs } from './tracefs.ts'

describeKernel('tracefs', (support) => {
  it('reads numbers and formats of tracepoints, mounted or not', () => {
    const tracefs = new Tracefs(support.bpf.sys)
    const id = tracefs.id('sched/sched_process_exec')
    expect(id).toBeGreaterThan(0)
    expect(tracefs.format('sched/sched_process_exec')).toContain(`ID: ${id}\n`)
    expect(tracefs.list()).toContain('sched/sched_process_exec')
    expect(tracefs.missing).toBeUndefined()
    tracefs.close()
  })

  it('has nothing for names that are none', () => {
    const tracefs = new Tracefs(support.bpf.sys)
    expect(tracefs.format('sched/no_such_event')).toBeUndefined()
    expect(tracefs.format('sched/../../../version')).toBeUndefined()
    expect(() => tracefs.id('sched/sched_switsh')).toThrow('there is no tracepoint sched/sched_switsh')
    tracefs.close()
  })

  it('opens nothing before it is asked and keeps nothing once closed', () => {
    const before = openFds()
    const tracefs = new Tracefs(support.bpf.sys)
    expect(openFds()).toBe(before)
    tracefs.id('sched/sched_switch')
    tracefs.close()
    tracefs.close()
    expect(openFds()).toBe(before)
  })
})
