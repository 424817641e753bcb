/** Exit codes of `cxrlab`, for scripts (README.md). */
export const EXIT = {
  ok: 0,
  /** Work failed: a watched grid has runs that did not succeed, or the embedded lab broke down. */
  failed: 1,
  /** The command line is wrong. */
  usage: 2,
  /** The file cannot be read, or the server found its content invalid. */
  invalidFile: 3,
  /** The server refused: unknown id, conflict, too many requests. */
  refused: 4,
  /** No server answers at the address, or it failed. */
  unreachable: 5,
  interrupted: 130,
} as const
export type ExitCode = (typeof EXIT)[keyof typeof EXIT]
