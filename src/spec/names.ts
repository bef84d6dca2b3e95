// Names of the enumerated things, as the kernel's UAPI header has them without their prefixes and in
// lower case: BPF_PROG_TYPE_SOCKET_FILTER is `socket_filter`. The lists themselves are generated.

import type { MAP_TYPES, PROG_TYPES } from './gen/uapi.ts'

export type ProgTypeName = keyof typeof PROG_TYPES
export type MapTypeName = keyof typeof MAP_TYPES
