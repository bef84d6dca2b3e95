// Reader: numbers out of a capture file of either byte order, and what to say where the file ends too early.

import { Diagnostic } from '../diag/diagnostic.ts'

export class Reader {
  readonly bytes: Uint8Array
  readonly #view: DataView
  littleEndian = true
  /** How many packets were read so far: for messages. */
  packets = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get length(): number {
    return this.bytes.length
  }

  u16(offset: number): number {
    return this.#view.getUint16(offset, this.littleEndian)
  }

  u32(offset: number): number {
    return this.#view.getUint32(offset, this.littleEndian)
  }

  s64(offset: number): bigint {
    return this.#view.getBigInt64(offset, this.littleEndian)
  }

  /** A copy of `size` bytes. */
  take(offset: number, size: number): Uint8Array {
    return this.bytes.slice(offset, offset + size)
  }

  /** Throws a Diagnostic unless `size` bytes from `offset` are there. */
  need(offset: number, size: number, what: string): void {
    if (size <= this.length - offset) return
    throw new Diagnostic({
      code: 'capture/truncated',
      message: `the capture is cut: ${what} at byte ${offset} needs ${size} bytes, and the file ends after ${Math.max(0, this.length - offset)}`,
      notes: [this.#before()],
      help: 'copy the file again, or go on with the packets before the cut',
    })
  }

  /** A Diagnostic for what cannot be right. */
  damaged(offset: number, what: string): Diagnostic {
    return new Diagnostic({
      code: 'capture/damaged',
      message: `the capture is damaged at byte ${offset}: ${what}`,
      notes: [this.#before()],
      help: 'copy the file again, or go on with the packets before the damage',
    })
  }

  #before(): string {
    return this.packets === 1 ? 'one packet before it is whole' : `${this.packets} packets before it are whole`
  }
}
