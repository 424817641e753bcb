/** The database carries another schema than this code was written for. */
export class SchemaMismatchError extends Error {
  readonly code = 'schema-mismatch'
  override readonly name = 'SchemaMismatchError'
}

/** A migration failed now or in an earlier start; the database was left as it was before that migration. */
export class MigrationFailedError extends Error {
  readonly code = 'migration-failed'
  override readonly name = 'MigrationFailedError'
  readonly migration: string
  constructor(migration: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.migration = migration
  }
}

/** The embedded Postgres could not be started. */
export class EmbeddedPostgresError extends Error {
  readonly code = 'embedded-postgres'
  override readonly name = 'EmbeddedPostgresError'
}
