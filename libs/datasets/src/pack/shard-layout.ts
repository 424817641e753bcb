/** Where an image lies in a pack: slot s is image s mod 1,024 of shard floor(s / 1,024). */
export const SHARD_IMAGES = 1024
export const INDEX_NAME = 'pack/index.safetensors'
/** The fitted imputers, see imputation/pack-imputation.ts. */
export const IMPUTATION_NAME = 'pack/imputation.json'
export const MANIFEST_NAME = 'pack/manifest.json'

const numbered = (shard: number) => `pack/shard-${String(shard).padStart(5, '0')}`
export const shardName = (shard: number): string => `${numbered(shard)}.u8`
export const isShardName = (name: string): boolean => name.startsWith('pack/shard-') && name.endsWith('.u8')
/** Says that a shard is whole while the pack is not; deleted once the manifest stands. */
export const receiptName = (shard: number): string => `${numbered(shard)}.json`
