// PROG_ROWS: what each program type is given, may touch and must return. Sections are libbpf's; context rules are
// those of the is_valid_access functions (net/core/filter.c, kernel/trace/bpf_trace.c), return ranges those of
// check_return_code in kernel/bpf/verifier.c. Offsets come from the generated layouts.

import { PROG_TYPES, STRUCT_SIZES, STRUCTS } from './gen/uapi.ts'
import type { CtxField, CtxKind, ProgTypeRow } from './progtype.ts'

type SkbField = keyof typeof STRUCTS.__sk_buff
type XdpField = keyof typeof STRUCTS.xdp_md

/** How a field of __sk_buff is accessed: a number to be read in part too unless something else is said. */
const SKB_RULES: Readonly<Partial<Record<SkbField, Partial<CtxField>>>> = {
  data: { kind: 'packet', narrow: 4 },
  data_end: { kind: 'packet_end', narrow: 4 },
  data_meta: { kind: 'packet_meta', narrow: 4 },
  remote_ip4: { narrow: 4 },
  local_ip4: { narrow: 4 },
  remote_ip6: { narrow: 4 },
  local_ip6: { narrow: 4 },
  tstamp: { narrow: 8 },
  sk: { kind: 'socket_or_null', narrow: 8 },
  hwtstamp: { narrow: 8 },
  cb: { narrowWrite: 1, area: true },
}

/** Fields that are arrays of u32, each of whose elements is a field to a program. */
const SKB_ARRAYS: readonly string[] = ['cb', 'remote_ip6', 'local_ip6'] satisfies readonly SkbField[]

/** What every type that sees a packet as __sk_buff may read. */
const SKB_COMMON: readonly SkbField[] = [
  ...(['len', 'pkt_type', 'mark', 'queue_mapping', 'protocol', 'vlan_present', 'vlan_tci', 'vlan_proto'] as const),
  ...(['priority', 'ingress_ifindex', 'ifindex', 'tc_index', 'cb', 'hash', 'napi_id'] as const),
  ...(['gso_segs', 'sk', 'gso_size'] as const),
]
const SKB_ADDRESSES: readonly SkbField[] = [
  ...(['family', 'remote_ip4', 'local_ip4', 'remote_ip6', 'local_ip6', 'remote_port', 'local_port'] as const),
]

function skb(readable: readonly SkbField[], writable: readonly SkbField[]): CtxField[] {
  return readable
    .flatMap((name) => {
      const { offset, size } = STRUCTS.__sk_buff[name]
      const rule = { kind: 'scalar' as CtxKind, narrow: 1, writable: writable.includes(name), ...SKB_RULES[name] }
      if (!SKB_ARRAYS.includes(name)) return [{ name, offset, size, ...rule }]
      return Array.from({ length: size / 4 }, (_, i) => ({
        name: `${name}[${i}]`,
        offset: offset + i * 4,
        size: 4,
        ...rule,
      }))
    })
    .sort((a, b) => a.offset - b.offset)
}

const TC_FIELDS: readonly CtxField[] = skb(
  [...SKB_COMMON, 'data', 'data_end', 'data_meta', 'tc_classid', 'tstamp', 'wire_len', 'tstamp_type', 'hwtstamp'],
  ['mark', 'tc_index', 'priority', 'tc_classid', 'cb', 'tstamp', 'queue_mapping'],
)

/** Whole fields only. egress_ifindex is for programs in a devmap alone, which are attached by that map. */
function xdp(fields: Readonly<Partial<Record<XdpField, CtxKind>>>): CtxField[] {
  return Object.entries(fields).map(([name, kind]) => ({
    name,
    ...STRUCTS.xdp_md[name as XdpField],
    kind,
    writable: false,
  }))
}

/** The registers of an interrupted task, in whole words, then the sample's own fields. */
function perfEvent(): CtxField[] {
  const { regs, sample_period, addr } = STRUCTS.bpf_perf_event_data
  const registers = Object.entries(regs).filter(
    ([, field]) => 'offset' in field && field.offset % 8 === 0 && field.size === 8,
  )
  return [
    ...registers.map(
      ([name], i): CtxField => ({ name: `regs.${name}`, offset: i * 8, size: 8, kind: 'scalar', writable: false }),
    ),
    { name: 'sample_period', ...sample_period, kind: 'scalar', writable: false, narrow: 1 },
    { name: 'addr', ...addr, kind: 'scalar', writable: false, narrow: 1 },
  ]
}

