import { describe, expect, it } from 'vitest'
import { errnoName, isErrno, refusal } from './errors.ts'

describe('errnos', () => {
  it.each([
    [2, 'ENOENT'],
    [-7, 'E2BIG'],
    [11, 'EAGAIN'],
    [95, 'EOPNOTSUPP'],
    [-524, 'ENOTSUPP'],
    [4000, 'errno 4000'],
  ])('%i is %s', (errno, name) => {
    expect(errnoName(errno)).toBe(name)
  })

  it('only a negative result is one', () => {
    expect(isErrno(-2, 'ENOENT')).toBe(true)
    expect(isErrno(2, 'ENOENT')).toBe(false)
    expect(isErrno(-2, 'EPERM')).toBe(false)
  })
})

describe('refusal', () => {
  it('says what the errno means for that call', () => {
    const diagnostic = refusal({ call: 'map_update_elem', errno: -7, what: 'map "counts" does not take the element' })
    expect(diagnostic.message).toBe(
      'map "counts" does not take the element: the map is full, or the index is past its end (E2BIG)',
    )
    expect(diagnostic).toMatchObject({ code: 'kernel/map-update-elem', errno: 'E2BIG' })
  })

  it('passes on by name what it does not know', () => {
    expect(refusal({ call: 'link_create', errno: 28, what: 'it cannot be attached' }).message).toBe(
      'it cannot be attached: link_create gave ENOSPC',
    )
  })
})
