/** What the command line takes from the environment; the only place that reads it. */
export interface CliConfig {
  /** Address of the api; `--api` wins over it. */
  readonly apiUrl: string
  /** Queue of an embedded lab; undefined: its own Postgres. */
  readonly queueUrl: string | undefined
  /** Handed on to the processes of an embedded lab. */
  readonly environment: Readonly<Record<string, string | undefined>>
}

export function readConfig(environment: Readonly<Record<string, string | undefined>> = process.env): CliConfig {
  return {
    apiUrl: environment.CXRLAB_API || 'http://127.0.0.1:8080',
    queueUrl: environment.QUEUE_URL || undefined,
    environment,
  }
}
