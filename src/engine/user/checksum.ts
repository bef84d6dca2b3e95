// The Internet checksum's arithmetic (RFC 1071), as bpf_csum_diff of net/core/filter.c uses it: 16-bit words in
// memory order, added with end-around carry, folded to 16 bits at the end (since Linux 6.13).

/** Sum of the little-endian 16-bit words of `bytes`, not folded; an odd last byte counts as the low one. */
function sum(bytes: Uint8Array): number {
  let total = 0
  for (let i = 0; i < bytes.length; i++) total += i & 1 ? bytes[i] * 256 : bytes[i]
  return total
}

function fold(total: number): number {
  while (total > 0xffff) total = (total % 0x10000) + Math.floor(total / 0x10000)
  return total
}

/** `seed` plus the sum of `after` minus the sum of `before`, in one's complement, 16 bits. */
export function checksumDiff(before: Uint8Array, after: Uint8Array, seed: number): number {
  const added = fold(seed) + fold(sum(after))
  return fold(before.length === 0 ? added : added + (0xffff - fold(sum(before))))
}
