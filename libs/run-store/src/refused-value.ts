/** SQLSTATE classes 22 (data exception) and 23 (integrity constraint). */
const REFUSING = /^2[23]/

interface DriverError {
  readonly meta?: { readonly driverAdapterError?: { readonly cause?: { readonly originalCode?: unknown } } }
}

/** Whether the database refused the values of a write themselves: the same write would be refused again, however long one waits. */
export function isRefusedValue(error: unknown): boolean {
  const code = (error as DriverError | null)?.meta?.driverAdapterError?.cause?.originalCode
  return typeof code === 'string' && REFUSING.test(code)
}
