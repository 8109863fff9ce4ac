import type { ServerHttp2Session } from 'node:http2';

/** A session that has said nothing for this long is asked whether it is there; ms. */
const silentMs = 10_000;
/** Times in a row that it may leave that open. */
const unansweredMax = 2;

/**
 * Closes an HTTP/2 session whose caller is gone or says nothing even when asked. Node goes on with a session whose caller
 * broke the protocol and reads no more from it, not even that the caller has closed the connection: without this its
 * descriptor and its calls would stay for good. Whoever sends anything at all, an upload too, is there.
 */
export function watchSession(session: ServerHttp2Session, everyMs = silentMs): void {
  let read = -1;
  let unanswered = 0;
  const timer = setInterval(() => {
    // What came while the event loop was busy is read first.
    setImmediate(() => {
      if (session.destroyed) return;
      const { bytesRead } = session.socket;
      if (bytesRead !== read) {
        read = bytesRead;
        unanswered = 0;
        return;
      }
      if (++unanswered > unansweredMax) session.destroy();
      else if (unanswered === 1) session.ping(() => {});
    });
  }, everyMs).unref();
  session.once('close', () => clearInterval(timer));
}
