/**
 * For how long `paceline uninstall` keeps the controller's lease after it has ended: time enough to delete the controller,
 * which would otherwise write again.
 */
export const uninstallHoldMs = 600_000;

const prefix = 'uninstall_';

/** Who holds the lease while everything is given back, and for a while after. */
export function uninstallIdentity(unique: string): string {
  return `${prefix}${unique}`;
}

/** Whether a holder of the lease ended without giving it up, on purpose: no other holder does. */
export function isUninstall(holder: string): boolean {
  return holder.startsWith(prefix);
}
