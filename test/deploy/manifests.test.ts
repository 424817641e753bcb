/** The Kubernetes manifests: valid by their schemas, restricted, and true to the programs, settings and tables that they name. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as keda from '@kubernetes-models/keda'
import * as prometheusOperator from '@kubernetes-models/prometheus-operator'
import * as kubernetes from 'kubernetes-models'
import pg from 'pg'
import { describe, expect, it, onTestFinished } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { createTestDatabase } from '#libs/testkit'

interface Container {
  readonly image: string
  readonly command: readonly string[]
  readonly env?: readonly { readonly name: string; readonly value?: string }[]
  readonly securityContext: unknown
  readonly resources: { readonly requests?: unknown; readonly limits?: unknown }
}
interface PodSpec {
  readonly automountServiceAccountToken: boolean
  readonly securityContext: unknown
  readonly terminationGracePeriodSeconds?: number
  readonly containers: readonly Container[]
  readonly initContainers?: readonly Container[]
}
interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> }
  readonly spec?: Readonly<Record<string, unknown>>
  readonly data?: Readonly<Record<string, string>>
}

const OVERLAYS = ['dev', 'prod', 'gpu-spot', 'kueue'] as const
const MODELS = {
  v1: kubernetes.v1,
  'apps/v1': kubernetes.apps.v1,
  'batch/v1': kubernetes.batch.v1,
  'autoscaling/v2': kubernetes.autoscaling.v2,
  'policy/v1': kubernetes.policy.v1,
  'networking.k8s.io/v1': kubernetes.networkingK8sIo.v1,
  'keda.sh/v1alpha1': keda.kedaSh.v1alpha1,
  'monitoring.coreos.com/v1': prometheusOperator.monitoringCoreosCom.v1,
} as unknown as Readonly<Record<string, Readonly<Record<string, new (data: object) => { validate(): void }>>>>
/** No package brings their schemas. */
const UNTYPED = new Set(['ExternalSecret', 'LocalQueue'])

const hasKubectl = spawnSync('kubectl', ['version', '--client'], { stdio: 'ignore' }).status === 0
if (!hasKubectl) console.warn('kubectl is not installed: the manifests are not rendered and not checked')

