/**
 * What `abort` becomes in every kernel: a bare trap.
 *
 * A kernel has no imports, so it cannot describe what went wrong; the host sees a `WebAssembly.RuntimeError`,
 * rebuilds the instance from its own tables and counts the trap.
 */
export function trap(_message: string | null, _file: string | null, _line: u32, _column: u32): void {
  unreachable();
}
