/** Human titles of runs, made of the spec alone. */
import { ehrSetName } from './ehr-sets.ts'
import type { EvaluateSpec, MsnPretrainSpec, RunSpec } from './spec.ts'

function ehrTitle(ehr: MsnPretrainSpec['ehr']): string {
  const name = ehrSetName(ehr?.variables ?? null)
  const encoding = ehr?.ageEncoding ?? 'norm'
  return encoding === 'norm' ? name : `${name} (age ${encoding})`
}

function evaluateTitle(spec: EvaluateSpec): string {
  const share = spec.labelFraction < 1 ? ` with ${Number((100 * spec.labelFraction).toPrecision(6))} %` : ''
  return `evaluate ${spec.mode} ${spec.labels} on ${spec.dataset}${share}`
}

/** One line: `pretrain msn vit-tiny sex seed 24`, `evaluate linear findings on nih with 5 %`, `prepare nih`. */
export function runTitle(spec: RunSpec): string {
  switch (spec.kind) {
    case 'prepare':
      return `prepare ${spec.dataset}`
    case 'pretrain': {
      const ehr = spec.method === 'msn' ? ` ${ehrTitle(spec.ehr)}` : ''
      return `pretrain ${spec.method} ${spec.backbone.name}${ehr} seed ${spec.seed}`
    }
    case 'evaluate':
      return evaluateTitle(spec)
  }
}
