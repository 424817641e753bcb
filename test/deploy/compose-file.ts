/** docker-compose.yml as data: variables filled in from an environment, anchors and merges resolved. */
import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'

export interface ComposeService {
  readonly image: string
  readonly build?: { readonly dockerfile: string; readonly target?: string }
  readonly command?: readonly string[]
  readonly entrypoint?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly depends_on?: Readonly<Record<string, { readonly condition: DependencyCondition }>>
  readonly healthcheck?: { readonly test: readonly string[] }
  readonly profiles?: readonly string[]
  readonly ports?: readonly string[]
}
type DependencyCondition = 'service_started' | 'service_healthy' | 'service_completed_successfully'

/** @throws Error that names a variable which `${NAME:?...}` requires and the environment lacks */
export async function readComposeFile(
  path: string,
  environment: Readonly<Record<string, string>>,
): Promise<Readonly<Record<string, ComposeService>>> {
  const text = interpolate(await readFile(path, 'utf8'), environment)
  return (parse(text, { merge: true }) as { services: Record<string, ComposeService> }).services
}

/** `${NAME}`, `${NAME:-default}` and `${NAME:?message}`, outside comments. */
function interpolate(text: string, environment: Readonly<Record<string, string>>): string {
  const withoutComments = text.replace(/^\s*#.*$/gm, '')
  return withoutComments.replace(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_, name: string, kind: string | undefined, rest = '') => {
    const value = environment[name]
    if (value) return value
    if (kind === '-') return rest
    throw new Error(`${name}: ${rest || 'is not set'}`)
  })
}

/** Services of the default profile, each after those that it depends on. */
export function startOrder(services: Readonly<Record<string, ComposeService>>): readonly string[] {
  const order: string[] = []
  const visit = (name: string) => {
    if (order.includes(name)) return
    for (const other of Object.keys(services[name]?.depends_on ?? {})) visit(other)
    order.push(name)
  }
  for (const [name, service] of Object.entries(services)) if (!service.profiles) visit(name)
  return order
}
