/** What the command line takes from the environment; the only place that reads it. */
export interface CliConfig {
  /** Address of the api; `--api` wins over it. */
  readonly apiUrl: string
  /** Sent to the api; no flag, as command lines are seen by everybody on the machine. */
  readonly apiKey: string | undefined
  /** Queue of an embedded lab; undefined: its own Postgres. */
  readonly queueUrl: string | undefined
  /** Handed on to the processes of an embedded lab. */
  readonly environment: Readonly<Record<string, string | undefined>>
}

export function readConfig(environment: Readonly<Record<string, string | undefined>> = process.env): CliConfig {
  return {
    apiUrl: environment.CXRLAB_API || 'http://127.0.0.1:8080',
    apiKey: environment.CXRLAB_API_KEY || undefined,
    queueUrl: environment.QUEUE_URL || undefined,
    environment,
  }
}
