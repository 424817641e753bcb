import { describe, expect, it } from 'vitest'
import { redactText } from '#libs/telemetry'
import { API_ROLES } from './access-ports.ts'
import { hashApiKey, isApiKey, newApiKey, roleAllows } from './api-key.ts'

describe('API keys', () => {
  it('are 256 random bits with a form of their own', () => {
    const keys = Array.from({ length: 100 }, newApiKey)
    expect(keys.every(isApiKey)).toBe(true)
    expect(new Set(keys).size).toBe(100)
    expect(Buffer.from(keys[0]!.slice('cxrlab_'.length), 'base64url')).toHaveLength(32)
  })

  it.each(['', 'cxrlab_', 'cxrlab_short', `${newApiKey()}x`, ` ${newApiKey()}`, newApiKey().toUpperCase()])(
    'are not %j',
    (text) => expect(isApiKey(text)).toBe(false),
  )

  it('are stored as their SHA-256', () => {
    expect(hashApiKey('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  })

  it('never reach a log line, wherever in it they stand', () => {
    const key = newApiKey()
    for (const line of [key, `{"msg":"Bearer ${key}"}`, `GET /v1/runs?key=${key}&x=1`, `a${key}`]) {
      expect(redactText(line)).not.toContain(key.slice('cxrlab_'.length))
    }
  })
})

describe('roles', () => {
  it('each allow what the ones before them allow', () => {
    expect(API_ROLES.map((role) => API_ROLES.filter((needed) => roleAllows(role, needed)))).toEqual([
      ['read'],
      ['read', 'submit'],
      ['read', 'submit', 'admin'],
    ])
  })
})
