/** @param output of `npm audit --json` */
export function judge(output: string): { readonly ok: boolean; readonly lines: readonly string[] }
