import { describe, expect, it } from 'vitest'
import type { MapView } from '../../event/view.ts'
import { tableOf } from './table.ts'

const options = { rows: 10, width: 60, color: false }
const view = (entries: MapView['entries'], lost?: bigint): MapView => ({ name: 'counts', entries, lost })

describe('a table', () => {
  it('has the largest first, and bars for how the rest compares', () => {
    const lines = tableOf(
      view([
        { key: 'sh', value: 2n },
        { key: 'node', value: 1234n },
        { key: 'true', value: 617n },
      ]),
      options,
    )
    expect(lines).toEqual([
      'counts  3 keys, 1,853 in total',
      '  node  1,234  ████████████████████████',
      '  true    617  ████████████',
      '  sh        2  ▏',
    ])
  })

  it('has a column for each member of a struct, in keys and values', () => {
    const lines = tableOf(
      view([
        { key: { protocol: 'udp', port: 53 }, value: { packets: 2n, bytes: 100n } },
        { key: { protocol: 'tcp', port: 5432 }, value: { packets: 40n, bytes: 9000n } },
      ]),
      { ...options, width: 30 },
    )
    expect(lines).toEqual([
      'counts  2 keys',
      '  protocol  port  packets  bytes',
      '  tcp       5432       40  9,000',
      '  udp         53        2    100',
    ])
  })

  it('says how many rows it left out, and what was lost', () => {
    const entries = Array.from({ length: 12 }, (_, i) => ({ key: `k${i}`, value: BigInt(i) }))
    const lines = tableOf(view(entries, 1500n), { ...options, rows: 2 })
    expect(lines.slice(-2)).toEqual(['  … and 10 more', '  1,500 not counted: the map was full'])
  })

  it('never passes control characters on to the terminal', () => {
    const lines = tableOf(view([{ key: '\x1b[31mred\n', value: 1n }]), options)
    expect(lines[1]).toContain('\\x1b[31mred\\x0a')
  })

  it('of nothing is a title', () => {
    expect(tableOf(view([]), options)).toEqual(['counts  0 keys'])
  })
})
