// Setting `config` values: constants that a probe declares with a default and that stand in a frozen, read-only map
// when it runs, so that the verifier and the kernel's JIT see them as constants.

import type { BtfType } from '../btf/types.ts'
import { Diagnostic } from '../diag/diagnostic.ts'
import { nearest } from '../diag/nearest.ts'
import type { ObjectSpec } from './spec.ts'

interface Setting {
  readonly name: string
  readonly offset: number
  readonly size: number
  readonly signed: boolean
}

/** The map that holds them, by libbpf's name. */
const SECTION = '.rodata'

/** The same object with other values; `values` are numbers as text: `5`, `-1`, `0xff`, `1_000_000`. Throws a Diagnostic for a name or number that does not fit. */
export function configure(spec: ObjectSpec, values: ReadonlyMap<string, string>): ObjectSpec {
  if (values.size === 0) return spec
  const settings = settingsOf(spec.types)
  const maps = spec.maps.map((map) => {
    const [entry] = map.contents ?? []
    if (map.name !== SECTION || !entry) return map
    const bytes = entry[1].slice()
    for (const [name, text] of values) write(bytes, find(settings, name), text)
    return { ...map, contents: [[entry[0], bytes] as const] }
  })
  for (const name of values.keys()) find(settings, name)
  return { ...spec, maps }
}

function settingsOf(types: readonly BtfType[]): Setting[] {
  const section = types.find((type) => type.kind === 'datasec' && type.name === SECTION)
  if (section?.kind !== 'datasec') return []
  return section.vars.flatMap(({ type, offset, size }) => {
    const variable = types[type - 1]
    if (variable?.kind !== 'var') return []
    let base: BtfType | undefined = types[variable.type - 1]
    while (base && (base.kind === 'const' || base.kind === 'volatile' || base.kind === 'typedef'))
      base = types[base.type - 1]
    return base?.kind === 'int' ? [{ name: variable.name, offset, size, signed: base.encoding === 'signed' }] : []
  })
}

function find(settings: readonly Setting[], name: string): Setting {
  const setting = settings.find((each) => each.name === name)
  if (setting) return setting
  const names = settings.map((each) => each.name)
  const [close] = nearest(name, names, 1)
  throw new Diagnostic({
    code: 'object/no-config',
    message: `the probe has no config value '${name}'`,
    help: close
      ? `did you mean ${close}?`
      : names.length > 0
        ? `it has ${names.join(', ')}`
        : 'declare one: export const threshold = config(u64, 1_000)',
  })
}

function write(bytes: Uint8Array, { name, offset, size, signed }: Setting, text: string): void {
  const number = /^(-?)(0x[0-9a-f_]+|[0-9_]+)$/i.exec(text)
  const magnitude = number ? BigInt(number[2].replaceAll('_', '')) : 0n
  const value = number?.[1] ? -magnitude : magnitude
  const bits = BigInt(size * 8)
  const [least, most] = signed ? [-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n] : [0n, (1n << bits) - 1n]
  if (!number || value < least || value > most) {
    throw new Diagnostic({
      code: 'object/config-value',
      message: `'${text}' is not a value for ${name}`,
      help: `it is a whole number from ${least} to ${most}`,
    })
  }
  for (let i = 0; i < size; i++) bytes[offset + i] = Number((value >> BigInt(8 * i)) & 0xffn)
}
