// The few globals that the TypeScript checker itself asks for. Kernel code has no other standard library;
// what it may call comes from 'waggle'.

interface Object {
  valueOf(): Object
}
interface Function {
  readonly length: number
}
interface CallableFunction extends Function {
  readonly length: number
}
interface NewableFunction extends Function {
  readonly length: number
}
interface IArguments {
  length: number
}
interface Boolean {
  valueOf(): boolean
}
interface Number {
  valueOf(): number
}
interface BigInt {
  valueOf(): bigint
}
interface String {
  readonly length: number
}
interface RegExp {
  readonly source: string
}
interface Array<T> {
  length: number
  [n: number]: T
}
interface ReadonlyArray<T> {
  readonly length: number
  readonly [n: number]: T
}
