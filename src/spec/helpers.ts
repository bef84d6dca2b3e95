// HELPERS: what the kernel's helper functions take, give and ask for, one row each. Argument types are those of
// the bpf_func_proto structs (kernel/bpf/helpers.c, ringbuf.c and stackmap.c, kernel/trace/bpf_trace.c,
// net/core/filter.c), program types and licences as Linux 6.18 answers a load of each helper in each type,
// releases as the histories of include/uapi/linux/bpf.h have them. Ids and prototypes are generated.
//
// Left out are helpers that only program types without a row here may call (sock_ops, sk_msg, cgroup_sock_addr,
// lirc, LSM and others), and of a helper that takes something else in a type, that type.

import { PROTOS } from './gen/protos.ts'
import { HELPER_IDS } from './gen/uapi.ts'
import type { ArgType, HelperName, HelperRow, RetType } from './helper.ts'
import type { MapTypeName, ProgTypeName } from './names.ts'

const TC: readonly ProgTypeName[] = ['sched_cls', 'sched_act']
const TC_XMIT: readonly ProgTypeName[] = [...TC, 'lwt_xmit']
const TC_XDP: readonly ProgTypeName[] = [...TC, 'xdp']
const TC_CGROUP: readonly ProgTypeName[] = [...TC, 'cgroup_skb']
const TC_LWT: readonly ProgTypeName[] = [...TC, 'lwt_in', 'lwt_out', 'lwt_xmit', 'lwt_seg6local']
const TRACING: readonly ProgTypeName[] = [
  'kprobe',
  'tracepoint',
  'perf_event',
  'raw_tracepoint',
  'raw_tracepoint_writable',
]
const TRACING_SYSCALL: readonly ProgTypeName[] = [...TRACING, 'syscall']
/** bpf_sk_base_func_proto's callers. */
const SOCKETS: readonly ProgTypeName[] = [
  ...([
    'socket_filter',
    ...TC_XDP,
    'cgroup_skb',
    'lwt_in',
    'lwt_out',
    'lwt_xmit',
    'lwt_seg6local',
    'sock_ops',
  ] as const),
  ...(['sk_skb', 'sk_msg', 'cgroup_sock_addr', 'flow_dissector', 'sk_lookup', 'syscall'] as const),
]
const LOOKUPS: readonly ProgTypeName[] = [...TC_XDP, 'cgroup_skb', 'sk_skb', 'cgroup_sock_addr']
const OUTPUT: readonly ProgTypeName[] = [
  ...([
    'socket_filter',
    ...TC_XDP,
    'cgroup_skb',
    'lwt_in',
    'lwt_out',
    'lwt_xmit',
    'lwt_seg6local',
    'sock_ops',
  ] as const),
  ...(['sk_skb', 'sk_msg', 'sk_lookup', 'cgroup_sock', 'cgroup_device', 'cgroup_sock_addr', 'cgroup_sysctl'] as const),
  ...(['cgroup_sockopt', ...TRACING_SYSCALL] as const),
]

/** Maps whose elements programs reach with the general functions (check_map_func_compatibility has no rule for them). */
const PLAIN: readonly MapTypeName[] = [
  ...(['hash', 'array', 'percpu_hash', 'percpu_array', 'lru_hash', 'lru_percpu_hash', 'lpm_trie'] as const),
]
const SOCKMAPS: readonly MapTypeName[] = ['sockmap', 'sockhash']
const REDIRECTS: readonly MapTypeName[] = ['devmap', 'devmap_hash', 'cpumap', 'xskmap']
const PERF: readonly MapTypeName[] = ['perf_event_array']
const RING: readonly MapTypeName[] = ['ringbuf']

type Options = Omit<Partial<HelperRow>, 'name' | 'id' | 'since' | 'args' | 'ret' | 'programs'>
type Row = readonly [HelperName, since: string, RetType, readonly ArgType[], 'all' | readonly ProgTypeName[], Options?]

