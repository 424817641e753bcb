/**
 * Gradients of a loss that sees a whole batch (BatchNorm, Sinkhorn, mean entropy) through a trunk that sees one row at a time,
 * with the memory of one micro-batch. The trunk runs forward piece by piece and keeps nothing but its features; head and loss
 * take the features of all rows at once and give their gradient; the trunk then runs again, piece by piece, and passes that
 * gradient on (gradient checkpointing, Chen et al., arXiv 1604.06174). The sums are those of the unsplit batch in another order.
 */
import type { Tensor } from '@tensorflow/tfjs'
import { barrier } from './barrier.ts'
import { type Differentiated, differentiate } from './gradients.ts'
import { parameter } from './parameters.ts'
import type { TensorMap } from './step.ts'
import { tf } from './tf.ts'

/** Some rows of one input of the trunk, and the trunk on them: [rows, ...] -> [rows, dim], each row on its own. */
export interface TrunkPiece {
  readonly inputs: TensorMap
  readonly run: (params: TensorMap, inputs: TensorMap) => Tensor
}

/** The rows of `inputs` (all [rows, ...]) in pieces of at most `size` rows, the last may be smaller. Null: one piece. */
export function inPieces(inputs: TensorMap, size: number | null, run: TrunkPiece['run']): TrunkPiece[] {
  const rows = Object.values(inputs)[0]!.shape[0]!
  if (size === null || size >= rows) return [{ inputs, run }]
  const pieces: TrunkPiece[] = []
  for (let from = 0; from < rows; from += size) {
    const count = Math.min(size, rows - from)
    const cut = (x: Tensor): Tensor =>
      tf.slice(x, [from, ...x.shape.slice(1).map(() => 0)], [count, ...x.shape.slice(1)] as number[])
    pieces.push({ inputs: Object.fromEntries(Object.entries(inputs).map(([name, x]) => [name, cut(x)])), run })
  }
  return pieces
}

/** The piece with inputs that are there only after `after`. */
function held(piece: TrunkPiece, after: readonly Tensor[]): TrunkPiece {
  const inputs: TensorMap = {}
  let waitingFor = after
  for (const [name, x] of Object.entries(piece.inputs)) {
    if (waitingFor.length === 0) return piece
    inputs[name] = barrier(x, waitingFor)
    waitingFor = [inputs[name]]
  }
  return { ...piece, inputs }
}

/** Forward only, piece after piece. @returns the pieces as they were held back, and their features */
function forwardPieces(
  params: TensorMap,
  pieces: readonly TrunkPiece[],
  after: readonly Tensor[] = [],
): [TrunkPiece[], Tensor[]] {
  const ordered: TrunkPiece[] = []
  const features: Tensor[] = []
  for (const piece of pieces) {
    const previous = features.at(-1)
    const next = held(piece, previous ? [previous] : after)
    ordered.push(next)
    features.push(tf.tidy(() => next.run(params, next.inputs)))
  }
  return [ordered, features]
}

/** Features of all rows, in order, without any gradient. @returns [rows, dim] */
export function featuresInPieces(params: TensorMap, pieces: readonly TrunkPiece[]): Tensor {
  return concatRows(forwardPieces(params, pieces)[1])
}

export function concatRows(parts: readonly Tensor[]): Tensor {
  return parts.length === 1 ? parts[0]! : tf.concat([...parts], 0)
}

export interface TrunkAndHead {
  readonly tensors: TensorMap
  /** Which of `tensors` to differentiate: those of the trunk alone, and those of the head alone. */
  readonly trunkNames: readonly string[]
  readonly headNames: readonly string[]
  /** In the order in which the head takes their features. */
  readonly pieces: readonly TrunkPiece[]
  /** @param features [rows, dim], rows of all pieces */
  readonly head: (tensors: TensorMap, features: Tensor) => { loss: Tensor; extras: TensorMap }
}

/** Loss, extras and gradients of head after trunk; all pieces' activations are kept from forward to backward. */
export function differentiateAtOnce({ tensors, trunkNames, headNames, pieces, head }: TrunkAndHead): Differentiated {
  return differentiate(tensors, [...trunkNames, ...headNames], (given) =>
    head(given, concatRows(pieces.map((piece) => piece.run(given, piece.inputs)))),
  )
}

const FEATURES = 'features of the trunk'

/** The same in the memory of the largest piece. @param after what must be there before the trunk starts */
export function differentiateInPieces(work: TrunkAndHead, after: readonly Tensor[]): Differentiated {
  const { tensors, trunkNames, headNames, pieces, head } = work
  const [ordered, parts] = forwardPieces(tensors, pieces, after)
  const start = { ...tensors, [FEATURES]: concatRows(parts) }
  const ofHead = differentiate(start, [...headNames, FEATURES], (given) => head(given, parameter(given, FEATURES)))
  const { [FEATURES]: gradient, ...headGradients } = ofHead.gradients
  const rows = parts.map((part) => part.shape[0]!)
  const shares = rows.length === 1 ? [gradient!] : tf.split(gradient!, rows, 0)
  // Backwards, because the last piece's forward pass has only just been done: a compiled step shares it instead of repeating it.
  let sums = trunkGradients(work, ordered.at(-1)!, shares.at(-1)!)
  for (let i = pieces.length - 2; i >= 0; i--) {
    sums = addGradients(sums, trunkGradients(work, held(pieces[i]!, sums), shares[i]!))
  }
  return { ...ofHead, gradients: { ...headGradients, ...Object.fromEntries(trunkNames.map((name, i) => [name, sums[i]!])) } }
}

function trunkGradients({ tensors, trunkNames }: TrunkAndHead, piece: TrunkPiece, dy: Tensor): Tensor[] {
  const run = (...args: Tensor[]): Tensor =>
    piece.run({ ...tensors, ...Object.fromEntries(trunkNames.map((name, i) => [name, args[i]!])) }, piece.inputs)
  const given = trunkNames.map((name) => parameter(tensors, name))
  return tf.grads(run as (...args: Tensor[]) => Tensor)(given, dy) as Tensor[]
}

/** The running sums, in the fixed order of the pieces; what was summed is freed. */
function addGradients(sums: readonly Tensor[], next: readonly Tensor[]): Tensor[] {
  const added = sums.map((sum, i) => tf.add(sum, next[i]!))
  tf.dispose([...sums, ...next])
  return added
}
