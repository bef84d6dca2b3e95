import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { verify } from '../verify/index.ts'
import { compileText, complaints, objectOf, platform } from './testing.ts'

// What the documentation and the examples show must compile, and be safe.

const root = new URL('../../', import.meta.url)
// Tests of examples are no probes: they run under `waggle test`.
const examples = readdirSync(new URL('examples/', root)).filter((name) => /(?<!\.test)\.ts$/.test(name))
const language = readFileSync(new URL('docs/language.md', root), 'utf8')
const snippets = [...language.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, text]) => text)

describe('examples', () => {
  it.each(examples)('%s compiles, is verified, and is the same each time', async (name) => {
    const text = readFileSync(new URL(`examples/${name}`, root), 'utf8')
    const spec = await objectOf(text)
    for (const { diagnostic } of verify(spec, platform)) expect(diagnostic?.render()).toBeUndefined()
    expect(await objectOf(text)).toEqual(spec)
  })

  it.each(snippets.map((text, i) => [i, text] as const))('snippet %i of the language page', async (_i, text) => {
    expect(await complaints(text)).toBe('')
    const { spec } = await compileText(text)
    if (!spec) throw new Error('no object')
    for (const { diagnostic } of verify(spec, platform)) expect(diagnostic?.render({ verbose: true })).toBeUndefined()
  })
})
