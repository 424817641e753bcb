/** The data sources of the training loops, from a pack. */
import type { DataSourceFactory } from '#libs/training'
import { evaluationSource, transferSource } from './evaluation-source.ts'
import { pretrainSource } from './pretrain-source.ts'

export const dataSources: DataSourceFactory = { pretrain: pretrainSource, evaluation: evaluationSource, transfer: transferSource }
