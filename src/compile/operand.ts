// Operands: what an expression of kernel code has become. Integers and booleans are nodes; strings,
// structs and arrays are places in memory, or recipes that write them into one; what may be undefined
// carries a variable that says whether it is there.

import type { Node, Variable } from './ir.ts'
import type { IntType, KType } from './ktype.ts'
import type { ViewName } from './packet.ts'

/** `weak`: made of literals only, so that it takes the type of what it meets. */
export interface IntOperand {
  readonly kind: 'int'
  readonly type: IntType
  readonly node: Node
  readonly weak: boolean
}
/** A place in memory. Map values are shared with other processors, so adding to them is atomic. */
export interface RefOperand {
  readonly kind: 'ref'
  readonly type: KType
  readonly base: Node
  readonly offset: number
  readonly space: 'stack' | 'map'
}
/** A string that a helper writes where it is wanted. */
export interface FillOperand {
  readonly kind: 'fill'
  readonly what: string
  /** Bytes that it needs; undefined where any size will do. */
  readonly size: number | undefined
  readonly write: (base: Node, offset: number, size: number) => void
}
export interface ObjectOperand {
  readonly kind: 'object'
  readonly fields: ReadonlyMap<string, Operand>
}
export interface ViewOperand {
  readonly kind: 'view'
  readonly view: ViewName
  readonly base: Node
}
export interface OptionOperand {
  readonly kind: 'option'
  /** 1 if it is there, 0 if it is undefined. */
  readonly present: Variable
  readonly of: Cell
}
export type Operand =
  | IntOperand
  | { readonly kind: 'bool'; readonly node: Node }
  | RefOperand
  | FillOperand
  | { readonly kind: 'text'; readonly value: string }
  | ObjectOperand
  | { readonly kind: 'list'; readonly items: readonly Operand[] }
  | ViewOperand
  | OptionOperand
  | { readonly kind: 'undefined' }
  | { readonly kind: 'void' }
  | { readonly kind: 'context' }

/** Variables that hold an operand where control flow meets. */
export type Cell =
  | { readonly kind: 'int'; readonly type: IntType; readonly weak: boolean; readonly variable: Variable }
  | { readonly kind: 'bool'; readonly variable: Variable }
  | { readonly kind: 'ref'; readonly type: KType; readonly space: 'stack' | 'map'; readonly variable: Variable }
  | { readonly kind: 'view'; readonly view: ViewName; readonly variable: Variable }
  | OptionOperand

export const describe = (operand: Operand): string => {
  switch (operand.kind) {
    case 'int':
      return 'a number'
    case 'bool':
      return 'a boolean'
    case 'ref':
      return operand.type.kind === 'str' ? 'a string' : `${operand.type.kind === 'array' ? 'an array' : 'a struct'}`
    case 'fill':
    case 'text':
      return 'a string'
    case 'object':
      return 'an object'
    case 'list':
      return 'an array'
    case 'view':
      return 'a packet header'
    case 'option':
      return 'a value that may be undefined'
    case 'context':
      return 'the context'
    case 'undefined':
    case 'void':
      return 'undefined'
  }
}
