// How a password is stretched, by number: an account has one, and is raised to a better one when its owner signs in.
// The server says which. What is not in this table is refused, so it can ask neither for less than is safe nor for more
// than a phone has.
import { argon2id } from "hash-wasm";

const PROFILES = new Map([[1, { iterations: 3, memorySize: 64 * 1024, parallelism: 1 }]]); // memory in KiB

export const NEWEST = 1;

// A stretch function of opaque.mjs. Throws RangeError.
export function stretching(profile) {
  const how = PROFILES.get(profile);
  if (!how) throw new RangeError(`no such stretching profile: ${profile}`);
  return (octets) =>
    argon2id({ password: octets, salt: new Uint8Array(16), hashLength: 64, outputType: "binary", ...how });
}
