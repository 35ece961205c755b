/**
 * Whether an instance has failed because another program listens on its port since it was chosen: the server's own words say
 * so (pqcomm.c, postmaster.c). It gets another one by itself.
 */
export function isPortTaken(message: string): boolean {
  return /Address already in use|could not create any TCP\/IP sockets/.test(message);
}
