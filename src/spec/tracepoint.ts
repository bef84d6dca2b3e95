// A tracepoint's record as tracefs describes it in events/CATEGORY/NAME/format
// (Documentation/trace/events.rst, "Event formats").

export interface TracepointField {
  readonly name: string
  /** The C type as printed: `pid_t`, `char[16]`, `__data_loc char[]`. */
  readonly type: string
  /** Bytes from the start of the record. */
  readonly offset: number
  readonly size: number
  readonly signed: boolean
  /** `array`: `size` bytes of elements (a string if of char); `dynamic`: a u32, offset in the low and length in the high half. */
  readonly kind: 'scalar' | 'array' | 'dynamic'
}

export interface TracepointFormat {
  readonly category: string
  readonly name: string
  readonly id: number
  /** In order of offset, the common_* fields included. */
  readonly fields: readonly TracepointField[]
  /** Bytes of the fixed part. */
  readonly size: number
}
