import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { stateDiagram } from './draw-states.ts'
import { IllegalTransitionError } from './errors.ts'
import { RUN_STATES, type RunState } from './states.ts'
import { assertTransition, canMove, hasEnded, statesBefore } from './transitions.ts'

const README = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

describe('run transitions', () => {
  it('are the ones that the README draws', () => {
    const drawn = /```mermaid\n(.*?)```/s.exec(README)?.[1]
    expect(drawn).toBe(stateDiagram())
  })

  it('never leave succeeded: a result is final', () => {
    for (const to of RUN_STATES) expect(canMove('succeeded', to)).toBe(false)
  })

  it('lead out of every state that has not ended into an end state', () => {
    for (const from of RUN_STATES.filter((state) => !hasEnded(state))) {
      expect(
        RUN_STATES.some((to) => hasEnded(to) && canMove(from, to)),
        from,
      ).toBe(true)
    }
  })

  it('reach running from queued alone', () => {
    expect(statesBefore('running')).toEqual(['queued'])
  })

  it.each([
    ['blocked', 'running'],
    ['queued', 'succeeded'],
    ['failed', 'succeeded'],
    ['paused', 'running'],
  ] satisfies [RunState, RunState][])('refuse %s to %s by name', (from, to) => {
    expect(() => assertTransition(from, to)).toThrow(new IllegalTransitionError(from, to))
  })

  it('allow what the table lists', () => {
    expect(() => assertTransition('blocked', 'queued')).not.toThrow()
  })
})
