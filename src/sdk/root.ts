// Where the package lies: its examples, its bundled capture and the declarations that probes are checked against.

import { existsSync } from 'node:fs'

/** The folder that holds package.json, two levels up from the sources and one from the bundle. */
export function packageRoot(): URL {
  const near = new URL('../', import.meta.url)
  return existsSync(new URL('package.json', near)) ? near : new URL('../../', import.meta.url)
}
