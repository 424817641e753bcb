import { expect, it, onTestFinished } from 'vitest'
import type { Assignment } from '#libs/runs'
import { createRegistry } from '#libs/telemetry'
import { observeAttempt } from './observer.ts'

function observed() {
  const registry = createRegistry('worker')
  onTestFinished(() => registry.close())
  // Only what labels are made of.
  const spec = { kind: 'pretrain', method: 'msn', backbone: { name: 'vit-tiny' } }
  const assignment = { spec, upstream: [] } as unknown as Assignment
  return { registry, observer: observeAttempt(registry.metrics, assignment) }
}

it('shows the last signs of collapse of a run, and none once it has ended', async () => {
  const { registry, observer } = observed()
  observer.points([
    { step: 1, name: 'cosine', value: 0.5 },
    { step: 2, name: 'cosine', value: 0.99 },
    { step: 2, name: 'distinct', value: 0.01 },
  ])
  const during = await registry.expose()
  expect(during).toContain('cxrlab_collapse_ratio{statistic="cosine"} 0.99')
  expect(during).toContain('cxrlab_collapse_ratio{statistic="distinct"} 0.01')
  observer.ended('cancelled')
  const after = await registry.expose()
  expect(after).not.toContain('cxrlab_collapse_ratio{')
  expect(after).toContain('cxrlab_attempts_total{kind="pretrain",ending="cancelled"} 1')
})

it('counts images of this attempt alone where a run resumes', async () => {
  const { registry, observer } = observed()
  for (const done of [640, 704, 768]) observer.progress(done, 'images')
  expect(await registry.expose()).toContain('cxrlab_images_total{method="msn"} 128')
})
