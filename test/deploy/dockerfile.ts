/** Just enough of a Dockerfile's grammar for ours: instructions, stages, continued lines, exec-form commands. */
import { readFile } from 'node:fs/promises'

export interface Instruction {
  readonly name: string
  readonly text: string
  readonly line: number
}

export interface Stage {
  readonly name: string
  /** An image, or an earlier stage. */
  readonly base: string
  readonly instructions: readonly Instruction[]
}

/** @throws Error with file and line for what it does not understand */
export async function readDockerfile(path: string): Promise<readonly Stage[]> {
  const stages: (Stage & { instructions: Instruction[] })[] = []
  for (const instruction of instructionsOf(await readFile(path, 'utf8'))) {
    const at = `${path}:${instruction.line}`
    if (instruction.name === 'FROM') {
      const match = /^(\S+)(?:\s+AS\s+(\S+))?$/i.exec(instruction.text)
      if (match?.[1] === undefined) throw new Error(`${at}: cannot read FROM ${instruction.text}`)
      stages.push({ name: match[2] ?? `stage-${stages.length}`, base: match[1], instructions: [] })
      continue
    }
    const stage = stages.at(-1)
    if (stage === undefined) throw new Error(`${at}: ${instruction.name} before the first FROM`)
    stage.instructions.push(instruction)
  }
  return stages
}

function instructionsOf(text: string): Instruction[] {
  const instructions: Instruction[] = []
  let open: { text: string; line: number } | undefined
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim()
    if (line.startsWith('#') || (line === '' && open === undefined)) continue
    const continued = line.endsWith('\\')
    const part = continued ? line.slice(0, -1).trim() : line
    open = open === undefined ? { text: part, line: index + 1 } : { text: `${open.text} ${part}`, line: open.line }
    if (continued) continue
    const [name = '', ...rest] = open.text.split(/\s+/)
    instructions.push({ name: name.toUpperCase(), text: rest.join(' '), line: open.line })
    open = undefined
  }
  return instructions
}

/** `NAME=value` pairs of an ENV instruction; ours have no quotes. */
export function variablesOf(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split(/\s+/).map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  )
}

/** The words of an exec-form instruction, `["a", "b"]`. @throws Error for the shell form, which hides signals */
export function execForm(text: string): readonly string[] {
  const words: unknown = JSON.parse(text)
  if (!Array.isArray(words) || !words.every((word) => typeof word === 'string')) throw new Error(`not an exec form: ${text}`)
  return words
}
