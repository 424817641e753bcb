/** The state diagram of the README, drawn from the table of moves. */
import { RUN_STATES } from './states.ts'
import { RUN_MOVES } from './transitions.ts'

/** Mermaid ids have no hyphen. */
const idOf = (state: string): string => state.replaceAll('-', '_')

/** The text between the fences of a `mermaid` block. */
export function stateDiagram(): string {
  const named = RUN_STATES.filter((state) => state.includes('-')).map((state) => `  state "${state}" as ${idOf(state)}`)
  const born = ['blocked', 'queued', 'upstream-failed'].map((state) => `  [*] --> ${idOf(state)}`)
  const moves = RUN_STATES.flatMap((from) =>
    Object.entries(RUN_MOVES[from]).map(([to, words]) => `  ${idOf(from)} --> ${idOf(to)}: ${words}`),
  )
  return ['stateDiagram-v2', ...named, ...born, ...moves, '  succeeded --> [*]', ''].join('\n')
}
