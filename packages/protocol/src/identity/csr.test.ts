import { webcrypto } from "node:crypto";
import { describe, expect, test } from "vitest";
import { makeCertificateRequest, readCertificateRequest } from "./csr.ts";
import { given, KINDS, newKey, web1 } from "./identity.fixture.ts";
import { publicHalf, sameKey } from "./publicKey.ts";
import { openX509, type X509 } from "./x509.ts";

test.each(KINDS)(
  "a request asks for one host name and proves that its key is held: %s",
  async (kind) => {
    const privateKey = newKey(kind);
    const read = given(
      readCertificateRequest(await makeCertificateRequest({ name: web1, privateKey })),
    );
    expect(read.name).toBe("web-1");
    expect(sameKey(read.key, publicHalf(privateKey))).toBe(true);
  },
);

const ED25519 = { name: "Ed25519" };
type Form = Parameters<X509["Pkcs10CertificateRequestGenerator"]["create"]>[0];

/** What @peculiar/x509 makes of a form, whatever we would accept. */
async function requestOf(form: (x509: X509) => Partial<Form>, algorithm: object = ED25519) {
  const x509 = await openX509();
  const generated = await webcrypto.subtle.generateKey({ name: "Ed25519", ...algorithm }, true, [
    "sign",
    "verify",
  ]);
  if (!("privateKey" in generated)) throw new Error("set-up failed: no key pair");
  const made = await x509.Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: ["web-1"] }],
    keys: generated,
    signingAlgorithm: { hash: "SHA-256", ...ED25519, ...algorithm },
    ...form(x509),
  });
  return new Uint8Array(made.rawData);
}

const alt = (x509: X509, ...values: readonly string[]) =>
  new x509.SubjectAlternativeNameExtension(
    values.map((value) => ({ type: "dns", value }) as const),
  );

describe("a request is refused", () => {
  const name =
    "the certificate request does not ask for one host name, such as web-1, as its common name";
  const more = "the certificate request asks for more than its common name";
  test.each<[string, (x509: X509) => Partial<Form>, string]>([
    ["not, with a common name alone", () => ({}), "ok"],
    ["not, with the same alternative name", (x509) => ({ extensions: [alt(x509, "web-1")] }), "ok"],
    ["with two common names", () => ({ name: [{ CN: ["web-1"] }, { CN: ["web-2"] }] }), name],
    ["with two in one set", () => ({ name: [{ CN: ["web-1", "web-2"] }] }), name],
    ["without a name", () => ({ name: [] }), name],
    ["with a name that no host has", () => ({ name: [{ CN: ["Web 1"] }] }), name],
    ["with an organisation beside it", () => ({ name: [{ CN: ["web-1"] }, { O: ["x"] }] }), name],
    ["with another alternative name", (x509) => ({ extensions: [alt(x509, "web-2")] }), more],
    ["with a second one", (x509) => ({ extensions: [alt(x509, "web-1", "web-2")] }), more],
    [
      "that asks to be a CA",
      (x509) => ({ extensions: [new x509.BasicConstraintsExtension(true)] }),
      more,
    ],
    [
      "with a challenge password",
      (x509) => ({ attributes: [new x509.ChallengePasswordAttribute("secret")] }),
      "the certificate request has an attribute other than the extensions that it asks for",
    ],
  ])("%s", async (_, form, expected) => {
    const read = readCertificateRequest(await requestOf(form));
    expect(read.ok ? "ok" : read.error).toBe(expected);
  });

  test.each([
    [
      "RSA",
      {
        name: "RSASSA-PKCS1-v1_5",
        hash: "SHA-256",
        modulusLength: 2048,
        publicExponent: new Uint8Array([1, 0, 1]),
      },
    ],
    ["P-384", { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" }],
  ])("with a key of another kind: %s", async (_, algorithm) => {
    expect(readCertificateRequest(await requestOf(() => ({}), algorithm))).toEqual({
      ok: false,
      error: "expected an Ed25519 key, or a P-256 key with an uncompressed point",
    });
  });
});
