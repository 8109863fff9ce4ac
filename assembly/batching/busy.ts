import { Domain } from './domain';

/**
 * Share of time in which something is in flight, exponentially weighted over the last ten seconds or so.
 *
 * Between two changes from idle to busy or back the state is one of the two, so that the share goes towards 0 or 1 by
 * 1 - exp(-passed / 10 s): it is kept as of the last change and reckoned from there for whoever asks, at any time.
 */
// @ts-ignore: decorator
@inline const BUSY_MS: f64 = 10000.0;

/** The share at `now`. Reading changes nothing. */
export function busyShareAt(domain: Domain, now: f64): f64 {
  const passed = max(now - domain.busyAt, 0);
  const present: f64 = domain.inFlight > 0 ? 1 : 0;
  return domain.busyShare + (1.0 - Math.exp(-passed / BUSY_MS)) * (present - domain.busyShare);
}

/** To be called before the first batch is in flight and before none is any more. */
export function busyChanges(domain: Domain, at: f64): void {
  domain.busyShare = busyShareAt(domain, at);
  domain.busyAt = max(domain.busyAt, at);
}
