// The format strings of bpf_trace_printk and bpf_snprintf (bpf-helpers(7), lib/vsprintf.c): %d %i %u %x %X %p %c
// %s and %%, with l and ll, a width, and the flags 0 and -. Arguments are 64-bit words; without l or ll
// a number is its low 32 bits.

/** One conversion, or text before it. */
const PATTERN = /%(?:(%)|([-0]*)(\d*)(ll|l|)([diuxXpcs]))|%/g
/** At most this many arguments, as MAX_BPRINTF_VARARGS. */
const MAX_ARGS = 12

/**
 * The text, or undefined for a format that the kernel refuses too (EINVAL). `string` reads the
 * null-terminated text at an address.
 */
export function format(text: string, args: readonly bigint[], string: (address: bigint) => string): string | undefined {
  let used = 0
  let valid = /^[\x20-\x7e\s]*$/.test(text)
  const out = text.replaceAll(PATTERN, (_, percent, flags = '', width = '', long = '', kind) => {
    if (percent) return '%'
    if (kind === undefined || used >= Math.min(args.length, MAX_ARGS)) {
      valid = false
      return ''
    }
    return pad(convert(kind, args[used++], long !== '', string), flags, Number(width))
  })
  return valid ? out : undefined
}

function convert(kind: string, word: bigint, long: boolean, string: (address: bigint) => string): string {
  const bits = long ? 64 : 32
  if (kind === 's') return string(word)
  if (kind === 'c') return String.fromCharCode(Number(word & 0xffn))
  if (kind === 'p') return word.toString(16).padStart(16, '0')
  if (kind === 'd' || kind === 'i') return BigInt.asIntN(bits, word).toString()
  const unsigned = BigInt.asUintN(bits, word)
  if (kind === 'u') return unsigned.toString()
  return kind === 'x' ? unsigned.toString(16) : unsigned.toString(16).toUpperCase()
}

function pad(text: string, flags: string, width: number): string {
  if (flags.includes('-')) return text.padEnd(width)
  if (!flags.includes('0')) return text.padStart(width)
  return text.startsWith('-') ? `-${text.slice(1).padStart(width - 1, '0')}` : text.padStart(width, '0')
}
