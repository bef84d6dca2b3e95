// Which map types the user engine has, and what a map must look like to be made (the kernel's map_alloc_check
// functions and Documentation/bpf/map_*.rst have the rules and their error numbers).

import { Diagnostic } from '../../../diag/diagnostic.ts'
import type { MapSpec } from '../../../object/spec.ts'
import type { MapTypeName } from '../../../spec/names.ts'
import type { Errno } from '../errno.ts'
import type { Memory } from '../memory.ts'
import { ArrayMap } from './array.ts'
import { BloomFilter } from './bloom.ts'
import { HashMap } from './hash.ts'
import { LpmTrie } from './lpm.ts'
import { MAP_FLAG, type UserMap } from './map.ts'
import { PerfEventArray } from './perf.ts'
import { QueueMap } from './queue.ts'
import { TargetArray, TargetHash, type Targets } from './redirect.ts'
import { RefArray, RefHash, wrongInner } from './refs.ts'
import { RingBuffer } from './ringbuf.ts'
import { StackTraceMap } from './stack-trace.ts'
import { UserRingBuffer } from './user-ringbuf.ts'

interface Kind {
  /** MAP_FLAG bits that may be given. */
  readonly flags: number
  /** What is wrong with the sizes, if anything. */
  readonly wrong: (spec: MapSpec) => string | undefined
  readonly make: (spec: MapSpec, memory: Memory, seed: number, targets: Targets) => UserMap
}

const { NO_PREALLOC, NO_COMMON_LRU, NUMA_NODE, RDONLY, WRONLY, ZERO_SEED, RDONLY_PROG, WRONLY_PROG } = MAP_FLAG
const { MMAPABLE, PRESERVE_ELEMS, INNER_MAP } = MAP_FLAG
const USER_ACCESS = RDONLY | WRONLY
const ACCESS = USER_ACCESS | RDONLY_PROG | WRONLY_PROG
const HASH_FLAGS = NO_PREALLOC | NUMA_NODE | ZERO_SEED | ACCESS
const LRU_FLAGS = (HASH_FLAGS & ~NO_PREALLOC) | NO_COMMON_LRU
const PAGE = 4096
/** Where the host says nothing: every interface, no socket. */
const ANY_TARGET: Targets = { hasInterface: () => true, hasSocket: () => false }

const positive = (spec: MapSpec): string | undefined =>
  spec.keySize > 0 && spec.valueSize > 0 && spec.maxEntries > 0
    ? undefined
    : 'key size, value size and entries must be above 0'
const indexed = (spec: MapSpec): string | undefined =>
  spec.keySize === 4 ? positive(spec) : `the key of an array is a u32, not ${spec.keySize} bytes`
const ring = ({ keySize, valueSize, maxEntries }: MapSpec): string | undefined => {
  if (keySize !== 0 || valueSize !== 0) return 'a ring buffer has neither keys nor values: both sizes are 0'
  const powerOfTwo = maxEntries > 0 && Number.isInteger(Math.log2(maxEntries))
  return powerOfTwo && maxEntries % PAGE === 0
    ? undefined
    : `a ring buffer's size is a power of two and at least ${PAGE}, not ${maxEntries}`
}

const keyless = ({ keySize, valueSize, maxEntries, type }: MapSpec): string | undefined =>
  keySize === 0 && valueSize > 0 && maxEntries > 0
    ? undefined
    : `a ${type} has no keys: the key size is 0, value size and entries are above 0`
const prefixed = (spec: MapSpec): string | undefined => {
  if ((spec.flags & NO_PREALLOC) === 0) return 'an lpm_trie is made with BPF_F_NO_PREALLOC (flag 1)'
  if (spec.keySize < 5 || spec.keySize > 260) return `the key is a u32 and 1 to 256 bytes, not ${spec.keySize} bytes`
  return positive(spec)
}
const handles = (spec: MapSpec): string | undefined =>
  spec.valueSize === 4 ? indexed(spec) : `the value is a u32, not ${spec.valueSize} bytes`
const mapsInArray = (spec: MapSpec): string | undefined => handles(spec) ?? wrongInner(spec)
const mapsInHash = (spec: MapSpec): string | undefined =>
  spec.valueSize === 4 ? (positive(spec) ?? wrongInner(spec)) : `the value is a u32, not ${spec.valueSize} bytes`
const targets = (spec: MapSpec): string | undefined =>
  spec.valueSize === 4 || spec.valueSize === 8 ? indexed(spec) : `the value is 4 or 8 bytes, not ${spec.valueSize}`
const socketsByKey = (spec: MapSpec): string | undefined =>
  spec.valueSize === 4 || spec.valueSize === 8 ? positive(spec) : `the value is 4 or 8 bytes, not ${spec.valueSize}`

const stacks = (spec: MapSpec): string | undefined =>
  spec.valueSize % 8 === 0 && spec.valueSize / 8 <= 127
    ? indexed(spec)
    : `the value is 1 to 127 instruction pointers of 8 bytes, not ${spec.valueSize} bytes`

