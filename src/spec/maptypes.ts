// MAP_ROWS: what each map type takes as key and value, which flags it may be created with, and what can be
// done with it. From the map_alloc_check functions in kernel/bpf (arraymap.c, hashtab.c, ringbuf.c and so on),
// with the flags as Linux 6.18 answers BPF_MAP_CREATE for each of them.

import { FLAGS, MAP_TYPES } from './gen/uapi.ts'
import type { MapTypeRow } from './maptype.ts'
import type { MapTypeName } from './names.ts'

const {
  f_no_prealloc: NO_PREALLOC,
  f_no_common_lru: NO_COMMON_LRU,
  f_numa_node: NUMA,
  f_stack_build_id: BUILD_ID,
  f_zero_seed: ZERO_SEED,
  f_clone: CLONE,
  f_mmapable: MMAPABLE,
  f_preserve_elems: PRESERVE,
  f_inner_map: INNER,
  f_link: LINK,
  f_segv_on_fault: SEGV,
  f_no_user_conv: NO_CONV,
} = FLAGS
/** From user space. */
const USER_ACCESS = FLAGS.f_rdonly | FLAGS.f_wronly
/** From user space, and from programs. */
const ACCESS = USER_ACCESS | FLAGS.f_rdonly_prog | FLAGS.f_wronly_prog
const HASH = NO_PREALLOC | NUMA | ACCESS | ZERO_SEED
const LRU = NO_COMMON_LRU | NUMA | ACCESS | ZERO_SEED
const STORAGE = NO_PREALLOC | CLONE

type Row = readonly [
  MapTypeName,
  since: string,
  key: MapTypeRow['key'],
  values: MapTypeRow['values'],
  flags: number,
  deletes: boolean,
  options?: Pick<MapTypeRow, 'direct' | 'ring'>,
]

// biome-ignore format: a table is read by its columns
const ROWS: readonly Row[] = [
  ['hash', '3.19', 'any', 'memory', HASH, true],
  ['array', '3.19', 'u32', 'memory', NUMA | MMAPABLE | ACCESS | INNER, false, { direct: true }],
  ['prog_array', '4.2', 'u32', 'fd', NUMA | USER_ACCESS, true],
  ['perf_event_array', '4.3', 'u32', 'fd', NUMA | USER_ACCESS | PRESERVE, true],
  ['percpu_hash', '4.6', 'any', 'percpu', HASH & ~NUMA, true],
  ['percpu_array', '4.6', 'u32', 'percpu', ACCESS, false],
  ['stack_trace', '4.6', 'u32', 'memory', NUMA | USER_ACCESS | BUILD_ID, true],
  ['cgroup_array', '4.8', 'u32', 'fd', NUMA | USER_ACCESS, true],
  ['lru_hash', '4.10', 'any', 'memory', LRU, true],
  ['lru_percpu_hash', '4.10', 'any', 'percpu', LRU & ~NUMA, true],
  ['lpm_trie', '4.11', 'any', 'memory', NO_PREALLOC | NUMA | ACCESS, true],
  ['array_of_maps', '4.12', 'u32', 'fd', NUMA | USER_ACCESS, true],
  ['hash_of_maps', '4.12', 'any', 'fd', HASH, true],
  ['devmap', '4.14', 'u32', 'memory', NUMA | USER_ACCESS, true],
  ['sockmap', '4.14', 'u32', 'fd', NUMA | USER_ACCESS, true],
  ['cpumap', '4.15', 'u32', 'memory', NUMA, true],
  ['xskmap', '4.18', 'u32', 'fd', NUMA | USER_ACCESS, true],
  ['sockhash', '4.18', 'any', 'fd', NUMA | USER_ACCESS, true],
  ['cgroup_storage', '4.19', 'any', 'memory', NUMA | ACCESS, false],
  ['reuseport_sockarray', '4.19', 'u32', 'fd', NUMA | ACCESS, true],
  ['percpu_cgroup_storage', '4.20', 'any', 'percpu', NUMA | ACCESS, false],
  ['queue', '4.20', 'none', 'memory', NUMA | ACCESS, false],
  ['stack', '4.20', 'none', 'memory', NUMA | ACCESS, false],
  ['sk_storage', '5.2', 'u32', 'memory', STORAGE, true],
  ['devmap_hash', '5.4', 'u32', 'memory', NUMA | USER_ACCESS, true],
  ['struct_ops', '5.6', 'u32', 'memory', LINK, true],
  ['ringbuf', '5.8', 'none', 'records', NUMA, false, { ring: true }],
  ['inode_storage', '5.10', 'u32', 'memory', STORAGE, true],
  ['task_storage', '5.11', 'u32', 'memory', STORAGE, true],
  ['bloom_filter', '5.16', 'none', 'memory', NUMA | ACCESS | ZERO_SEED, false],
  ['user_ringbuf', '6.1', 'none', 'records', NUMA, false, { ring: true }],
  ['cgrp_storage', '6.2', 'u32', 'memory', STORAGE, true],
  ['arena', '6.9', 'none', 'none', MMAPABLE | SEGV | NO_CONV, false],
]

/** Every map type, by id. */
export const MAP_ROWS: readonly MapTypeRow[] = ROWS.map(([name, since, key, values, flags, deletes, options]) => ({
  name,
  id: MAP_TYPES[name],
  since,
  key,
  values,
  flags,
  deletes,
  ...options,
}))
