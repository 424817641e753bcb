/**
 * Builds what an image of ours would hold, without a container engine: copies and runs what the Dockerfile says, in folders that
 * stand for the stages. Only what needs the distribution's package manager is left out (and named).
 */
import { execFile } from 'node:child_process'
import { cp, mkdir, readdir, stat } from 'node:fs/promises'
import { basename, join, posix } from 'node:path'
import { promisify } from 'node:util'
import { execForm, type Instruction, readDockerfile, type Stage, variablesOf } from './dockerfile.ts'

const run = promisify(execFile)

export interface StagedImage {
  /** Where the image's file system lies. */
  readonly root: string
  /** Its working directory, below `root`. */
  readonly workdir: string
  readonly environment: Readonly<Record<string, string>>
  readonly user: string
  readonly entrypoint: readonly string[]
  readonly command: readonly string[]
  /** RUN lines that were left out. */
  readonly leftOut: readonly string[]
}

export interface StageOptions {
  readonly dockerfile: string
  readonly target: string
  /** The build context: tracked files alone, as a clone has them. */
  readonly context: string
  readonly scratch: string
  readonly note: (line: string) => void
}

/** @throws Error with file and line where a copied path is missing or a command fails */
export async function stageImage(options: StageOptions): Promise<StagedImage> {
  const stages = await readDockerfile(options.dockerfile)
  const built = new Map<string, StagedImage>()
  for (const stage of neededStages(stages, options.target)) built.set(stage.name, await buildStage(stage, built, options))
  const image = built.get(options.target)
  if (image === undefined) throw new Error(`${options.dockerfile}: no stage ${options.target}`)
  return image
}

/** The target and all that it builds upon or copies from, in order. */
function neededStages(stages: readonly Stage[], target: string): Stage[] {
  const needed = new Set<string>()
  const visit = (name: string) => {
    const stage = stages.find((other) => other.name === name)
    if (stage === undefined || needed.has(name)) return
    needed.add(name)
    visit(stage.base)
    for (const { name: instruction, text } of stage.instructions) {
      const from = instruction === 'COPY' ? /--from=(\S+)/.exec(text)?.[1] : undefined
      if (from !== undefined) visit(from)
    }
  }
  visit(target)
  return stages.filter(({ name }) => needed.has(name))
}

async function buildStage(stage: Stage, built: ReadonlyMap<string, StagedImage>, options: StageOptions): Promise<StagedImage> {
  const root = join(options.scratch, stage.name)
  await mkdir(root, { recursive: true })
  const base = built.get(stage.base)
  if (base !== undefined) await cp(base.root, root, { recursive: true, verbatimSymlinks: true })
  let image: StagedImage = base
    ? { ...base, root }
    : { root, workdir: '/', environment: {}, user: 'root', entrypoint: [], command: [], leftOut: [] }
  for (const instruction of stage.instructions) {
    try {
      image = await apply(instruction, image, built, options)
    } catch (error) {
      throw new Error(`${options.dockerfile}:${instruction.line}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  return image
}

async function apply(
  { name, text }: Instruction,
  image: StagedImage,
  built: ReadonlyMap<string, StagedImage>,
  options: StageOptions,
): Promise<StagedImage> {
  switch (name) {
    case 'WORKDIR':
      await mkdir(join(image.root, text), { recursive: true })
      return { ...image, workdir: text }
    case 'ENV':
      return { ...image, environment: { ...image.environment, ...variablesOf(text) } }
    case 'USER':
      return { ...image, user: text }
    case 'ENTRYPOINT':
      return { ...image, entrypoint: execForm(text) }
    case 'CMD':
      return { ...image, command: execForm(text) }
    case 'EXPOSE':
      return image
    case 'COPY':
      await copy(text, image, built, options)
      return image
    case 'RUN':
      if (text.startsWith('apt-get ')) return { ...image, leftOut: [...image.leftOut, text] }
      options.note(`RUN ${text}`)
      await run('sh', ['-c', text], { cwd: join(image.root, image.workdir), maxBuffer: 2 ** 26 })
      return image
    default:
      throw new Error(`${name}: an instruction that this script does not know`)
  }
}

async function copy(text: string, image: StagedImage, built: ReadonlyMap<string, StagedImage>, options: StageOptions) {
  const from = /^--from=(\S+)\s+/.exec(text)
  const words = text.slice(from?.[0].length ?? 0).split(/\s+/)
  const destination = words.pop() ?? ''
  const source = from?.[1] === undefined ? options.context : built.get(from[1])?.root
  if (source === undefined) throw new Error(`COPY from ${from?.[1]}: no such stage`)
  const target = join(image.root, posix.resolve(image.workdir, destination))
  for (const word of words) {
    const path = join(source, word)
    const isFolder = (await stat(path)).isDirectory()
    // As in a Dockerfile: of a folder its content, a file into a folder under its own name.
    if (isFolder) {
      await mkdir(target, { recursive: true })
      for (const entry of await readdir(path)) {
        await cp(join(path, entry), join(target, entry), { recursive: true, verbatimSymlinks: true })
      }
    } else await cp(path, /\/$|^\.\/?$/.test(destination) ? join(target, basename(word)) : target)
  }
}
