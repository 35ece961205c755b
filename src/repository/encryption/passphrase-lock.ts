import { randomBytes, scrypt } from "node:crypto";
import { promisify } from "node:util";
import { Stanza, type Identity, type Recipient } from "age-encryption";
import type { Secret } from "../../common/log.ts";
import { mib } from "../../common/units.ts";
import { unwrapFileKey, wrapFileKey } from "./file-key.ts";
import { unpaddedBase64 } from "./repository-key.ts";

/**
 * age's passphrases, for the age package. Its own scrypt is JavaScript, and stops everything else for seconds; Node's
 * runs beside. Every process that opens a repository pays for it once: with 2^16 rounds a fifth of a second and 64 MiB.
 */

const label = "age-encryption.org/v1/scrypt";
const ownWorkFactor = 16;
/** More would take a GiB of memory and more. */
const highestWorkFactor = 20;
const saltBytes = 16;

type Scrypt = (
  password: string,
  salt: Buffer,
  length: number,
  options: { readonly N: number; readonly r: number; readonly p: number; readonly maxmem: number },
) => Promise<Buffer>;

async function derive(passphrase: Secret, salt: Uint8Array, workFactor: number): Promise<Buffer> {
  const rounds = 2 ** workFactor;
  return (promisify(scrypt) as Scrypt)(passphrase.reveal(), Buffer.concat([Buffer.from(label), salt]), 32, {
    N: rounds,
    r: 8,
    p: 1,
    maxmem: rounds * 1024 + 8 * mib,
  });
}

export function passphraseRecipient(passphrase: Secret): Recipient {
  return {
    wrapFileKey: async (fileKey) => {
      const salt = randomBytes(saltBytes);
      const body = wrapFileKey(fileKey, await derive(passphrase, salt, ownWorkFactor));
      return [new Stanza(["scrypt", unpaddedBase64(salt), String(ownWorkFactor)], body)];
    },
  };
}

export function passphraseIdentity(passphrase: Secret): Identity {
  return {
    unwrapFileKey: async (stanzas) => {
      const [stanza, ...others] = stanzas;
      if (stanza?.args[0] !== "scrypt") return null;
      const salt = Buffer.from(stanza.args[1] ?? "", "base64");
      const workFactor = Number(stanza.args[2]);
      const isValid = others.length === 0 && salt.length === saltBytes && Number.isInteger(workFactor);
      if (!isValid || workFactor < 1) throw new Error("its passphrase stanza is not valid");
      if (workFactor > highestWorkFactor) throw new Error("its passphrase takes too much work to check");
      return unwrapFileKey(stanza.body, await derive(passphrase, salt, workFactor)) ?? null;
    },
  };
}
