/**
 * A chest phantom: lungs, heart, mediastinum and ribs as soft ellipses, so that sex, age, view and each finding change the picture
 * somewhere. It is no anatomy: it gives a network something to learn while the service is tried.
 */
import { drawsOf, normal, type Uniform } from '#libs/training'
import type { PhantomFilm } from './patients.ts'

export const PHANTOM_SIDE_PX = 256

/** Centre, radii (px), level added in its middle, and how soft the edge is (share of the radius). */
interface Ellipse {
  readonly x: number
  readonly y: number
  readonly rx: number
  readonly ry: number
  readonly level: number
  readonly edge?: number
}

/** What a finding adds; `lung` is -1 for the left of the picture, 1 for the right. */
const FINDING_SHAPES: Readonly<Record<string, (lung: number, u: Uniform) => Ellipse[]>> = {
  Atelectasis: (lung) => [{ x: 128 + lung * 52, y: 168, rx: 30, ry: 7, level: 60 }],
  Consolidation: (lung) => [{ x: 128 + lung * 55, y: 130, rx: 26, ry: 30, level: 70, edge: 0.3 }],
  Edema: () => [-1, 1].map((side) => ({ x: 128 + side * 38, y: 128, rx: 32, ry: 44, level: 45, edge: 1 })),
  Effusion: (lung) => [{ x: 128 + lung * 62, y: 202, rx: 42, ry: 28, level: 90, edge: 0.2 }],
  Emphysema: () => [-1, 1].map((side) => ({ x: 128 + side * 56, y: 110, rx: 40, ry: 70, level: -28, edge: 0.6 })),
  Fibrosis: (lung, u) =>
    Array.from({ length: 9 }, () => ({ x: 128 + lung * (35 + 40 * u()), y: 70 + 110 * u(), rx: 14, ry: 2, level: 40 })),
  Hernia: () => [{ x: 128, y: 206, rx: 24, ry: 18, level: -55, edge: 0.3 }],
  Infiltration: (lung, u) =>
    Array.from({ length: 12 }, () => ({ x: 128 + lung * (35 + 40 * u()), y: 90 + 80 * u(), rx: 7, ry: 6, level: 30, edge: 1 })),
  Mass: (lung, u) => [{ x: 128 + lung * 58, y: 80 + 60 * u(), rx: 19, ry: 19, level: 85, edge: 0.2 }],
  Nodule: (lung, u) => [{ x: 128 + lung * 58, y: 70 + 80 * u(), rx: 7, ry: 7, level: 85, edge: 0.3 }],
  Pleural_Thickening: (lung) => [{ x: 128 + lung * 96, y: 130, rx: 6, ry: 62, level: 60 }],
  Pneumonia: (lung) => [{ x: 128 + lung * 48, y: 158, rx: 34, ry: 24, level: 55, edge: 0.8 }],
  Pneumothorax: (lung) => [{ x: 128 + lung * 74, y: 72, rx: 26, ry: 36, level: -45, edge: 0.2 }],
}

/** [256 * 256] grey levels, a pure function of film and seed. */
export function drawChest(film: PhantomFilm, seed: number): Uint8Array {
  const uniform = drawsOf({ seed, purpose: 'phantom-image', sample: film.id })
  const canvas = new Float32Array(PHANTOM_SIDE_PX ** 2).fill(25)
  for (const ellipse of [...anatomy(film, uniform), ...findingShapes(film, uniform)]) add(canvas, ellipse)
  return Uint8Array.from(canvas, (value) => Math.min(255, Math.max(0, Math.round(value + 6 * normal(uniform)))))
}

function anatomy(film: PhantomFilm, uniform: Uniform): Ellipse[] {
  const shift = (reach: number) => (uniform() * 2 - 1) * reach
  const x = 128 + shift(5)
  const y = 126 + shift(5)
  const lungs = [-1, 1].map((side) => ({
    x: x + side * 56,
    y: y + 2,
    rx: 40 + shift(2),
    ry: 76 + shift(4),
    level: -85,
    edge: 0.25,
  }))
  const wide = film.ap ? 1.35 : 1
  const heart = (film.findings.includes('Cardiomegaly') ? 1.45 : 1) * (film.ap ? 1.1 : 1)
  const shapes: Ellipse[] = [
    { x, y, rx: 118, ry: 122, level: 125, edge: 0.15 },
    ...lungs,
    { x, y: y - 20, rx: 17 * wide, ry: 88, level: 65, edge: 0.5 },
    { x: x + 14, y: y + 42, rx: 38 * heart, ry: 33 * heart, level: 75, edge: 0.3 },
  ]
  // Older bones are less dense.
  const bone = 34 - film.age * 0.22
  for (let rib = 0; rib < 8; rib++) {
    for (const side of [-1, 1]) shapes.push({ x: x + side * 58, y: y - 66 + rib * 18, rx: 44, ry: 3, level: bone })
  }
  if (!film.male) for (const side of [-1, 1]) shapes.push({ x: x + side * 58, y: y + 56, rx: 40, ry: 26, level: 32, edge: 0.3 })
  // The marker of a portable film.
  if (film.ap) shapes.push({ x: 228, y: 26, rx: 11, ry: 7, level: 150 })
  return shapes
}

function findingShapes(film: PhantomFilm, uniform: Uniform): Ellipse[] {
  return film.findings.flatMap((finding) => FINDING_SHAPES[finding]?.(uniform() < 0.5 ? -1 : 1, uniform) ?? [])
}

function add(canvas: Float32Array, { x, y, rx, ry, level, edge = 0.4 }: Ellipse): void {
  const inside = (value: number) => Math.min(PHANTOM_SIDE_PX - 1, Math.max(0, value))
  for (let row = inside(Math.floor(y - ry)); row <= inside(Math.ceil(y + ry)); row++) {
    for (let column = inside(Math.floor(x - rx)); column <= inside(Math.ceil(x + rx)); column++) {
      const distance = Math.hypot((column - x) / rx, (row - y) / ry)
      if (distance < 1) canvas[row * PHANTOM_SIDE_PX + column]! += level * Math.min(1, (1 - distance) / edge)
    }
  }
}
