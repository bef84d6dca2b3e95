// Error numbers that maps and helpers of the user engine give, by name, as include/uapi/asm-generic/errno*.h
// and include/linux/errno.h (ENOTSUPP) number them on every architecture that runs eBPF.

export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENOSPC: 28,
  ERANGE: 34,
  EDEADLK: 35,
  EPROTO: 71,
  EOVERFLOW: 75,
  EOPNOTSUPP: 95,
  EALREADY: 114,
  ENOTSUPP: 524,
} as const

export type Errno = keyof typeof ERRNO

/** What a helper returns for it: the negative number, as 64 bits. */
export const failure = (errno: Errno): bigint => BigInt.asUintN(64, BigInt(-ERRNO[errno]))
