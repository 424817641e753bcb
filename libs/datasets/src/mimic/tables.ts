/** Tables of MIMIC-CXR-JPG and MIMIC-IV: where each lies, and what the download page calls it. */
import { SpecError } from '#libs/training'
import type { DatasetFiles } from '../files/dataset-files.ts'
import type { InventoryTable } from '../record.ts'
import type { DatasetSource } from '../source.ts'

export interface MimicIvTables {
  readonly patients: InventoryTable
  readonly admissions: InventoryTable
  readonly icustays: InventoryTable
}

export interface MimicTables {
  readonly metadata: InventoryTable
  readonly chexpert: InventoryTable
  /** Null under split rule `icu`. */
  readonly split: InventoryTable | null
  readonly mimicIv: MimicIvTables | null
}

/** MIMIC-CXR-JPG 2.1.0 kept the names of 2.0.0; a copy may have renamed them. */
const VERSIONS = ['2.0.0', '2.1.0']
/** As downloaded, or unpacked. */
const ENDINGS = ['.csv', '.csv.gz']
/** MIMIC-IV before 2.0 kept patients and admissions in `core`; a copy may hold the tables side by side. */
const MIMIC_IV_FOLDERS = { patients: ['hosp', 'core', ''], admissions: ['hosp', 'core', ''], icustays: ['icu', ''] } as const

/** @throws SpecError that names the first table that is missing, as its download page does. */
export async function findMimicTables({ root, mimicIv, split, options }: DatasetSource): Promise<MimicTables> {
  const names = await root.names('')
  const ofRoot = (what: string): InventoryTable => {
    const file = VERSIONS.flatMap((version) => ENDINGS.map((ending) => `mimic-cxr-${version}-${what}${ending}`)).find((one) =>
      names.includes(one),
    )
    if (!file) throw missing(`MIMIC-CXR-JPG v2.0.0: mimic-cxr-2.0.0-${what}.csv.gz`, 'root')
    return { name: file, files: root, file }
  }
  const metadata = ofRoot('metadata')
  const chexpert = ofRoot('chexpert')
  const own = split && { name: `split/${split.file}`, files: split.files, file: split.file }
  if (own && (await own.files.sizes([own.file]))[0] === undefined)
    throw new SpecError('the split table is missing', { field: 'split' })
  return {
    metadata,
    chexpert,
    split: options.splitRule === 'icu' ? null : (own ?? ofRoot('split')),
    mimicIv: mimicIv && (await findMimicIvTables(mimicIv)),
  }
}

async function findMimicIvTables(files: DatasetFiles): Promise<MimicIvTables> {
  await files.names('')
  const find = async (table: keyof MimicIvTables): Promise<InventoryTable> => {
    for (const folder of MIMIC_IV_FOLDERS[table]) {
      const names = await files.names(folder)
      const name = ENDINGS.map((ending) => `${table}${ending}`).find((one) => names.includes(one))
      const file = folder === '' ? name : `${folder}/${name}`
      if (name && file) return { name: `mimic-iv/${file}`, files, file }
    }
    throw missing(`MIMIC-IV: ${MIMIC_IV_FOLDERS[table][0]}/${table}.csv.gz`, 'mimicIv')
  }
  return { patients: await find('patients'), admissions: await find('admissions'), icustays: await find('icustays') }
}

const missing = (download: string, field: string) => new SpecError(`a table is missing: ${download}`, { field })

/** The tables in order of name, for the fingerprint. */
export function tablesOf({ metadata, chexpert, split, mimicIv }: MimicTables): InventoryTable[] {
  const all = [metadata, chexpert, ...(split ? [split] : []), ...(mimicIv ? Object.values(mimicIv) : [])]
  return all.sort((a, b) => (a.name < b.name ? -1 : 1))
}
