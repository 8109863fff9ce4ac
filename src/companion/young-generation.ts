import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

const boundBytes = 8 * 1024 * 1024;

/**
 * Stops V8's young generation from growing beyond 8 MB. By default it grows to 48 MB, a third of what a companion may
 * hold, and collects no cheaper here: what is young is the requests of the last tenths of a second. The flag for it
 * works on a command line only, which belongs to whoever starts the container; the growth factor is read when it grows.
 */
export function boundYoungGeneration(): void {
  const observer = new PerformanceObserver(() => {
    const young = getHeapSpaceStatistics().find((space) => space.space_name === 'new_space');
    if ((young?.space_size ?? 0) < boundBytes) return;
    setFlagsFromString('--semi-space-growth-factor=1');
    observer.disconnect();
  });
  observer.observe({ entryTypes: ['gc'] });
}
