/** Tells when a worker has had nothing to do for a while: a batch system's node is then given back. */
export interface IdleClock {
  /** An attempt came. */
  begin(): void
  /** An attempt ended. */
  end(): void
  stop(): void
}

/** `onIdle` is called once, when nothing was in hand for `idleMs`, counted from now or from the last end. */
export function startIdleClock(idleMs: number, onIdle: () => void): IdleClock {
  let inHand = 0
  let timer = setTimeout(onIdle, idleMs)
  return {
    begin() {
      inHand++
      clearTimeout(timer)
    },
    end() {
      inHand--
      if (inHand === 0) timer = setTimeout(onIdle, idleMs)
    },
    stop: () => clearTimeout(timer),
  }
}
