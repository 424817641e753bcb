/** Human titles of runs, made of the spec alone. */
import { ehrSetName } from './ehr-sets.ts'
import type { EvaluationSpec, MsnPretrainSpec, RunSpec, TransferSpec } from './spec.ts'

function ehrTitle(ehr: MsnPretrainSpec['ehr']): string {
  const name = ehrSetName(ehr?.variables ?? null)
  const encoding = ehr?.ageEncoding ?? 'norm'
  return encoding === 'norm' ? name : `${name} (age ${encoding})`
}

/** What the classifier of a transfer was trained as: `finetune on mimic`. */
export const trainedOnTitle = ({ mode, dataset }: TransferSpec['trainedOn']): string => `${mode} on ${dataset}`

function evaluateTitle(spec: EvaluationSpec): string {
  const from = spec.mode === 'transfer' ? ` of ${trainedOnTitle(spec.trainedOn)}` : ''
  const share = spec.labelFraction < 1 ? ` with ${Number((100 * spec.labelFraction).toPrecision(6))} %` : ''
  return `evaluate ${spec.mode}${from} ${spec.labels} on ${spec.dataset}${share}`
}

/** One line: `pretrain msn vit-tiny sex seed 24`, `evaluate linear findings on nih with 5 %`, `prepare nih`. */
export function runTitle(spec: RunSpec): string {
  switch (spec.kind) {
    case 'prepare':
      return `prepare ${spec.dataset}`
    case 'pretrain': {
      const ehr = spec.method === 'msn' ? ` ${ehrTitle(spec.ehr)}` : ''
      if (spec.method === 'imported') return `weights ${spec.weights.slice(0, 12)} ${spec.backbone.name}`
      return `pretrain ${spec.method} ${spec.backbone.name}${ehr} seed ${spec.seed}`
    }
    case 'evaluate':
      return evaluateTitle(spec)
  }
}
