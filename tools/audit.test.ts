import { describe, expect, it } from 'vitest'
import { judge } from './audit.mjs'

const reportOf = (severities: readonly string[]) => {
  const found = severities.map((severity, i) => [`pkg-${i}`, { name: `pkg-${i}`, severity, range: '<2' }])
  const counts = { info: 0, low: 0, moderate: 0, high: 0, critical: 0, total: severities.length } as Record<string, number>
  for (const severity of severities) counts[severity] = (counts[severity] ?? 0) + 1
  return JSON.stringify({
    auditReportVersion: 2,
    vulnerabilities: Object.fromEntries(found),
    metadata: { vulnerabilities: counts },
  })
}

describe('the audit of dependencies', () => {
  it('passes without severe findings, and tells the others', () => {
    expect(judge(reportOf([]))).toEqual({ ok: true, lines: ['audited: no known vulnerability'] })
    expect(judge(reportOf(['low', 'moderate', 'low']))).toEqual({ ok: true, lines: ['audited: 2 low, 1 moderate'] })
  })

  it.each(['high', 'critical'])('fails on a finding that is %s, and names the package', (severity) => {
    expect(judge(reportOf(['low', severity]))).toEqual({
      ok: false,
      lines: [`${severity}: pkg-1 <2`, `audited: 1 low, 1 ${severity}`],
    })
  })

  it.each([
    ['an error', '{"message":"405 Method Not Allowed - POST /advisories/bulk","error":{"summary":""}}', '405 Method'],
    ['nothing', '', 'no audit report'],
    ['another page', '<html>', 'no audit report'],
  ])('says that nothing was audited where the registry answers with %s', (_what, output, reason) => {
    const { ok, lines } = judge(output)
    expect(ok).toBe(true)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain('not audited')
    expect(lines[0]).toContain(reason)
  })
})