function render(overlay: string): readonly Manifest[] {
  const { status, stdout, stderr } = spawnSync('kubectl', ['kustomize', `k8s/overlays/${overlay}`], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return parseAllDocuments(stdout).map((document) => document.toJS() as Manifest)
}

function podOf({ kind, spec }: Manifest): PodSpec | undefined {
  const holder = kind === 'ScaledJob' ? spec?.jobTargetRef : spec
  return (holder as { template?: { spec: PodSpec } } | undefined)?.template?.spec
}

const environmentOf = ({ env = [] }: Container) => Object.fromEntries(env.map(({ name, value }) => [name, value]))

/** Module and name of the type of a manifest's kind. */
const TYPES: Readonly<Record<string, string>> = {
  'keda.sh/v1alpha1': '@kubernetes-models/keda/keda.sh/v1alpha1',
  'monitoring.coreos.com/v1': '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1',
}

/**
 * The schemas let unknown fields pass; the types do not: each manifest as a typed literal, through the compiler.
 * A value that YAML has as a number where the type wants a quantity is told apart too.
 */
function compileTyped(manifests: readonly Manifest[]): string {
  const folder = mkdtempSync(join('test/deploy', '.typed-'))
  try {
    const lines = manifests.flatMap((manifest, index) => {
      if (UNTYPED.has(manifest.kind)) return []
      const module = TYPES[manifest.apiVersion] ?? `kubernetes-models/${manifest.apiVersion}`
      const literal = JSON.stringify(manifest, null, 2)
      return [
        `import type { I${manifest.kind} as T${index} } from '${module}/${manifest.kind}'`,
        `export const m${index}: T${index} = ${literal}`,
      ]
    })
    writeFileSync(join(folder, 'manifests.ts'), lines.join('\n'))
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: { noEmit: true, strict: true, skipLibCheck: true, module: 'nodenext', types: [] } }),
    )
    const { stdout } = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', folder], { encoding: 'utf8' })
    return stdout
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe.skipIf(!hasKubectl).each(OVERLAYS)('overlay %s', (overlay) => {
  const manifests = hasKubectl ? render(overlay) : []
  const pods = manifests.flatMap((manifest) => {
    const pod = podOf(manifest)
    return pod === undefined ? [] : [{ name: `${manifest.kind} ${manifest.metadata.name}`, manifest, pod }]
  })

  it('is valid by the schemas of Kubernetes, KEDA and the Prometheus operator', () => {
    for (const manifest of manifests) {
      if (UNTYPED.has(manifest.kind)) continue
      const Model = MODELS[manifest.apiVersion]?.[manifest.kind]
      if (Model === undefined) throw new Error(`no schema for ${manifest.apiVersion} ${manifest.kind}`)
      expect(() => new Model(manifest).validate(), `${manifest.kind} ${manifest.metadata.name}`).not.toThrow()
    }
    expect(manifests.length).toBeGreaterThan(12)
  })

  it('has no field that the types do not know', () => {
    expect(compileTyped(manifests)).toBe('')
  })

  it('runs every pod restricted, without a token, with requests and limits', () => {
    for (const { name, pod } of pods) {
      expect(pod.automountServiceAccountToken, name).toBe(false)
      expect(pod.securityContext, name).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } })
      for (const container of [...pod.containers, ...(pod.initContainers ?? [])]) {
        expect(container.securityContext, name).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        })
        expect(container.resources, name).toMatchObject({
          requests: { cpu: expect.anything() },
          limits: { memory: expect.anything() },
        })
      }
    }
    expect(pods.length).toBeGreaterThanOrEqual(4)
  })

  it('starts programs that exist, under an init that passes signals on', () => {
    for (const { name, pod } of pods) {
      for (const { command } of pod.containers) {
        expect(command.slice(0, 2), name).toEqual(['/usr/bin/tini', '--'])
        const program = command.find((word) => word.startsWith('apps/'))
        expect(program && existsSync(program), `${name}: ${program}`).toBe(true)
      }
    }
  })

  it('sets only variables that the programs read', () => {
    const known = ['apps/api/src/config.ts', 'apps/scheduler/src/config.ts', 'apps/worker/src/config.ts']
      .map((file) => readFileSync(file, 'utf8'))
      .join('\n')
    const config = manifests.find(({ kind }) => kind === 'ConfigMap')?.data ?? {}
    const secret = parse(readFileSync('k8s/base/secret.example.yaml', 'utf8')) as { stringData: Record<string, string> }
    const own = pods.flatMap(({ pod }) => pod.containers.flatMap((container) => Object.keys(environmentOf(container))))
    for (const name of [...Object.keys(config), ...Object.keys(secret.stringData), ...own]) {
      expect(known, name).toMatch(new RegExp(`^  ${name}: |'${name}'`, 'm'))
    }
    expect(own.length).toBeGreaterThan(4)
  })

  it('gives a worker longer to end than the worker gives itself', () => {
    const workers = pods.filter(({ manifest }) => manifest.kind === 'ScaledJob')
    for (const { name, pod } of workers) {
      const graceMs = Number(environmentOf(pod.containers[0] as Container).GRACE_MS)
      expect((pod.terminationGracePeriodSeconds ?? 30) * 1000, name).toBeGreaterThanOrEqual(graceMs + 5000)
    }
    expect(workers).not.toHaveLength(0)
  })

  it('counts the runnable attempts of each worker class by SQL that the schema answers', async () => {
    const database = await createTestDatabase()
    onTestFinished(() => database.drop())
    const client = new pg.Client({ connectionString: database.url })
    await client.connect()
    try {
      for (const { manifest, pod } of pods) {
        if (manifest.kind !== 'ScaledJob') continue
        const [trigger] = (manifest.spec?.triggers ?? []) as readonly { readonly metadata: { readonly query: string } }[]
        const { rows } = await client.query(trigger?.metadata.query ?? '')
        expect(rows).toEqual([{ count: '0' }])
        const { RESOURCE_CLASS } = environmentOf(pod.containers[0] as Container)
        expect(trigger?.metadata.query).toContain(`resource_class = '${RESOURCE_CLASS}'`)
      }
    } finally {
      await client.end()
    }
  })
})