const array = (spec: MapSpec, memory: Memory): UserMap => new ArrayMap(spec, memory)
const hash = (spec: MapSpec, memory: Memory, seed: number): UserMap => new HashMap(spec, memory, seed)

const queue = (spec: MapSpec, memory: Memory): UserMap => new QueueMap(spec, memory)
const refs = (spec: MapSpec, memory: Memory): UserMap => new RefArray(spec, memory)
const targetArray: Kind['make'] = (spec, memory, _seed, targets) => new TargetArray(spec, memory, targets)
const targetHash: Kind['make'] = (spec, memory, seed, targets) => new TargetHash(spec, memory, seed, targets)

const KINDS: { readonly [type in MapTypeName]?: Kind } = {
  array: { flags: NUMA_NODE | MMAPABLE | INNER_MAP | ACCESS, wrong: indexed, make: array },
  percpu_array: { flags: ACCESS, wrong: indexed, make: array },
  hash: { flags: HASH_FLAGS, wrong: positive, make: hash },
  lru_hash: { flags: LRU_FLAGS, wrong: positive, make: hash },
  percpu_hash: { flags: HASH_FLAGS & ~NUMA_NODE, wrong: positive, make: hash },
  lru_percpu_hash: { flags: LRU_FLAGS & ~NUMA_NODE, wrong: positive, make: hash },
  lpm_trie: {
    flags: NO_PREALLOC | NUMA_NODE | ACCESS,
    wrong: prefixed,
    make: (spec, memory) => new LpmTrie(spec, memory),
  },
  queue: { flags: NUMA_NODE | ACCESS, wrong: keyless, make: queue },
  stack: { flags: NUMA_NODE | ACCESS, wrong: keyless, make: queue },
  bloom_filter: {
    flags: NUMA_NODE | ZERO_SEED | ACCESS,
    wrong: keyless,
    make: (spec, memory, seed) => new BloomFilter(spec, memory, seed),
  },
  prog_array: { flags: NUMA_NODE | USER_ACCESS, wrong: handles, make: refs },
  array_of_maps: { flags: NUMA_NODE | USER_ACCESS, wrong: mapsInArray, make: refs },
  hash_of_maps: {
    flags: HASH_FLAGS,
    wrong: mapsInHash,
    make: (spec, memory, seed) => new RefHash(spec, memory, seed),
  },
  perf_event_array: {
    flags: NUMA_NODE | PRESERVE_ELEMS | USER_ACCESS,
    wrong: handles,
    make: (spec, memory) => new PerfEventArray(spec, memory),
  },
  stack_trace: {
    flags: NUMA_NODE | USER_ACCESS,
    wrong: stacks,
    make: (spec, memory) => new StackTraceMap(spec, memory),
  },
  devmap: { flags: NUMA_NODE | USER_ACCESS, wrong: targets, make: targetArray },
  devmap_hash: { flags: NUMA_NODE | USER_ACCESS, wrong: targets, make: targetHash },
  cpumap: { flags: NUMA_NODE, wrong: targets, make: targetArray },
  xskmap: { flags: NUMA_NODE | USER_ACCESS, wrong: handles, make: targetArray },
  sockmap: { flags: NUMA_NODE | USER_ACCESS, wrong: targets, make: targetArray },
  sockhash: { flags: NUMA_NODE | USER_ACCESS, wrong: socketsByKey, make: targetHash },
  user_ringbuf: { flags: NUMA_NODE, wrong: ring, make: (spec, memory) => new UserRingBuffer(spec, memory) },
  ringbuf: { flags: NUMA_NODE, wrong: ring, make: (spec, memory) => new RingBuffer(spec, memory) },
}

/** The map types that the user engine has. */
export const USER_MAP_TYPES = Object.keys(KINDS) as readonly MapTypeName[]

/** `seed` varies the hash. Throws a Diagnostic for a type that is not there, wrong sizes or flags, or no memory. */
export function createMap(spec: MapSpec, memory: Memory, seed: number, targets: Targets = ANY_TARGET): UserMap {
  const kind = KINDS[spec.type]
  if (!kind) throw noSuchType(spec)
  const wrong = kind.wrong(spec)
  if (wrong) throw refused(spec, wrong, 'EINVAL')
  const unknown = spec.flags & ~kind.flags
  if (unknown) throw refused(spec, `flags 0x${unknown.toString(16)} are not for a ${spec.type}`, 'EINVAL')
  return kind.make(spec, memory, seed, targets)
}

const refused = ({ name }: MapSpec, why: string, errno: Errno): Diagnostic =>
  new Diagnostic({ code: 'user/map-create', message: `map ${name} can't be made: ${why}`, errno })

const noSuchType = ({ name, type }: MapSpec): Diagnostic =>
  new Diagnostic({
    code: 'user/map-type',
    message: `map ${name} is a ${type}, and the user engine has none of that type`,
    help: `use one of ${USER_MAP_TYPES.join(', ')}, or run on the kernel engine`,
    errno: 'EINVAL',
  })
