// Which map types the user engine has, and what a map must look like to be made (the kernel's map_alloc_check
// functions and Documentation/bpf/map_*.rst have the rules and their error numbers).

import { Diagnostic } from '../../../diag/diagnostic.ts'
import type { MapSpec } from '../../../object/spec.ts'
import type { MapTypeName } from '../../../spec/names.ts'
import type { Errno } from '../errno.ts'
import type { Memory } from '../memory.ts'
import { ArrayMap } from './array.ts'
import { HashMap } from './hash.ts'
import { MAP_FLAG, type UserMap } from './map.ts'
import { RingBuffer } from './ringbuf.ts'

interface Kind {
  /** MAP_FLAG bits that may be given. */
  readonly flags: number
  /** What is wrong with the sizes, if anything. */
  readonly wrong: (spec: MapSpec) => string | undefined
  readonly make: (spec: MapSpec, memory: Memory, seed: number) => UserMap
}

const { NO_PREALLOC, NUMA_NODE, RDONLY, WRONLY, ZERO_SEED, RDONLY_PROG, WRONLY_PROG, MMAPABLE } = MAP_FLAG
const ACCESS = RDONLY | WRONLY | RDONLY_PROG | WRONLY_PROG
const HASH_FLAGS = NO_PREALLOC | NUMA_NODE | ZERO_SEED | ACCESS
const PAGE = 4096

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

const array = (spec: MapSpec, memory: Memory): UserMap => new ArrayMap(spec, memory)
const hash = (spec: MapSpec, memory: Memory, seed: number): UserMap => new HashMap(spec, memory, seed)

const KINDS: { readonly [type in MapTypeName]?: Kind } = {
  array: { flags: NUMA_NODE | MMAPABLE | ACCESS, wrong: indexed, make: array },
  percpu_array: { flags: ACCESS, wrong: indexed, make: array },
  hash: { flags: HASH_FLAGS, wrong: positive, make: hash },
  lru_hash: { flags: HASH_FLAGS & ~NO_PREALLOC, wrong: positive, make: hash },
  percpu_hash: { flags: HASH_FLAGS, wrong: positive, make: hash },
  ringbuf: { flags: NUMA_NODE, wrong: ring, make: (spec, memory) => new RingBuffer(spec, memory) },
}

/** The map types that the user engine has. */
export const USER_MAP_TYPES = Object.keys(KINDS) as readonly MapTypeName[]

/** `seed` varies the hash. Throws a Diagnostic for a type that is not there, wrong sizes or flags, or no memory. */
export function createMap(spec: MapSpec, memory: Memory, seed: number): UserMap {
  const kind = KINDS[spec.type]
  if (!kind) throw noSuchType(spec)
  const wrong = kind.wrong(spec)
  if (wrong) throw refused(spec, wrong, 'EINVAL')
  const unknown = spec.flags & ~kind.flags
  if (unknown) throw refused(spec, `flags 0x${unknown.toString(16)} are not for a ${spec.type}`, 'EINVAL')
  return kind.make(spec, memory, seed)
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
