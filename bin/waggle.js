#!/usr/bin/env node
// Starts Waggle: the bundle where there is one, the sources otherwise. Plain JavaScript that an old Node can
// still parse, so that it can say what is missing.

import { existsSync } from 'node:fs'

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 18)) {
  console.error(`error: Waggle needs Node 22.18 or newer; this is ${process.version}`)
  console.error('help: install a newer Node, or use the npm scripts of a clone (npm start), which bring their own')
  process.exit(1)
}
const bundle = new URL('../dist/cli.js', import.meta.url)
const { start } = await import(existsSync(bundle) ? bundle.href : new URL('../src/cli/start.ts', import.meta.url).href)
await start()
