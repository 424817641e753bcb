import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { decodeImage } from './decode-image.ts'

const [WIDTH, HEIGHT, SIDE] = [96, 64, 32]
/** A slope from left to right, the same in every row. */
const level = (column: number) => 40 + Math.round((column * 160) / WIDTH)
const slope = (channels: number, of: (column: number, channel: number) => number) =>
  Array.from({ length: WIDTH * HEIGHT * channels }, (_, i) => of(Math.floor(i / channels) % WIDTH, i % channels))
const raw = (channels: 1 | 3 | 4) => ({ raw: { width: WIDTH, height: HEIGHT, channels } })
const grey8 = () => sharp(Uint8Array.from(slope(1, level)), raw(1)).toColourspace('b-w')
const colour = () => sharp(Uint8Array.from(slope(3, level)), raw(3))

let home: string
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'decode-'))
})
afterAll(() => rm(home, { recursive: true }))

const FILES: [string, () => Promise<Buffer>][] = [
  ['8-bit grey PNG', () => grey8().png().toBuffer()],
  [
    '16-bit grey PNG',
    () =>
      sharp(Uint16Array.from(slope(1, (x) => level(x) * 257)), raw(1))
        .toColourspace('grey16')
        .png()
        .toBuffer(),
  ],
  ['colour PNG of equal channels', () => colour().png().toBuffer()],
  [
    'PNG with opaque alpha',
    () =>
      sharp(Uint8Array.from(slope(4, (x, c) => (c === 3 ? 255 : level(x)))), raw(4))
        .png()
        .toBuffer(),
  ],
  ['palette PNG', () => grey8().png({ palette: true, colours: 256, dither: 0 }).toBuffer()],
  ['grey JPEG', () => grey8().jpeg({ quality: 100 }).toBuffer()],
  ['colour JPEG', () => colour().jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).toBuffer()],
]

it.each(FILES)('%s keeps its grey levels, short side resized and middle kept', async (title, make) => {
  const path = join(home, title.replaceAll(' ', '-'))
  await writeFile(path, await make())
  const pixels = await decodeImage(path, SIDE, 'centre-crop')
  expect(pixels).toHaveLength(SIDE * SIDE)
  // Two source columns an output column; the crop starts 16 source columns in.
  for (let x = 1; x < SIDE - 1; x++) {
    const expected = (level(16 + 2 * x) + level(17 + 2 * x)) / 2
    expect(Math.abs(pixels[SIDE * 9 + x]! - expected), `column ${x}`).toBeLessThanOrEqual(3)
  }
})

it('a 16-bit picture in colour space of 16 bits is really read from 16 bits', async () => {
  const bytes = await FILES[1]![1]()
  expect((await sharp(bytes).metadata()).depth).toBe('ushort')
})

it('padding keeps the whole picture between black bars', async () => {
  const path = join(home, 'pad.png')
  await writeFile(path, await grey8().png().toBuffer())
  const pixels = await decodeImage(path, 48, 'pad')
  expect(pixels).toHaveLength(48 * 48)
  expect([pixels[48 * 4 + 24], pixels[48 * 43 + 24]]).toEqual([0, 0])
  expect(Math.abs(pixels[48 * 24 + 1]! - level(2))).toBeLessThanOrEqual(4)
  expect(Math.abs(pixels[48 * 24 + 46]! - level(93))).toBeLessThanOrEqual(4)
})

it.each(['png', 'jpeg'] as const)('a truncated %s is an error, not a picture with a grey foot', async (format) => {
  const noise = Uint8Array.from({ length: WIDTH * HEIGHT }, (_, i) => (i * 7919) % 251)
  const bytes = await sharp(noise, raw(1)).toFormat(format).toBuffer()
  const path = join(home, `short.${format}`)
  await writeFile(path, bytes.subarray(0, Math.floor(bytes.byteLength * 0.6)))
  await expect(decodeImage(path, SIDE, 'centre-crop')).rejects.toThrow()
})
