// ObjectSpec as text and back: for the cache of compiled probes and for looking at one. Everything in a spec is
// plain data but for byte arrays (base64), 64-bit enumerators (decimal strings) and instructions, which are
// kept as the bytes they encode to.

import type { BtfType } from '../btf/types.ts'
import { Diagnostic } from '../diag/diagnostic.ts'
import { decode, encode } from '../isa/codec.ts'
import type { Insn } from '../isa/insn.ts'
import type { ObjectSpec } from './spec.ts'

const FORMAT = 1

/** One line of JSON. Equal specs give equal text. */
export function specToJSON(spec: ObjectSpec): string {
  const programs = spec.programs.map((program) => ({ ...program, insns: toBase64(encode(program.insns)) }))
  const maps = spec.maps.map((map) => ({
    ...map,
    contents: map.contents?.map(([key, value]) => [toBase64(key), toBase64(value)]),
    refs: map.refs?.map(([key, name]) => [toBase64(key), name]),
  }))
  return JSON.stringify({ format: FORMAT, ...spec, programs, maps }, (_, value) =>
    typeof value === 'bigint' ? `${value}n` : value,
  )
}

/** The inverse of {@link specToJSON}. Throws a Diagnostic (`object/json`) for any other text. */
export function specFromJSON(text: string): ObjectSpec {
  try {
    const { format, ...spec } = JSON.parse(text) as Stored
    if (format !== FORMAT) throw new Error(`format ${format}`)
    return {
      ...spec,
      types: spec.types.map(reviveType),
      programs: spec.programs.map((program) => ({ ...program, insns: decode(fromBase64(program.insns)) as Insn[] })),
      maps: spec.maps.map(({ contents, refs, ...map }) => ({
        ...map,
        ...(refs && { refs: refs.map(([key, name]) => [fromBase64(key), name] as const) }),
        ...(contents && { contents: contents.map(([key, value]) => [fromBase64(key), fromBase64(value)] as const) }),
      })),
    }
  } catch (cause) {
    throw new Diagnostic({
      code: 'object/json',
      message: 'this is not a stored object of this version of Waggle',
      help: 'compile the source again',
      cause,
    })
  }
}

type Stored = Omit<ObjectSpec, 'programs' | 'maps'> & {
  format: number
  programs: (Omit<ObjectSpec['programs'][number], 'insns'> & { insns: string })[]
  maps: (Omit<ObjectSpec['maps'][number], 'contents' | 'refs'> & {
    contents?: [string, string][]
    refs?: [string, string][]
  })[]
}

/** Enumerators are the only bigints in a type. */
function reviveType(type: BtfType): BtfType {
  if (type.kind !== 'enum' && type.kind !== 'enum64') return type
  const values = type.values as unknown as { name: string; value: string }[]
  return { ...type, values: values.map(({ name, value }) => ({ name, value: BigInt(value.slice(0, -1)) })) }
}

/** Goes byte by byte: spreading a large array into one call would exceed the engine's argument limit. */
const toBase64 = (bytes: Uint8Array): string => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))

const fromBase64 = (text: string): Uint8Array => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))
