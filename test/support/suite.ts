import { type Test, suite as uvuSuite } from 'uvu';

/**
 * A suite of tests. Every test file uses this instead of uvu's own `suite`, so that a suite cannot be forgotten: it
 * runs by itself once the file has been read. What goes wrong before or after its tests is said, which uvu keeps to itself.
 */
export function suite(name: string, define: (test: Test) => void): void {
  const test = uvuSuite(name);
  for (const when of ['before', 'after'] as const) {
    const hook = test[when];
    test[when] = Object.assign((body: Parameters<typeof hook>[0]) => hook(saying(`${when} ${name}`, body)), {
      each: hook.each,
    });
  }
  define(test);
  test.run();
}

function saying<Hook extends (context: never) => unknown>(when: string, hook: Hook): Hook {
  const wrapped = async (context: never) => {
    try {
      await hook(context);
    } catch (error) {
      console.error(`\n   FAIL  ${when}:\n${(error as Error).stack}`);
      throw error;
    }
  };
  return wrapped as unknown as Hook;
}
