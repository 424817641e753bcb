/** The DINO loss (Caron et al. 2021, arXiv 2104.14294, eq. 3) with a centred, sharpened teacher. */
import type { Tensor } from '@tensorflow/tfjs'
import { logSoftmax, softmax, total } from '../ops.ts'
import { tf } from '../tf.ts'
import type { DinoLossConfig } from './config.ts'

/**
 * What the teacher says: softmax((logits - centre) / temperature). No gradient flows into it.
 * @param logits [teacher views * batch, K] @param centre [K] @returns the same shape, rows sum to 1
 */
export function teacherAssignments(logits: Tensor, centre: Tensor, { teacherTemperature }: DinoLossConfig): Tensor {
  return softmax(tf.mul(tf.sub(logits, centre), 1 / teacherTemperature))
}

/**
 * Mean over pairs (teacher view, another student view) and over images of -sum_k t log p. The teacher's views are the first of
 * the student's.
 * @param logits the student's, [student views * batch, K], view after view
 * @param assignments the teacher's, [teacher views * batch, K], view after view
 * @returns scalar
 */
export function dinoLoss(logits: Tensor, assignments: Tensor, batch: number, { studentTemperature }: DinoLossConfig): Tensor {
  const [studentViews, teacherViews] = [logits.shape[0]! / batch, assignments.shape[0]! / batch]
  const logP = logSoftmax(tf.mul(logits, 1 / studentTemperature))
  const ofTeacher = tf.split(assignments, teacherViews, 0)
  // For each student view the sum of the teacher's other views: all of them where the teacher did not see the view.
  const others = Array.from({ length: studentViews }, (_, view) => sumOf(ofTeacher.filter((_, t) => t !== view)))
  const pairs = teacherViews * studentViews - teacherViews
  return tf.mul(total(tf.mul(logP, tf.concat(others, 0))), -1 / (pairs * batch))
}

const sumOf = (terms: readonly Tensor[]): Tensor => terms.reduce((sum, term) => tf.add(sum, term))

/** The centre after a batch: an average of the teacher's mean logits (eq. 4). @param centre [K] @param logits [rows, K] */
export function nextCentre(centre: Tensor, logits: Tensor, { centreMomentum }: DinoLossConfig): Tensor {
  return tf.add(tf.mul(centre, centreMomentum), tf.mul(tf.mean(logits, 0), 1 - centreMomentum))
}