const GPL: Options = { gpl: true }
const PERFMON: Options = { needs: 'perfmon' }
const GPL_PERFMON: Options = { gpl: true, needs: 'perfmon' }
const CHANGES: Options = { changesPacket: true }
const ctx5: readonly ArgType[] = ['ctx', 'anything', 'anything', 'anything', 'anything']
const lookup5: readonly ArgType[] = ['ctx', 'mem', 'const_size_or_zero', 'anything', 'anything']
const probe3: readonly ArgType[] = ['uninit_mem', 'const_size_or_zero', 'anything']
const cookie5: readonly ArgType[] = ['btf_sock_common', 'mem', 'const_size', 'mem', 'const_size']

// biome-ignore format: a table is read by its columns
const ROWS: readonly Row[] = [
  // Maps
  ['map_lookup_elem', '3.19', 'map_value_or_null', ['const_map_ptr', 'map_key'], 'all',
    { packet: true, maps: [...PLAIN, 'array_of_maps', 'hash_of_maps', ...SOCKMAPS, 'devmap', 'devmap_hash', 'xskmap'] }],
  ['map_update_elem', '3.19', 'integer', ['const_map_ptr', 'map_key', 'map_value', 'anything'], 'all',
    { packet: true, maps: [...PLAIN, ...SOCKMAPS] }],
  ['map_delete_elem', '3.19', 'integer', ['const_map_ptr', 'map_key'], 'all', { packet: true, maps: [...PLAIN, ...SOCKMAPS] }],
  ['map_push_elem', '4.20', 'integer', ['const_map_ptr', 'map_value', 'anything'], 'all',
    { packet: true, maps: ['queue', 'stack', 'bloom_filter'] }],
  ['map_pop_elem', '4.20', 'integer', ['const_map_ptr', 'uninit_map_value'], 'all', { maps: ['queue', 'stack'] }],
  ['map_peek_elem', '4.20', 'integer', ['const_map_ptr', 'uninit_map_value'], 'all', { maps: ['queue', 'stack', 'bloom_filter'] }],
  ['map_lookup_percpu_elem', '5.19', 'map_value_or_null', ['const_map_ptr', 'map_key', 'anything'], 'all',
    { packet: true, maps: ['percpu_array', 'percpu_hash', 'lru_percpu_hash'] }],
  ['for_each_map_elem', '5.13', 'integer', ['const_map_ptr', 'func', 'stack_or_null', 'anything'], 'all',
    { maps: ['hash', 'array', 'percpu_hash', 'percpu_array', 'lru_hash', 'lru_percpu_hash'] }],
  ['tail_call', '4.2', 'void', ['ctx', 'const_map_ptr', 'anything'], 'all', { changesPacket: true, maps: ['prog_array'] }],
  ['get_local_storage', '4.19', 'map_value', ['const_map_ptr', 'anything'],
    ['cgroup_skb', 'cgroup_sock', 'sock_ops', 'cgroup_device', 'cgroup_sock_addr', 'cgroup_sysctl', 'cgroup_sockopt'],
    { maps: ['cgroup_storage', 'percpu_cgroup_storage'] }],
  ['task_storage_get', '5.11', 'map_value_or_null', ['const_map_ptr', 'btf_id', 'map_value', 'anything'], 'all',
    { maps: ['task_storage'], nullable: [1, 2] }],
  ['task_storage_delete', '5.11', 'integer', ['const_map_ptr', 'btf_id'], 'all', { maps: ['task_storage'], nullable: [1] }],
  ['cgrp_storage_get', '6.2', 'map_value_or_null', ['const_map_ptr', 'btf_id', 'map_value', 'anything'], 'all',
    { maps: ['cgrp_storage'], nullable: [1, 2],
      proto: 'void *bpf_cgrp_storage_get(struct bpf_map *map, struct cgroup *cgroup, void *value, u64 flags)' }],
  ['cgrp_storage_delete', '6.2', 'integer', ['const_map_ptr', 'btf_id'], 'all',
    { maps: ['cgrp_storage'], nullable: [1], proto: 'long bpf_cgrp_storage_delete(struct bpf_map *map, struct cgroup *cgroup)' }],
  ['sk_storage_get', '5.2', 'map_value_or_null', ['const_map_ptr', 'btf_sock_common', 'map_value', 'anything'],
    [...TC_CGROUP, 'sock_ops', 'sk_msg', 'cgroup_sock_addr', 'cgroup_sockopt'], { maps: ['sk_storage'], nullable: [2] }],
  ['sk_storage_delete', '5.2', 'integer', ['const_map_ptr', 'btf_sock_common'],
    [...TC_CGROUP, 'sock_ops', 'sk_msg', 'cgroup_sock_addr', 'cgroup_sockopt'], { maps: ['sk_storage'] }],

  // Time, chance, where
  ['ktime_get_ns', '4.1', 'integer', [], 'all'],
  ['ktime_get_boot_ns', '5.8', 'integer', [], 'all'],
  ['ktime_get_coarse_ns', '5.11', 'integer', [],
    [...SOCKETS.filter((type) => type !== 'syscall'), 'cgroup_sock', 'sk_reuseport', 'cgroup_sysctl']],
  ['ktime_get_tai_ns', '6.1', 'integer', [], 'all'],
  ['jiffies64', '5.6', 'integer', [], 'all'],
  ['get_prandom_u32', '4.1', 'integer', [], 'all'],
  ['get_smp_processor_id', '4.1', 'integer', [], 'all'],
  ['get_numa_node_id', '4.10', 'integer', [], 'all'],

  // The task that runs
  ['get_current_pid_tgid', '4.2', 'integer', [], 'all'],
  ['get_current_uid_gid', '4.2', 'integer', [], 'all'],
  ['get_current_comm', '4.2', 'integer', ['uninit_mem', 'const_size'], 'all', PERFMON],
  ['get_current_task', '4.8', 'integer', [], 'all', GPL_PERFMON],
  ['get_current_task_btf', '5.11', 'btf_id', [], 'all', GPL_PERFMON],
  ['task_pt_regs', '5.15', 'btf_id', ['btf_id'], 'all', GPL_PERFMON],
  ['get_current_cgroup_id', '4.18', 'integer', [], 'all'],
  ['get_current_ancestor_cgroup_id', '5.7', 'integer', ['anything'], 'all'],
  ['current_task_under_cgroup', '4.9', 'integer', ['const_map_ptr', 'anything'], 'all', { maps: ['cgroup_array'] }],
  ['get_ns_current_pid_tgid', '5.7', 'integer', ['anything', 'anything', 'uninit_mem', 'const_size'], 'all'],
  ['get_cgroup_classid', '4.3', 'integer', ['ctx'], 'all'],
  ['send_signal', '5.3', 'integer', ['anything'], 'all', PERFMON],
  ['send_signal_thread', '5.6', 'integer', ['anything'], 'all', PERFMON],
  ['find_vma', '5.17', 'integer', ['btf_id', 'anything', 'func', 'stack_or_null', 'anything'], 'all', PERFMON],

  // Memory elsewhere
  ['probe_read', '4.1', 'integer', probe3, TRACING_SYSCALL, GPL],
  ['probe_read_str', '4.11', 'integer', probe3, TRACING_SYSCALL, GPL],
  ['probe_read_user', '5.5', 'integer', probe3, 'all', GPL_PERFMON],
  ['probe_read_kernel', '5.5', 'integer', probe3, 'all', GPL_PERFMON],
  ['probe_read_user_str', '5.5', 'integer', probe3, 'all', GPL_PERFMON],
  ['probe_read_kernel_str', '5.5', 'integer', probe3, 'all', GPL_PERFMON],
  ['copy_from_user', '5.10', 'integer', probe3, 'all', { needs: 'perfmon', sleeps: true }],
  ['copy_from_user_task', '5.18', 'integer', [...probe3, 'btf_id', 'anything'], 'all', { gpl: true, needs: 'perfmon', sleeps: true }],
  ['per_cpu_ptr', '5.10', 'btf_id_or_null', ['percpu_btf_id', 'anything'], 'all'],
  ['this_cpu_ptr', '5.10', 'mem_or_btf_id', ['percpu_btf_id'], 'all'],

  // Events and text
  ['trace_printk', '4.1', 'integer', ['mem', 'const_size'], 'all', GPL_PERFMON],
  ['trace_vprintk', '5.16', 'integer', ['mem', 'const_size', 'mem_or_null', 'const_size_or_zero'], 'all', GPL_PERFMON],
  ['snprintf', '5.13', 'integer', ['mem_or_null', 'const_size_or_zero', 'const_str', 'mem_or_null', 'const_size_or_zero'], 'all',
    { gpl: true, needs: 'perfmon', writes: [0] }],
  ['snprintf_btf', '5.10', 'integer', ['mem', 'const_size', 'mem', 'const_size', 'anything'], 'all', { needs: 'perfmon', writes: [0] }],
  ['strtol', '5.2', 'integer', ['mem', 'const_size', 'anything', 'uninit_fixed_mem'], 'all', { argSizes: { 3: 8 } }],
  ['strtoul', '5.2', 'integer', ['mem', 'const_size', 'anything', 'uninit_fixed_mem'], 'all', { argSizes: { 3: 8 } }],
  ['strncmp', '5.17', 'integer', ['mem', 'const_size', 'const_str'], 'all'],
  ['perf_event_output', '4.4', 'integer', ['ctx', 'const_map_ptr', 'anything', 'mem', 'const_size_or_zero'], OUTPUT,
    { gpl: true, maps: PERF }],
  ['perf_event_read', '4.3', 'integer', ['const_map_ptr', 'anything'], 'all', { ...GPL_PERFMON, maps: PERF }],
  ['perf_event_read_value', '4.15', 'integer', ['const_map_ptr', 'anything', 'uninit_mem', 'const_size'], 'all',
    { ...GPL_PERFMON, maps: PERF }],
  ['perf_prog_read_value', '4.15', 'integer', ['ctx', 'uninit_mem', 'const_size'], ['perf_event'], GPL],
  ['read_branch_records', '5.6', 'integer', ['ctx', 'mem_or_null', 'const_size_or_zero', 'anything'], ['perf_event'],
    { gpl: true, writes: [1] }],
  ['get_branch_snapshot', '5.16', 'integer', probe3, 'all', GPL_PERFMON],
  ['get_stackid', '4.6', 'integer', ['ctx', 'const_map_ptr', 'anything'], TRACING_SYSCALL, { gpl: true, maps: ['stack_trace'] }],
  ['get_stack', '4.18', 'integer', ['ctx', 'uninit_mem', 'const_size_or_zero', 'anything'], TRACING_SYSCALL, GPL],
  ['get_task_stack', '5.9', 'integer', ['btf_id', 'uninit_mem', 'const_size_or_zero', 'anything'], 'all', PERFMON],
  ['get_func_ip', '5.15', 'integer', ['ctx'], ['kprobe'], GPL],
  ['get_attach_cookie', '5.15', 'integer', ['ctx'], TRACING],
  ['ringbuf_output', '5.8', 'integer', ['const_map_ptr', 'mem', 'const_size_or_zero', 'anything'], 'all', { maps: RING }],
  ['ringbuf_reserve', '5.8', 'ringbuf_mem_or_null', ['const_map_ptr', 'const_alloc_size_or_zero', 'anything'], 'all',
    { maps: RING, acquires: true }],
  ['ringbuf_submit', '5.8', 'void', ['ringbuf_mem', 'anything'], 'all', { releases: 0 }],
  ['ringbuf_discard', '5.8', 'void', ['ringbuf_mem', 'anything'], 'all', { releases: 0 }],
  ['ringbuf_query', '5.8', 'integer', ['const_map_ptr', 'anything'], 'all', { maps: RING }],
  ['ringbuf_reserve_dynptr', '5.19', 'integer', ['const_map_ptr', 'anything', 'anything', 'uninit_dynptr'], 'all', { maps: RING }],
  ['ringbuf_submit_dynptr', '5.19', 'void', ['dynptr', 'anything'], 'all', { releases: 0 }],
  ['ringbuf_discard_dynptr', '5.19', 'void', ['dynptr', 'anything'], 'all', { releases: 0 }],
  ['user_ringbuf_drain', '6.1', 'integer', ['const_map_ptr', 'func', 'stack_or_null', 'anything'], 'all', { maps: ['user_ringbuf'] }],
  ['dynptr_from_mem', '5.19', 'integer', ['uninit_mem', 'const_size_or_zero', 'anything', 'uninit_dynptr'], 'all'],
  ['dynptr_read', '5.19', 'integer', ['uninit_mem', 'const_size_or_zero', 'dynptr', 'anything', 'anything'], 'all'],
  ['dynptr_write', '5.19', 'integer', ['dynptr', 'anything', 'mem', 'const_size_or_zero', 'anything'], 'all'],
  ['dynptr_data', '5.19', 'dynptr_mem_or_null', ['dynptr', 'anything', 'const_alloc_size_or_zero'], 'all'],

  // Loops, locks, timers, objects
  ['loop', '5.17', 'integer', ['anything', 'func', 'stack_or_null', 'anything'], 'all'],
  ['spin_lock', '5.1', 'void', ['spin_lock'], 'all'],
  ['spin_unlock', '5.1', 'void', ['spin_lock'], 'all'],
  ['timer_init', '5.15', 'integer', ['timer', 'const_map_ptr', 'anything'], 'all', GPL],
  ['timer_set_callback', '5.15', 'integer', ['timer', 'func'], 'all', GPL],
  ['timer_start', '5.15', 'integer', ['timer', 'anything', 'anything'], 'all', GPL],
  ['timer_cancel', '5.15', 'integer', ['timer'], 'all', GPL],
  ['kptr_xchg', '5.19', 'btf_id_or_null', ['kptr', 'btf_id'], 'all', { nullable: [1], releases: 1, acquires: true }],

  // Packets: sk_buff
  ['skb_load_bytes', '4.5', 'integer', ['ctx', 'anything', 'uninit_mem', 'const_size'],
    ['socket_filter', ...TC_LWT, 'cgroup_skb', 'sk_skb', 'sk_reuseport', 'flow_dissector']],
  ['skb_load_bytes_relative', '4.18', 'integer', ['ctx', 'anything', 'uninit_mem', 'const_size', 'anything'],
    ['socket_filter', ...TC_CGROUP, 'sk_reuseport']],
  ['skb_store_bytes', '4.1', 'integer', ['ctx', 'anything', 'mem', 'const_size', 'anything'], [...TC_XMIT, 'sk_skb'], CHANGES],
  ['skb_pull_data', '4.9', 'integer', ['ctx', 'anything'], [...TC_LWT, 'sk_skb'], CHANGES],
  ['l3_csum_replace', '4.1', 'integer', ctx5, TC_XMIT, CHANGES],
  ['l4_csum_replace', '4.1', 'integer', ctx5, TC_XMIT, CHANGES],
  ['csum_diff', '4.6', 'integer', ['mem_or_null', 'const_size_or_zero', 'mem_or_null', 'const_size_or_zero', 'anything'],
    [...TC_LWT, 'xdp'], { packet: true }],
  ['csum_update', '4.9', 'integer', ['ctx', 'anything'], TC_XMIT],
  ['csum_level', '5.8', 'integer', ['ctx', 'anything'], TC_XMIT],
  ['clone_redirect', '4.2', 'integer', ['ctx', 'anything', 'anything'], TC_XMIT, CHANGES],
  ['redirect', '4.4', 'integer', ['anything', 'anything'], [...TC_XMIT, 'xdp']],
  ['redirect_neigh', '5.10', 'integer', ['anything', 'mem_or_null', 'const_size_or_zero', 'anything'], TC],
  ['redirect_peer', '5.10', 'integer', ['anything', 'anything'], TC],
  ['skb_vlan_push', '4.3', 'integer', ['ctx', 'anything', 'anything'], TC, CHANGES],
  ['skb_vlan_pop', '4.3', 'integer', ['ctx'], TC, CHANGES],
  ['skb_change_proto', '4.8', 'integer', ['ctx', 'anything', 'anything'], TC, CHANGES],
  ['skb_change_type', '4.8', 'integer', ['ctx', 'anything'], TC],
  ['skb_change_tail', '4.9', 'integer', ['ctx', 'anything', 'anything'], [...TC_XMIT, 'sk_skb'], CHANGES],
  ['skb_change_head', '4.10', 'integer', ['ctx', 'anything', 'anything'], [...TC_XMIT, 'sk_skb'], CHANGES],
  ['skb_adjust_room', '4.13', 'integer', ['ctx', 'anything', 'anything', 'anything'], [...TC, 'sk_skb'], CHANGES],
  ['skb_get_tunnel_key', '4.3', 'integer', ['ctx', 'uninit_mem', 'const_size', 'anything'], TC_XMIT],
  ['skb_set_tunnel_key', '4.3', 'integer', ['ctx', 'mem', 'const_size', 'anything'], TC_XMIT],
  ['skb_get_tunnel_opt', '4.6', 'integer', ['ctx', 'uninit_mem', 'const_size'], TC_XMIT],
  ['skb_set_tunnel_opt', '4.6', 'integer', ['ctx', 'mem', 'const_size'], TC_XMIT],
  ['skb_get_xfrm_state', '4.18', 'integer', ['ctx', 'anything', 'uninit_mem', 'const_size', 'anything'], TC],
  ['skb_set_tstamp', '5.18', 'integer', ['ctx', 'anything', 'anything'], TC],
  ['skb_under_cgroup', '4.8', 'integer', ['ctx', 'const_map_ptr', 'anything'], TC_LWT, { maps: ['cgroup_array'] }],
  ['skb_cgroup_id', '4.18', 'integer', ['ctx'], TC_CGROUP],
  ['skb_ancestor_cgroup_id', '4.19', 'integer', ['ctx', 'anything'], TC_CGROUP],
  ['skb_cgroup_classid', '5.10', 'integer', ['ctx'], TC],
  ['skb_ecn_set_ce', '5.1', 'integer', ['ctx'], TC_CGROUP],
  ['get_route_realm', '4.4', 'integer', ['ctx'], TC_LWT],
  ['get_hash_recalc', '4.8', 'integer', ['ctx'], TC_LWT],
  ['set_hash_invalid', '4.9', 'integer', ['ctx'], TC_XMIT],
  ['set_hash', '4.13', 'integer', ['ctx', 'anything'], TC],
  ['get_socket_cookie', '4.12', 'integer', ['ctx'], ['socket_filter', ...TC_CGROUP, 'cgroup_sock', 'sock_ops', 'sk_skb', 'cgroup_sock_addr']],
  ['get_socket_uid', '4.12', 'integer', ['ctx'], ['socket_filter', ...TC_CGROUP, 'sk_skb']],
  ['get_netns_cookie', '5.7', 'integer', ['ctx'],
    ['socket_filter', ...TC_CGROUP, 'cgroup_sock', 'sock_ops', 'sk_msg', 'cgroup_sock_addr', 'cgroup_sockopt'], { nullable: [0] }],

  // Packets: XDP
  ['xdp_adjust_head', '4.10', 'integer', ['ctx', 'anything'], ['xdp'], CHANGES],
  ['xdp_adjust_meta', '4.15', 'integer', ['ctx', 'anything'], ['xdp'], CHANGES],
  ['xdp_adjust_tail', '4.18', 'integer', ['ctx', 'anything'], ['xdp'], CHANGES],
  ['xdp_get_buff_len', '5.18', 'integer', ['ctx'], ['xdp']],
  ['xdp_load_bytes', '5.18', 'integer', ['ctx', 'anything', 'uninit_mem', 'const_size'], ['xdp']],
  ['xdp_store_bytes', '5.18', 'integer', ['ctx', 'anything', 'mem', 'const_size'], ['xdp']],
  ['redirect_map', '4.14', 'integer', ['const_map_ptr', 'anything', 'anything'], ['xdp'], { maps: REDIRECTS }],

  // Routes and sockets
  ['fib_lookup', '4.18', 'integer', ['ctx', 'mem', 'const_size', 'anything'], TC_XDP, { gpl: true, writes: [1] }],
  ['check_mtu', '5.12', 'integer', ['ctx', 'anything', 'fixed_mem', 'anything', 'anything'], TC_XDP,
    { gpl: true, argSizes: { 2: 4 }, writes: [2] }],
  ['sk_lookup_tcp', '4.20', 'socket_or_null', lookup5, LOOKUPS, { packet: true, acquires: true }],
  ['sk_lookup_udp', '4.20', 'socket_or_null', lookup5, LOOKUPS, { packet: true, acquires: true }],
  ['skc_lookup_tcp', '5.2', 'sock_common_or_null', lookup5, LOOKUPS, { packet: true, acquires: true }],
  ['sk_release', '4.20', 'integer', ['btf_sock_common'], [...LOOKUPS, 'sk_lookup'], { releases: 0 }],
  ['sk_fullsock', '5.1', 'socket_or_null', ['sock_common'], TC_CGROUP],
  ['tcp_sock', '5.1', 'tcp_sock_or_null', ['sock_common'], [...TC_CGROUP, 'sock_ops', 'cgroup_sockopt']],
  ['get_listener_sock', '5.1', 'socket_or_null', ['sock_common'], TC_CGROUP],
  ['sk_assign', '5.7', 'integer', ['ctx', 'btf_sock_common', 'anything'], TC],
  ['sk_cgroup_id', '5.8', 'integer', ['btf_sock_common'], ['cgroup_skb']],
  ['sk_ancestor_cgroup_id', '5.8', 'integer', ['btf_sock_common', 'anything'], ['cgroup_skb']],
  ['skc_to_tcp6_sock', '5.9', 'btf_id_or_null', ['btf_sock_common'], SOCKETS, PERFMON],
  ['skc_to_tcp_sock', '5.9', 'btf_id_or_null', ['btf_sock_common'], SOCKETS, PERFMON],
  ['skc_to_tcp_timewait_sock', '5.9', 'btf_id_or_null', ['btf_sock_common'], SOCKETS, PERFMON],
  ['skc_to_tcp_request_sock', '5.9', 'btf_id_or_null', ['btf_sock_common'], SOCKETS, PERFMON],
  ['skc_to_udp6_sock', '5.9', 'btf_id_or_null', ['btf_sock_common'], SOCKETS, PERFMON],
  ['skc_to_unix_sock', '5.16', 'btf_id_or_null', ['btf_sock_common'], SOCKETS, PERFMON],
  ['skc_to_mptcp_sock', '5.19', 'btf_id_or_null', ['sock_common'], SOCKETS, PERFMON],
  ['tcp_check_syncookie', '5.2', 'integer', cookie5, TC_XDP, { gpl: true, packet: true }],
  ['tcp_gen_syncookie', '5.3', 'integer', cookie5, TC_XDP, { gpl: true, packet: true }],
  ['tcp_raw_gen_syncookie_ipv4', '6.0', 'integer', ['fixed_mem', 'mem', 'const_size_or_zero'], TC_XDP,
    { gpl: true, packet: true, argSizes: { 0: 20 } }],
  ['tcp_raw_gen_syncookie_ipv6', '6.0', 'integer', ['fixed_mem', 'mem', 'const_size_or_zero'], TC_XDP,
    { gpl: true, packet: true, argSizes: { 0: 40 } }],
  ['tcp_raw_check_syncookie_ipv4', '6.0', 'integer', ['fixed_mem', 'fixed_mem'], TC_XDP,
    { gpl: true, packet: true, argSizes: { 0: 20, 1: 20 } }],
  ['tcp_raw_check_syncookie_ipv6', '6.0', 'integer', ['fixed_mem', 'fixed_mem'], TC_XDP,
    { gpl: true, packet: true, argSizes: { 0: 40, 1: 20 } }],

  // Programs of type syscall
  ['sys_bpf', '5.14', 'integer', ['anything', 'mem', 'const_size'], ['syscall'], PERFMON],
  ['sys_close', '5.14', 'integer', ['anything'], ['syscall']],
  ['btf_find_by_name_kind', '5.14', 'integer', ['mem', 'const_size', 'anything', 'anything'], ['syscall']],
  ['kallsyms_lookup_name', '5.16', 'integer', ['mem', 'const_size_or_zero', 'anything', 'uninit_fixed_mem'], ['syscall'],
    { argSizes: { 3: 8 } }],
]

/** Every helper that is known, by id. */
export const HELPERS: readonly HelperRow[] = ROWS.map(([name, since, ret, args, programs, options]) => ({
  name,
  id: HELPER_IDS[name],
  since,
  args,
  ret,
  programs,
  gpl: false,
  proto: PROTOS[name] ?? '',
  ...options,
})).sort((a, b) => a.id - b.id)
