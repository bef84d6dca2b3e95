// A plain list of types behind the interface that a kernel's BTF has: what the compiler builds and what
// an ObjectSpec carries.

import { Diagnostic } from '../diag/diagnostic.ts'
import type { BtfId, BtfType, BtfTypes } from './types.ts'

/** Look-up over `types`, where id n is `types[n - 1]`. The list may still grow. */
export function btfList(types: readonly BtfType[]): BtfTypes {
  return {
    get count() {
      return types.length + 1
    },
    type(id: BtfId): BtfType | undefined {
      if (id === 0) return undefined
      const type = types[id - 1]
      if (type !== undefined) return type
      throw new Diagnostic({
        code: 'btf/no-type',
        message: `BTF has no type ${id}: its ids go from 1 to ${types.length}`,
      })
    },
    find(name: string, ...kinds: BtfType['kind'][]): BtfId | undefined {
      const wanted = (type: BtfType): boolean =>
        'name' in type && type.name === name && (kinds.length === 0 || kinds.includes(type.kind))
      const index = name === '' ? -1 : types.findIndex(wanted)
      return index < 0 ? undefined : index + 1
    },
  }
}

/** Either form as the interface. */
export const asTypes = (types: BtfTypes | readonly BtfType[]): BtfTypes =>
  'find' in types && 'count' in types ? types : btfList(types as readonly BtfType[])