/** PERF_MAX_TRACE_SIZE: no tracepoint record is larger (include/linux/trace_events.h). */
const LARGEST_RECORD = 8192
/** MAX_BPF_FUNC_ARGS words: the arguments of a raw tracepoint (include/linux/filter.h). */
const RAW_ARGS = 12 * 8
/** The largest context of a syscall program (U16_MAX). */
const LARGEST_SYSCALL_CTX = 0xffff

const ROWS: readonly Omit<ProgTypeRow, 'id'>[] = [
  {
    name: 'socket_filter',
    since: '3.19',
    sections: ['socket'],
    ctx: '__sk_buff',
    fields: skb(SKB_COMMON, ['cb']),
    testRun: 'packet',
  },
  {
    name: 'kprobe',
    since: '4.1',
    sections: [
      'kprobe/',
      'kretprobe/',
      'uprobe/',
      'uretprobe/',
      'uprobe.s/',
      'uretprobe.s/',
      'usdt/',
      'ksyscall/',
      'kretsyscall/',
    ],
    ctx: 'pt_regs',
    fields: { raw: STRUCT_SIZES.pt_regs },
    tracing: true,
  },
  {
    name: 'sched_cls',
    since: '4.1',
    sections: [
      'tc',
      'tcx/ingress',
      'tcx/egress',
      'tc/ingress',
      'tc/egress',
      'classifier',
      'netkit/primary',
      'netkit/peer',
    ],
    ctx: '__sk_buff',
    fields: TC_FIELDS,
    packet: 'write',
    testRun: 'packet',
  },
  {
    name: 'sched_act',
    since: '4.1',
    sections: ['action'],
    ctx: '__sk_buff',
    fields: TC_FIELDS,
    packet: 'write',
    testRun: 'packet',
  },
  {
    name: 'tracepoint',
    since: '4.7',
    sections: ['tracepoint/', 'tp/'],
    ctx: 'void',
    // The common_* fields are not there: the kernel keeps a pointer in their place.
    fields: { raw: LARGEST_RECORD, from: 8 },
    tracing: true,
  },
  {
    name: 'xdp',
    since: '4.8',
    sections: ['xdp', 'xdp.frags'],
    ctx: 'xdp_md',
    fields: xdp({
      data: 'packet',
      data_end: 'packet_end',
      data_meta: 'packet_meta',
      ingress_ifindex: 'scalar',
      rx_queue_index: 'scalar',
    }),
    packet: 'write',
    testRun: 'packet',
  },
  {
    name: 'perf_event',
    since: '4.9',
    sections: ['perf_event'],
    ctx: 'bpf_perf_event_data',
    fields: perfEvent(),
    tracing: true,
  },
  {
    // Only cgroup_skb/egress may return 2 and 3 as well (congestion); 0 and 1 are right on both sides.
    name: 'cgroup_skb',
    since: '4.10',
    sections: ['cgroup_skb/ingress', 'cgroup_skb/egress', 'cgroup/skb'],
    ctx: '__sk_buff',
    fields: skb(
      [...SKB_COMMON, ...SKB_ADDRESSES, 'data', 'data_end', 'tstamp', 'hwtstamp'],
      ['mark', 'priority', 'cb', 'tstamp'],
    ),
    packet: 'read',
    returns: [0, 1],
    testRun: 'packet',
  },
  {
    name: 'raw_tracepoint',
    since: '4.17',
    sections: ['raw_tracepoint/', 'raw_tp/'],
    ctx: 'bpf_raw_tracepoint_args',
    fields: { raw: RAW_ARGS },
    testRun: 'ctx',
    tracing: true,
  },
  {
    name: 'syscall',
    since: '5.14',
    sections: ['syscall'],
    ctx: 'void',
    fields: { raw: LARGEST_SYSCALL_CTX, writable: true },
    testRun: 'ctx',
  },
]

/** The program types that Waggle knows, by id. */
export const PROG_ROWS: readonly ProgTypeRow[] = ROWS.map((row) => ({ id: PROG_TYPES[row.name], ...row }))

/**
 * The program type and target of a libbpf section name: `tracepoint/sched/sched_process_exec` is a tracepoint on
 * `sched/sched_process_exec`. Undefined if no type has such a section.
 */
export function sectionOf(
  section: string,
  rows: Iterable<ProgTypeRow>,
): { row: ProgTypeRow; target?: string } | undefined {
  for (const row of rows) {
    for (const prefix of row.sections) {
      if (section === prefix || section === prefix.replace(/\/$/, '')) return { row }
      const stem = prefix.endsWith('/') ? prefix : `${prefix}/`
      if (section.startsWith(stem) && !row.sections.includes(section))
        return { row, target: section.slice(stem.length) }
    }
  }
  return undefined
}
