/** The same numbers as Pillow on a synthetic picture (fixtures/pillow.json.golden; torchvision's inverse matrix for the affine maps). */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { applyAffine } from './affine.ts'
import type { CropBox } from './grey-image.ts'
import { resample } from './resample.ts'

interface Fixtures {
  readonly sidePx: number
  readonly image: number[]
  readonly crops: { readonly box: CropBox; readonly outPx: number; readonly values: number[] }[]
  readonly affines: {
    readonly degrees: number
    readonly scale: number
    readonly shift: [number, number]
    readonly values: number[]
  }[]
}
const fixtures = JSON.parse(readFileSync(new URL('./fixtures/pillow.json.golden', import.meta.url), 'utf8')) as Fixtures
const image = { sidePx: fixtures.sidePx, data: Uint8Array.from(fixtures.image) }

it.each(fixtures.crops)('cropping $box and resampling to $outPx px gives what Pillow gives', ({ box, outPx, values }) => {
  const out = new Float32Array(outPx * outPx)
  resample(image, box, outPx, out)
  const worst = Math.max(...values.map((value, i) => Math.abs(value - out[i]!)))
  expect(worst).toBeLessThan(0.01)
})

it.each(fixtures.affines)(
  'turning by $degrees degrees, scaling by $scale and shifting by $shift gives what Pillow gives inside the picture',
  ({ degrees, scale, shift, values }) => {
    const { data } = applyAffine(image, { degrees, scale, shift })
    // Where the source is only partly inside, Pillow repeats the edge and this blends into the black outside, as torchvision does
    // on tensors: pixels whose neighbourhood Pillow leaves black are not compared.
    const inner = values.flatMap((value, i) => (isInside(values, i) ? [Math.abs(value - data[i]!)] : []))
    expect(inner.length).toBeGreaterThan(1000)
    expect(Math.max(...inner)).toBeLessThan(1)
    const black = values.flatMap((value, i) => (value === 0 && !touchesPicture(values, i) ? [data[i]!] : []))
    expect(black.every((value) => value === 0)).toBe(true)
  },
)

function neighbours(values: readonly number[], i: number): number[] {
  const side = fixtures.sidePx
  const [row, column] = [Math.floor(i / side), i % side]
  const around: number[] = []
  for (let y = row - 2; y <= row + 2; y++) {
    for (let x = column - 2; x <= column + 2; x++)
      around.push(y < 0 || x < 0 || y >= side || x >= side ? 0 : values[y * side + x]!)
  }
  return around
}

const isInside = (values: readonly number[], i: number) => neighbours(values, i).every((value) => value > 0)
const touchesPicture = (values: readonly number[], i: number) => neighbours(values, i).some((value) => value > 0)
