/** Keys of Postgres advisory locks, all in one place: two purposes under one key would wait for each other. */
export const ADVISORY_LOCKS = {
  /** Session: the one scheduler at work. */
  leader: 7_270_740,
  /** Transaction: whoever changes which grids want which runs. */
  submit: 7_270_741,
  /** Transaction: from the first event to the commit, so that event ids rise in the order of commits. */
  events: 7_270_742,
  /** Transaction, with the hash of a run's id as second key: whoever stores its metric points. */
  metrics: 7_270_743,
} as const
