export interface Violation {
  readonly file: string
  readonly line: number
  readonly rule: string
}
export declare const DIRECTIONS: Readonly<Record<string, readonly string[]>>
export declare const OWNED_PACKAGES: readonly { readonly pattern: RegExp; readonly owners: readonly string[] }[]
export declare function findViolations(root: string): Violation[]
