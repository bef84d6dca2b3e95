// What a program's return value is called, where the kernel has a name for it.

import { XDP_ACTIONS } from './gen/uapi.ts'
import type { ProgTypeName } from './names.ts'

const XDP_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(XDP_ACTIONS).map(([name, value]) => [value, name.toUpperCase()]),
)

/** `PASS`, `DROP` and so on for XDP (enum xdp_action); the number as text for anything else. */
export const verdictName = (type: ProgTypeName, retval: number): string =>
  (type === 'xdp' ? XDP_NAMES.get(retval) : undefined) ?? `${retval}`
