import { createHash, createHmac, pbkdf2, randomBytes } from "node:crypto";
import { promisify } from "node:util";

const iterations = 4096;

/**
 * What PostgreSQL keeps of a password (`pg_authid.rolpassword`): `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`, RFC 5802
 * and 7677. `ALTER ROLE … PASSWORD` takes it in place of the password, so that no statement, and no log of statements,
 * ever holds the password itself. Passwords beyond ASCII are normalized as far as Unicode's NFKC goes, which is SASLprep
 * but for rare characters.
 */
export async function scramVerifier(password: string, salt: Buffer = randomBytes(16)): Promise<string> {
  const salted = await promisify(pbkdf2)(password.normalize("NFKC"), salt, iterations, 32, "sha256");
  const clientKey = createHmac("sha256", salted).update("Client Key").digest();
  const storedKey = createHash("sha256").update(clientKey).digest("base64");
  const serverKey = createHmac("sha256", salted).update("Server Key").digest("base64");
  return `SCRAM-SHA-256$${iterations}:${salt.toString("base64")}$${storedKey}:${serverKey}`;
}
