// The probe that load.test.ts loads: how long packets are, and those beyond a limit one by one.
import { config, hash, ringbuf, struct, u32, u64, XDP, xdp } from 'waggle'

export const limit = config(u32, 1000)
export const lengths = hash(u32, u64, 64)
export const long = ringbuf(struct({ length: u32 }), 4096)

export const onPacket = xdp((ctx) => {
  lengths.inc(ctx.length)
  if (ctx.length > limit.value) long.emit({ length: ctx.length })
  return XDP.PASS
})
