// A small store of texts by content hash under the user's cache folder. Everything in it can be made again, so any
// trouble with it (no folder, no room, no right) means "not there" and never an error. Since what it holds is loaded
// into the kernel, a folder or file that somebody else could have written is not read.

import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder } from './folder.ts'

/** Beyond this many entries the oldest go. */
const MAX_ENTRIES = 256

export class Cache {
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
  }

  /** The store called `name`, or undefined where there can't be one. */
  static open(name: string): Cache | undefined {
    const root = cacheFolder()
    if (root === undefined) return undefined
    const folder = join(root, name)
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      return isOurs(folder) ? new Cache(folder) : undefined
    } catch {
      return undefined
    }
  }

  read(key: string): string | undefined {
    const path = join(this.#folder, key)
    try {
      return isOurs(path) ? readFileSync(path, 'utf8') : undefined
    } catch {
      return undefined
    }
  }

  /** Appears at once and whole, or not at all. */
  write(key: string, text: string): void {
    const temporary = join(this.#folder, `.${key}.${process.pid}`)
    try {
      writeFileSync(temporary, text, { mode: 0o600 })
      renameSync(temporary, join(this.#folder, key))
      this.#prune()
    } catch {
      rmSync(temporary, { force: true })
    }
  }

  #prune(): void {
    const names = readdirSync(this.#folder)
    if (names.length <= MAX_ENTRIES) return
    const aged = names.map((name) => ({ name, time: statSync(join(this.#folder, name)).mtimeMs }))
    aged.sort((a, b) => b.time - a.time)
    for (const { name } of aged.slice(MAX_ENTRIES / 2)) rmSync(join(this.#folder, name), { force: true })
  }
}

/** Belongs to this user and nobody else may write it. Windows has no such bits; its profile folders are private. */
function isOurs(path: string): boolean {
  if (!process.geteuid) return true
  const { uid, mode } = statSync(path)
  return uid === process.geteuid() && (mode & 0o022) === 0
}
