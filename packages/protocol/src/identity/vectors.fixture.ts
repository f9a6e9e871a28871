import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { z } from "zod";

const hex = z.string().transform((text) => new Uint8Array(Buffer.from(text, "hex")));

const file = z.object({
  numberOfTests: z.int(),
  testGroups: z.array(
    z.object({
      publicKeyDer: hex,
      tests: z.array(
        z.object({
          tcId: z.int(),
          comment: z.string(),
          flags: z.array(z.string()),
          msg: hex,
          sig: hex,
          result: z.enum(["valid", "invalid", "acceptable"]),
        }),
      ),
    }),
  ),
});

export interface Vector {
  readonly id: number;
  /** DER of the SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
  readonly result: "valid" | "invalid" | "acceptable";
  readonly comment: string;
}

/** Vectors that nobody here wrote: they lie beside the repository and are never copied into it. */
function read(name: string): readonly Vector[] {
  const path = fileURLToPath(new URL(`../../../../../shared/vectors/${name}`, import.meta.url));
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new Error(
      `The test vectors are missing at ${path}. Put the folder shared/vectors of the project beside the repository.`,
      { cause },
    );
  }
  const { numberOfTests, testGroups } = file.parse(JSON.parse(text));
  const vectors = testGroups.flatMap(({ publicKeyDer, tests }) =>
    tests.map(({ tcId, msg, sig, result, comment }) => ({
      id: tcId,
      spki: publicKeyDer,
      message: msg,
      signature: sig,
      result,
      comment,
    })),
  );
  if (vectors.length !== numberOfTests) throw new Error(`${path} does not hold what it says`);
  return vectors;
}

export const ed25519Vectors = () => read("wycheproof-ed25519.json");
export const p256Vectors = () => read("wycheproof-ecdsa-p256-sha256.json");
