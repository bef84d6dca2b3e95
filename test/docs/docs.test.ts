// What the documents name must be there: files, npm scripts, commands and their options.

import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ROOT, waggle } from '../cli/waggle.ts'

const DOCS = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...globSync('docs/*.md', { cwd: ROOT })]
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> }

describe.each(DOCS)('%s', (name) => {
  const text = readFileSync(join(ROOT, name), 'utf8')

  it('names files that exist', () => {
    const named = [...text.matchAll(/\b(?:src|test|docs|bench|examples|scripts|bin)\/[\w./-]*\w/g)].map(
      ([path]) => path,
    )
    const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, path]) => path)
    const missing = [...named, ...links].filter(
      (path) => !existsSync(join(ROOT, path)) && !existsSync(join(ROOT, 'docs', path)),
    )
    expect(missing).toEqual([])
  })

  it('names npm scripts that exist', () => {
    const named = [...text.matchAll(/npm run ([\w:-]+)/g)].map(([, script]) => script)
    expect(named.filter((script) => !(script in scripts))).toEqual([])
  })

  it('names commands and options that exist', () => {
    for (const [, line] of text.matchAll(/(?:^|\n)\s*(?:\$ )?(?:npx )?waggle ([a-z][^\n`]*)/g)) {
      const words = line.split(' -- ')[0].split(/\s+/)
      const command = words[0] === 'prog' ? words.slice(0, 2) : words.slice(0, 1)
      const manual = waggle([...command, '--help'])
      expect([line, manual.status]).toEqual([line, 0])
      for (const option of words.filter((word) => word.startsWith('--'))) expect(manual.stdout).toContain(option)
    }
  })
})
