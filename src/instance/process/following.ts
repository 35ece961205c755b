/**
 * Makes what reads a specification again and follows it, one request after the other, so that the newest wins. It answers
 * with the version that is followed now.
 */
export function following<Spec extends { readonly version: number }>(
  read: () => Promise<Spec>,
  follow: (spec: Spec) => void | Promise<void>,
): () => Promise<{ version: number }> {
  let last: Promise<unknown> = Promise.resolve();
  return async () => {
    const turn = last.then(async () => {
      const spec = await read();
      await follow(spec);
      return { version: spec.version };
    });
    last = turn.catch(() => undefined);
    return turn;
  };
}
