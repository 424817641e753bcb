import type { Program } from '../program.ts'
import { absorbBroadcasts } from './absorb-broadcasts.ts'
import { eliminateCommonSubexpressions } from './eliminate-common-subexpressions.ts'
import { foldConstants } from './fold-constants.ts'
import { removeDeadOps } from './remove-dead-ops.ts'
import { removeIdentities } from './remove-identities.ts'
import type { Pass } from './rewrite.ts'

/** One round. Dead operations go first, because a traced gradient has many. */
const ROUND: readonly Pass[] = [
  removeDeadOps,
  removeIdentities,
  foldConstants,
  removeIdentities,
  absorbBroadcasts,
  eliminateCommonSubexpressions,
]

/** Rounds end early where nothing changes; this bound only guards against a pass that would never settle. */
const MAX_ROUNDS = 6

/** All passes until the number of operations settles. Results stay the same up to float32 rounding of folded constants. */
export function optimise(program: Program): Program {
  let current = program
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const before = current.ops.length
    for (const pass of ROUND) current = pass(current)
    current = removeDeadOps(current)
    if (current.ops.length === before) break
  }
  return current
}
