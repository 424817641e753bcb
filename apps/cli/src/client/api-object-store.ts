/** Files of runs, read through the api: the part of an object store that reading needs. What is read is checked by who reads it. */
import { Readable } from 'node:stream'
import { z } from 'zod'
import { type ObjectHead, ObjectNotFoundError, type ObjectStore } from '#libs/artifacts'
import { ApiProblemError } from '../errors.ts'
import { type ApiClient, parseAnswer } from './api-client.ts'

const filesSchema = z.object({ files: z.array(z.object({ path: z.string(), sizeBytes: z.number() })) })

/** The api does not tell when a file was stored. */
const UNKNOWN = new Date(0)

const RUN_KEY = /^runs\/([0-9a-f]{64})\/(.*)$/

/** Keys are those of the lab's own object store: `runs/<run id>/<path>`. Writing is refused. */
export function apiObjectStore(api: ApiClient): ObjectStore {
  const refuse = () => Promise.reject(new Error('files of runs are read through the api, not written'))
  const parts = (key: string): { run: string; path: string } => {
    const [, run, path] = RUN_KEY.exec(key) ?? []
    if (run === undefined || path === undefined) throw new ObjectNotFoundError(key)
    return { run, path }
  }
  const list = async (prefix: string): Promise<ObjectHead[]> => {
    const { run } = parts(prefix)
    const { files } = parseAnswer(filesSchema, await api.get(`/v1/runs/${run}/artifacts`))
    return files
      .map(({ path, sizeBytes }) => ({ key: `runs/${run}/${path}`, sizeBytes, modifiedAt: UNKNOWN }))
      .filter(({ key }) => key.startsWith(prefix))
  }
  const get = async (key: string): Promise<Buffer> => {
    const { run, path } = parts(key)
    try {
      return await api.bytes(`/v1/runs/${run}/artifacts/${path}?stream=true`)
    } catch (error) {
      if (error instanceof ApiProblemError && error.status === 404) throw new ObjectNotFoundError(key, { cause: error })
      throw error
    }
  }
  return {
    url: api.url,
    get,
    getRange: async (key, start, length) => (await get(key)).subarray(start, start + length),
    stream: async (key) => Readable.from([await get(key)]),
    head: async (key) => (await list(key)).find((file) => file.key === key),
    async *list(prefix) {
      yield* await list(prefix)
    },
    presignGet: async () => null,
    put: refuse,
    delete: refuse,
    removeUnfinished: refuse,
  }
}
