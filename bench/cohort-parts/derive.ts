/** The measured process: reads the data set below the folder given, every image being said to lie there. */
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { readerOf, withSource } from '#libs/datasets'

const root = process.argv[2] ?? ''
const reader = readerOf('mimic-cxr')
const address = {
  kind: 'mimic-cxr',
  root,
  options: { mimicIv: join(root, 'mimic-iv'), split: null, splitRule: 'official' },
} as const
const options = {
  includeNoFinding: true,
  dropAllZero: false,
  uncertain: 'zeros',
  onBrokenImage: 'fail',
  validationFraction: 0.1,
  splitSeed: 24,
} as const

/** Wall time and the time that all threads computed: on a busy machine the first tells of the others. */
function stopwatch(): () => string {
  const [fromMs, from] = [performance.now(), process.cpuUsage()]
  return () => {
    const { user, system } = process.cpuUsage(from)
    return `${((performance.now() - fromMs) / 1000).toFixed(2)} s (${((user + system) / 1e6).toFixed(2)} s of computing)`
  }
}
const peakMb = () => `${Math.round(process.resourceUsage().maxRSS / 1024)} MB`

await withSource(address, {}, async (source) => {
  const files = { ...source.root, sizes: async (all: readonly string[]) => all.map(() => 1) }
  const here = { ...source, root: files }
  const listing = stopwatch()
  const inventory = await reader.inventory(here)
  console.log(`images named by the metadata: ${inventory.images.length} in ${listing()}, peak ${peakMb()}`)
  const derivation = stopwatch()
  const { records, notes } = await reader.read(here, inventory, options)
  console.log(`derivation: ${records.length} records in ${derivation()}, peak ${peakMb()}`)
  console.log(notes)
})
