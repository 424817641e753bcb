/** A worker that was not seen for this long is gone. */
export const WORKER_ALIVE_SECONDS = 60
