import { describe, expect, it } from 'vitest'
import { isBelowObject } from './dataset-options.ts'

describe('isBelowObject', () => {
  it.each([
    ['s3://lab/chest', 's3://lab/chest'],
    ['s3://lab/chest/', 's3://lab/chest/'],
    ['s3://lab/chest', 's3://lab/chest/mimic'],
    ['s3://lab', 's3://lab/chest'],
    ['s3://lab/', 's3://lab/chest/a=1/b_2.x'],
  ])('of %s is %s', (base, address) => expect(isBelowObject(base, address)).toBe(true))

  it.each([
    ['s3://lab/chest', 's3://lab/chest-2'],
    ['s3://lab/chest', 's3://lab/ches'],
    ['s3://lab/chest', 's3://other/chest'],
    ['s3://lab', 's3://lab-2/chest'],
    ['s3://lab/chest', 's3://lab/chest/../other'],
    ['s3://lab/chest', 's3://lab/chest/%2e%2e/other'],
    ['s3://lab/chest', 's3://lab/chest/.%2E/other'],
    ['s3://lab/chest', 's3://lab/chest/x?y'],
    ['s3://lab/chest', 's3://lab/chest/x#y'],
    ['s3://lab', 's3://lab@other/chest'],
    ['s3://lab', 's3:///lab/chest'],
    ['/data', 's3://lab/chest'],
    ['s3://lab', '/lab/chest'],
    ['', 's3://lab/chest'],
  ])('of %s is not %s', (base, address) => expect(isBelowObject(base, address)).toBe(false))

  it('of anything is nothing that a parser reads as another place', () => {
    for (const step of ['..', '%2e%2e', '%2E.', '.%2e', '.']) {
      const address = `s3://lab/chest/a/${step}/${step}/other`
      if (new URL(address).pathname.startsWith('/chest/')) continue
      expect(isBelowObject('s3://lab/chest', address), address).toBe(false)
    }
  })
})
