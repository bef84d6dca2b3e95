import { describe, expect, it } from 'vitest'
import { format } from './format.ts'

const print = (text: string, ...args: bigint[]): string | undefined => format(text, args, (at) => `<${at}>`)

describe('format', () => {
  it.each<[string, bigint[], string]>([
    ['plain', [], 'plain'],
    ['100%%', [], '100%'],
    ['%d', [0xffff_ffff_ffff_fffen], '-2'],
    ['%d', [0x1_0000_0005n], '5'],
    ['%lld', [0x1_0000_0005n], '4294967301'],
    ['%u', [0xffff_ffff_ffff_ffffn], '4294967295'],
    ['%lu', [0xffff_ffff_ffff_ffffn], '18446744073709551615'],
    ['%x %X', [0xbeefn, 0xbeefn], 'beef BEEF'],
    ['%016llx', [0xbeefn], '000000000000beef'],
    ['[%5d|%-5d|%05d]', [42n, 42n, 0xffff_ffd6n], '[   42|42   |-0042]'],
    ['%s=%c', [9n, 65n], '<9>=A'],
    ['%p', [16n], '0000000000000010'],
  ])('%s of %s', (text, args, expected) => {
    expect(print(text, ...args)).toBe(expected)
  })

  it.each([['%d'], ['%q'], ['%'], ['%5'], ['\u00e9']])('refuses %j as the kernel does', (text) => {
    expect(print(text)).toBeUndefined()
  })
})
