/** A handler for tests: writes down what it gets, holds or fails on demand, and lets a test wait for a number of calls. */
export class Recorder {
  readonly ids: string[] = []
  readonly errors: Error[] = []
  running = 0
  mostAtOnce = 0
  #finished = 0
  #gate: { readonly opened: Promise<void>; readonly open: () => void } | undefined
  readonly #failures = new Map<string, Error>()
  #waiting: { readonly reached: () => boolean; readonly resolve: () => void }[] = []

  /** From now on handlers wait for {@link releaseAll}. */
  hold(): void {
    let open = () => {}
    const opened = new Promise<void>((resolve) => {
      open = resolve
    })
    this.#gate = { opened, open }
  }

  releaseAll(): void {
    this.#gate?.open()
    this.#gate = undefined
  }

  failOn(attemptId: string, error: Error): void {
    this.#failures.set(attemptId, error)
  }

  readonly handle = async (attemptId: string): Promise<void> => {
    this.ids.push(attemptId)
    this.running += 1
    this.mostAtOnce = Math.max(this.mostAtOnce, this.running)
    this.#check()
    try {
      await this.#gate?.opened
      const failure = this.#failures.get(attemptId)
      if (failure) throw failure
    } finally {
      this.running -= 1
      this.#finished += 1
      this.#check()
    }
  }

  readonly onError = (error: Error): void => {
    this.errors.push(error)
  }

  /** Resolves when `count` handlers have begun. */
  handled(count: number): Promise<void> {
    return this.#until(() => this.ids.length >= count)
  }

  /** Resolves when `count` handlers have ended. */
  finished(count: number): Promise<void> {
    return this.#until(() => this.#finished >= count)
  }

  #until(reached: () => boolean): Promise<void> {
    if (reached()) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push({ reached, resolve }))
  }

  #check(): void {
    this.#waiting = this.#waiting.filter(({ reached, resolve }) => {
      if (reached()) resolve()
      return !reached()
    })
  }
}
