export type { ArgType, HelperName, HelperRow, RetType } from './helper.ts'
export { HELPERS } from './helpers.ts'
export {
  type LinuxOptions,
  linux,
  parseVersion,
  type TracepointSource,
  type UserOptions,
  userPlatform,
  type Version,
} from './linux.ts'
export type { MapTypeRow } from './maptype.ts'
export { MAP_ROWS } from './maptypes.ts'
export type { MapTypeName, ProgTypeName } from './names.ts'
export type { Platform } from './platform.ts'
export type { CtxField, CtxKind, ProgTypeRow } from './progtype.ts'
export { PROG_ROWS } from './progtypes.ts'
export { parseTracepointFormat, type TracepointField, type TracepointFormat } from './tracepoint.ts'
