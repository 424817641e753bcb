/** The alert rules of k8s/prometheus: their own unit tests, true to the metrics that exist, explained, and one fired for real. */
import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { parse } from 'yaml'
import { makePhantomNih } from '#libs/datasets'
import { createRegistry, METRICS, SERVICES } from '#libs/telemetry'
import { createApiClient } from '../../apps/cli/src/client/api-client.ts'
import { usablePort } from '../../apps/cli/src/lab/free-port.ts'
import { startLab } from '../../apps/cli/src/lab/start-lab.ts'

const run = promisify(execFile)
const PROMETHEUS = 'k8s/prometheus'
const has = (program: string) => spawnSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' }).status === 0
const hasPromtool = has('promtool')
const hasPrometheus = has('prometheus')
if (!hasPromtool || !hasPrometheus) console.warn('alert rules are not run: no promtool and prometheus here (Debian: prometheus)')

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly annotations: { readonly summary: string; readonly runbook: string }
}
interface RuleFile {
  readonly groups: readonly { readonly rules: readonly Rule[] }[]
}
const filesOf = (folder: string) => readdirSync(join(PROMETHEUS, folder)).map((file) => join(PROMETHEUS, folder, file))
const rules = filesOf('rules').flatMap((file) =>
  (parse(readFileSync(file, 'utf8')) as RuleFile).groups.flatMap((group) => group.rules),
)

describe('each alert', () => {
  it('asks for metrics that a service exposes', () => {
    const names = new Set<string>(Object.values(METRICS).map(({ name }) => name))
    for (const { alert, expr } of rules) {
      const asked = expr.match(/cxrlab_[a-z_]+/g) ?? []
      expect(asked, alert).not.toEqual([])
      for (const name of asked) expect(names, alert).toContain(name)
    }
  })

  it('has a paragraph in the operations guide, where its runbook points', () => {
    const guide = readFileSync('docs/operations.md', 'utf8')
    for (const { alert, annotations } of rules) {
      expect(annotations.runbook).toBe(`docs/operations.md#${alert.toLowerCase()}`)
      expect(guide).toMatch(new RegExp(`^### ${alert}\\n\\n\\S`, 'm'))
    }
    const explained = [...guide.matchAll(/^### (Cxrlab\w+)$/gm)].map(([, name]) => name)
    expect(explained.sort()).toEqual(rules.map(({ alert }) => alert).sort())
  })

  it('has a case in which it stays silent and one in which it fires', () => {
    interface Case {
      readonly alertname: string
      readonly exp_alerts?: readonly unknown[]
    }
    const tests = filesOf('tests').flatMap(
      (file) => (parse(readFileSync(file, 'utf8')) as { tests: { alert_rule_test: Case[] }[] }).tests,
    )
    const cases = tests.flatMap((test) => test.alert_rule_test)
    for (const { alert } of rules) {
      const own = cases.filter(({ alertname }) => alertname === alert)
      expect(own.filter(({ exp_alerts = [] }) => exp_alerts.length === 0).length, alert).toBeGreaterThan(0)
      expect(own.filter(({ exp_alerts = [] }) => exp_alerts.length > 0).length, alert).toBeGreaterThan(0)
    }
  })
})

describe.skipIf(!hasPromtool)('promtool', () => {
  it('finds no fault in the rules', async () => {
    expect((await run('promtool', ['check', 'rules', ...filesOf('rules')])).stdout).toContain(`${rules.length} rules found`)
  })

  it('finds each alert silent and firing when its cases say so', async () => {
    expect((await run('promtool', ['test', 'rules', ...filesOf('tests')])).stdout).toContain('SUCCESS')
  })

  it('finds no fault in what each service exposes', async () => {
    for (const service of SERVICES) {
      const registry = createRegistry(service)
      const text = await registry.expose()
      registry.close()
      const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' })
      expect(`${stdout}${stderr}`, service).toBe('')
      expect(status).toBe(0)
    }
  })
})

/** The committed rules without their patience, once a second, over the api of a lab. */
async function startPrometheus(folder: string, target: string): Promise<string> {
  mkdirSync(folder)
  cpSync(join(PROMETHEUS, 'rules'), join(folder, 'rules'), { recursive: true })
  for (const file of readdirSync(join(folder, 'rules'))) {
    const path = join(folder, 'rules', file)
    writeFileSync(path, readFileSync(path, 'utf8').replace(/^( +for:) \d+m$/gm, '$1 0s'))
  }
  const config = `global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [rules/*.yml]
scrape_configs: [{ job_name: cxrlab-api, static_configs: [{ targets: ['${target}'] }] }]
`
  writeFileSync(join(folder, 'prometheus.yml'), config)
  const address = `127.0.0.1:${await usablePort(0)}`
  const child = spawn(
    'prometheus',
    [
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/tsdb`,
      `--web.listen-address=${address}`,
      '--log.level=error',
    ],
    { stdio: 'inherit' },
  )
  onTestFinished(async () => {
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    await exited
  })
  return `http://${address}`
}

describe.skipIf(!hasPrometheus)('a lab that Prometheus watches', () => {
  it('raises the alarm for work of a class without workers, and for nothing else', { timeout: 120_000 }, async () => {
    const home = await mkdtemp(join(tmpdir(), 'cxrlab-alerts-'))
    onTestFinished(() => rm(home, { recursive: true, force: true }))
    // As root, the embedded Postgres runs as another user, who must be able to pass through.
    await chmod(home, 0o711)
    await makePhantomNih(join(home, 'data/phantom'), { images: 24, patients: 18, seed: 3 })
    const lab = await startLab({ dir: join(home, 'lab'), port: 0, datasetRoots: [join(home, 'data')], environment: process.env })
    onTestFinished(() => lab.stop())
    const prometheus = await startPrometheus(join(home, 'prometheus'), new URL(lab.apiUrl).host)
    const api = createApiClient(lab.apiUrl)
    await api.post('/v1/datasets', { name: 'phantom', kind: 'nih14', root: join(home, 'data/phantom') })
    await api.post('/v1/grids', {
      name: 'nobody',
      preset: 'tiny-cpu',
      dataset: 'phantom',
      method: ['msn'],
      ehr: ['sex'],
      resourceClass: 'gpu-80gb',
      overrides: { pretrain: { batch: 16, epochs: 1, prototypes: { count: 16 }, backbone: { depth: 2 } } },
      evaluations: [{ mode: ['linear-cached'], labels: ['sex'] }],
    })
    interface Alert {
      readonly state: string
      readonly labels: { readonly alertname: string; readonly class?: string }
    }
    const firing = async () => {
      const response = await fetch(`${prometheus}/api/v1/alerts`).catch(() => undefined)
      if (!response?.ok) return []
      const { data } = (await response.json()) as { data: { alerts: Alert[] } }
      // How full this machine's disk is says nothing of the rules.
      return data.alerts.filter(({ state, labels }) => state === 'firing' && labels.alertname !== 'CxrlabDiskFilling')
    }
    // The test's own limit ends this; what else fires at the start of a lab, without patience, may come first and must go.
    let alerts: Alert[] = []
    do {
      await delay(250)
      alerts = await firing()
    } while (!(alerts.length === 1 && alerts[0]?.labels.class === 'gpu-80gb'))
    expect(alerts.map(({ labels }) => [labels.alertname, labels.class])).toEqual([['CxrlabNoWorkerForClass', 'gpu-80gb']])
  })
})
