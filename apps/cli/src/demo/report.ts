/** What the demo says at its end: the tables, the speed, and where everything lies. */
import { type ApiClient, parseAnswer } from '../client/api-client.ts'
import { collectPages } from '../client/pages.ts'
import { type Grid, type RunDetail, runDetailSchema, runSchema } from '../client/wire.ts'

export async function demoReport(
  api: ApiClient,
  grid: Grid,
  lab: { readonly dir: string; readonly logs: string },
  seconds: number,
): Promise<string> {
  const table = await api.text(`/v1/grids/${grid.id}/results?format=table&metric=auroc`)
  const { items } = await collectPages(api, '/v1/runs', { grid: grid.id, kind: 'pretrain', state: 'succeeded' }, runSchema, 100)
  const runs: RunDetail[] = []
  for (const { id } of items) runs.push(parseAnswer(runDetailSchema, await api.get(`/v1/runs/${id}`)))
  return [
    '',
    'Macro AUROC on the test split, with 95 % bootstrap intervals by patient:',
    '',
    table.trimEnd(),
    '',
    ...speedLines(runs),
    `the grid took ${seconds.toFixed(0)} s`,
    '',
    `data       ${lab.dir} (database, packs, checkpoints, predictions)`,
    `logs       ${lab.logs}`,
    `look again npm run up -- --dir ${lab.dir}   then   npm run cxrlab -- results ${grid.name}`,
  ].join('\n')
}

function speedLines(runs: readonly RunDetail[]): string[] {
  return runs.flatMap(({ title, summary }) => {
    const { imagesPerSecond, seconds, dataWaitShare, lastEpochLoss } = summary
    if (typeof imagesPerSecond !== 'number' || typeof seconds !== 'number') return []
    const wait = typeof dataWaitShare === 'number' ? `, ${(100 * dataWaitShare).toFixed(1)} % of it waiting for data` : ''
    const loss = typeof lastEpochLoss === 'number' ? `, loss ${lastEpochLoss.toFixed(3)}` : ''
    return [`${title.padEnd(58)} ${imagesPerSecond.toFixed(1).padStart(6)} images/s, ${seconds.toFixed(0)} s${wait}${loss}`]
  })
}
