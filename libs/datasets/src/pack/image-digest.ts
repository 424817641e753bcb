/** Digests of single images, so that one can be verified without reading its shard. */
import { createHash } from 'node:crypto'

/** 128 bits find damage as surely as 256 and keep the index of 377,110 images at 6 MB. */
export const DIGEST_BYTES = 16

/** First 16 bytes of the SHA-256 of an image's grey levels. */
export function imageDigest(pixels: Uint8Array): Buffer {
  return createHash('sha256').update(pixels).digest().subarray(0, DIGEST_BYTES)
}

/** Rows of 16 bytes. */
export class ImageDigests {
  /** [rows, 16] */
  readonly bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  of(row: number): Buffer {
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + row * DIGEST_BYTES, DIGEST_BYTES)
  }
}
