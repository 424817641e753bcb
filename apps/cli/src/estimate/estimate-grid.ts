/** What a grid file would cost on the data sets that the server knows. */
import {
  type DatasetFacts,
  type DatasetKind,
  type DatasetSize,
  deviceHours,
  estimatePlan,
  expandGrid,
  type GridEstimate,
  type GridPlan,
  parseGridRequest,
  publishedSize,
} from '#libs/experiments'
import type { EstimateOptions } from './options.ts'

export interface RegisteredDataset {
  readonly name: string
  readonly kind: DatasetKind
  readonly fingerprint: string
}

export interface PricedEstimate extends GridEstimate {
  readonly deviceHours: number
  /** Null where no price was given. */
  readonly cost: number | null
  /** Sizes that the estimate takes, by data set, and whether they are the published ones of its kind. */
  readonly sizes: Readonly<Record<string, DatasetSize & { readonly published: boolean }>>
}

function sizesOf(plan: GridPlan, datasets: ReadonlyMap<string, DatasetFacts>, given: EstimateOptions['sizes']) {
  const sizes: Record<string, DatasetSize & { published: boolean }> = {}
  for (const { spec } of plan.runs) {
    if (spec.kind !== 'prepare') continue
    const facts = datasets.get(spec.dataset)
    const own = given.get(spec.dataset)
    if (own) sizes[spec.dataset] = { ...own, published: false }
    else if (facts) sizes[spec.dataset] = { ...publishedSize(facts.kind, spec), published: true }
  }
  return sizes
}

/**
 * Estimate of the whole grid, whether or not parts of it were done before.
 * @param request as the file holds it
 * @throws GridInvalidError where this version cannot plan the request
 */
export function estimateGrid(
  request: unknown,
  registered: readonly RegisteredDataset[],
  options: EstimateOptions,
): PricedEstimate {
  const datasets = new Map(registered.map((dataset) => [dataset.name, dataset]))
  const plan = expandGrid(parseGridRequest(request), datasets)
  const sizes = sizesOf(plan, datasets, options.sizes)
  const estimate = estimatePlan(plan, new Map(Object.entries(sizes)))
  const hours = deviceHours(estimate.total, options.teraflops * 1e12)
  return { ...estimate, deviceHours: hours, cost: options.price === null ? null : hours * options.price, sizes }
}
