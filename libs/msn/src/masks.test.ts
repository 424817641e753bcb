import { describe, expect, it } from 'vitest'
import { keptCount, keptPatches, oneHotPositions } from './masks.ts'
import { drawsFor } from './testing.ts'

describe('the number of kept patches', () => {
  it.each([
    [196, 0.15, 166],
    [36, 0.15, 30],
    [20, 0.15, 17],
    [100, 0.1, 90],
    [10, 0.7, 3],
    [16, 5 / 16, 11],
    [196, 0, 196],
    [196, 0.7, 58],
  ])('of %i patches with a mask of %f is %i', (patches, dropped, kept) => {
    expect(keptCount(patches, dropped)).toBe(kept)
  })

  it('is that of whole-number arithmetic for every percentage and grid', () => {
    for (let grid = 1; grid <= 20; grid++) {
      for (let percent = 0; percent < 100; percent++) {
        expect(keptCount(grid * grid, percent / 100)).toBe(Math.floor(((100 - percent) * grid * grid) / 100))
      }
    }
  })
})

describe('kept patches', () => {
  it('are distinct, ascending and within the grid', () => {
    const ids = [...keptPatches(drawsFor('a'), 196, 166)]
    expect(new Set(ids).size).toBe(166)
    expect(ids).toEqual([...ids].sort((a, b) => a - b))
    expect(Math.min(...ids)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...ids)).toBeLessThan(196)
  })

  it('keep each patch, the last one too, about equally often', () => {
    const counts = new Array<number>(36).fill(0)
    for (let i = 0; i < 2000; i++) for (const id of keptPatches(drawsFor(`draw ${i}`), 36, 30)) counts[id]! += 1
    // 30/36 of 2000 is 1667 with a deviation of 17; six deviations on both sides.
    for (const count of counts) expect(Math.abs(count - 1667)).toBeLessThan(100)
  })

  it('depend on nothing but the draws', () => {
    expect(keptPatches(drawsFor('x'), 49, 20)).toEqual(keptPatches(drawsFor('x'), 49, 20))
    expect(keptPatches(drawsFor('x'), 49, 20)).not.toEqual(keptPatches(drawsFor('y'), 49, 20))
  })
})

it('one-hot rows mark each kept patch once', () => {
  expect([...oneHotPositions(Int32Array.from([2, 0, 1, 2]), 3)]).toEqual([0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 1])
})
