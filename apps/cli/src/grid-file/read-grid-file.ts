/** A grid request as a user writes it, YAML or JSON, with the place of every field, so that a problem can name its line. */
import { readFile } from 'node:fs/promises'
import { isMap, isNode, isPair, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument, visit } from 'yaml'
import { GridFileError } from '../errors.ts'

export interface Place {
  /** From 1. */
  readonly line: number
  readonly column: number
}

export interface GridFile {
  readonly path: string
  readonly value: unknown
  /** Place of the field at a JSON pointer; of its nearest parent where it is absent; undefined for an empty file. */
  locate(pointer: string): Place | undefined
}

/** A request is far smaller; anything larger is the wrong file. */
const LARGEST_FILE_BYTES = 16 * 2 ** 20

/** @throws GridFileError that names file, line and column. */
export async function readGridFile(path: string): Promise<GridFile> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw new GridFileError(`${path}: ${unreadable(error)}`, { cause: error })
  }
  return parseGridFile(path, text)
}

/** As {@link readGridFile}, of a text. JSON is read as the YAML that it is. */
export function parseGridFile(path: string, text: string): GridFile {
  if (text.length > LARGEST_FILE_BYTES) throw new GridFileError(`${path}: is too large for a grid request`)
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  if (document.errors.length > 0) {
    const messages = document.errors.map(({ message, pos }) => `${path}:${at(lines, pos[0])}: ${message}`)
    throw new GridFileError(messages.join('\n'))
  }
  const root = document.contents
  if (!isMap(root))
    throw new GridFileError(`${path}:1:1: a grid request is a mapping of fields (name, dataset, evaluations, ...)`)
  visit(document, {
    Alias(_key, alias) {
      if (alias.resolve(document) !== undefined) return
      throw new GridFileError(`${path}:${at(lines, alias.range?.[0] ?? 0)}: there is no anchor "${alias.source}" before this`)
    },
  })
  let value: unknown
  try {
    value = document.toJS({ maxAliasCount: 100 })
  } catch (error) {
    throw new GridFileError(`${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
  return {
    path,
    value,
    locate: (pointer) => {
      const offset = offsetOf(root, keysOf(pointer))
      return offset === undefined ? undefined : placeOf(lines, offset)
    },
  }
}

function keysOf(pointer: string): readonly string[] {
  if (pointer === '' || pointer === '/') return []
  return pointer
    .slice(1)
    .split('/')
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function offsetOf(root: Node, keys: readonly string[]): number | undefined {
  let node: Node = root
  let offset = root.range?.[0]
  for (const key of keys) {
    const child = childOf(node, key)
    if (child === undefined) return offset
    offset = child.offset ?? offset
    if (child.node === undefined) return offset
    node = child.node
  }
  return offset
}

interface Child {
  readonly offset: number | undefined
  readonly node: Node | undefined
}

/** A field stands where its key stands, an entry of a list where its value does. */
function childOf(node: Node, key: string): Child | undefined {
  if (isMap(node)) {
    const pair = node.items.find((item): item is Pair => isPair(item) && keyText(item) === key)
    if (pair === undefined) return undefined
    const keyNode = isNode(pair.key) ? pair.key : undefined
    return { offset: keyNode?.range?.[0], node: isNode(pair.value) ? pair.value : undefined }
  }
  if (isSeq(node)) {
    const item = node.items[Number(key)]
    return isNode(item) ? { offset: item.range?.[0], node: item } : undefined
  }
  return undefined
}

function keyText(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : String(pair.key)
}

function placeOf(lines: LineCounter, offset: number): Place {
  const { line, col } = lines.linePos(offset)
  return { line, column: col }
}

function at(lines: LineCounter, offset: number): string {
  const { line, column } = placeOf(lines, offset)
  return `${line}:${column}`
}

function unreadable(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return 'there is no such file'
    case 'EACCES':
      return 'may not be read'
    case 'EISDIR':
      return 'is a folder'
    default:
      return error instanceof Error ? error.message : String(error)
  }
}
