import { X509Certificate } from "node:crypto";
import type { Instant } from "@nixwave/effects";
import { describe, expect, test } from "vitest";
import { hostName } from "../ids.ts";
import {
  type Authority,
  type Certificate,
  certificatePem,
  readAuthorityPem,
  readCertificatePem,
  renewAt,
} from "./certificate.ts";
import { issuedAt } from "./enrolmentFacts.ts";
import {
  at,
  codeOf,
  DAY,
  given,
  KINDS,
  MINUTE,
  NOW,
  newAuthority,
  newKey,
  serial,
  type TestAuthority,
  web1,
} from "./identity.fixture.ts";
import { issueForAgent, issueForOperator, issueForServer } from "./issue.ts";
import { reading } from "./malformed.ts";
import { principalOf } from "./principal.ts";
import { readSigned, writeSigned } from "./profile.ts";
import { publicHalf, spkiOf } from "./publicKey.ts";
import { signWith } from "./signature.ts";
import { openX509 } from "./x509.ts";

const ask = () => ({ serial: serial(), now: NOW, key: publicHalf(newKey()) });

/** A certificate that @peculiar/x509 makes as it is told, whatever our profile says. */
async function forge(
  { authority, privateKey }: TestAuthority,
  odd: {
    subject?: Record<string, string[]>[];
    altNames?: { type: "dns" | "url" | "email" | "ip"; value: string }[];
    purposes?: string[];
    usage?: number | null;
    isAuthority?: boolean;
    criticalUnknown?: boolean;
    unknown?: boolean;
    twice?: boolean;
  },
): Promise<Uint8Array> {
  const x509 = await openX509();
  const { usage = x509.KeyUsageFlags.digitalSignature } = odd;
  const altNames = odd.altNames ?? [{ type: "dns" as const, value: "web-1" }];
  const unknown = new x509.Extension(
    "1.2.3.4",
    odd.criticalUnknown ?? false,
    new Uint8Array([5, 0]),
  );
  const key = publicHalf(newKey());
  const made = await x509.X509CertificateGenerator.create({
    serialNumber: "01",
    subject: odd.subject ?? [{ CN: ["web-1"] }],
    issuer: new x509.Name(Uint8Array.from(authority.subject)),
    notBefore: new Date(NOW),
    notAfter: new Date(NOW + DAY),
    publicKey: Uint8Array.from(spkiOf(key)),
    signature: new Uint8Array(64),
    signingAlgorithm:
      authority.key.kind === "ed25519" ? { name: "Ed25519" } : { name: "ECDSA", hash: "SHA-256" },
    extensions: [
      ...(altNames.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(altNames)]),
      ...(odd.twice === true ? [new x509.SubjectAlternativeNameExtension(altNames)] : []),
      new x509.ExtendedKeyUsageExtension(odd.purposes ?? [x509.ExtendedKeyUsage.clientAuth]),
      ...(usage === null ? [] : [new x509.KeyUsagesExtension(usage, true)]),
      ...(odd.isAuthority === true ? [new x509.BasicConstraintsExtension(true)] : []),
      ...(odd.unknown === true || odd.criticalUnknown === true ? [unknown] : []),
    ],
  });
  const signed = given(reading(() => readSigned(new Uint8Array(made.rawData)))).tbs.bytes;
  return writeSigned({ tbs: signed, key: authority.key, signature: signWith(privateKey, signed) });
}

const codeAt = (der: Uint8Array, { authority }: TestAuthority, now: Instant = NOW): string =>
  codeOf(principalOf(der, [authority], now));

describe.each(KINDS)("certificates of a CA with a key of %s", (kind) => {
  test("an agent's names the host, for 30 days", async () => {
    const ca = await newAuthority(kind);
    const certificate = await issueForAgent(ca.issuer, { ...ask(), name: web1 });
    expect(given(principalOf(certificate.der, [ca.authority], NOW)).principal).toEqual({
      kind: "host",
      name: "web-1",
      role: null,
    });
    expect([issuedAt(certificate), certificate.notAfter]).toEqual([NOW, at(30 * DAY)]);
    expect(renewAt(certificate)).toBe((certificate.notBefore + certificate.notAfter) / 2);
  });

  test("an operator's names the person and the role", async () => {
    const ca = await newAuthority(kind);
    const operator = { ...ask(), name: "ops-2@example.org", role: "admin" as const };
    const certificate = await issueForOperator(ca.issuer, operator);
    expect(given(principalOf(certificate.der, [ca.authority], NOW)).principal).toEqual({
      kind: "operator",
      name: "ops-2@example.org",
      role: "admin",
    });
  });

  test("a server's is for servers only, and names nobody", async () => {
    const ca = await newAuthority(kind);
    const names = { dnsNames: ["cp.example.org"], ipAddresses: ["127.0.0.1", "::1"] };
    const certificate = await issueForServer(ca.issuer, { ...ask(), ...names });
    expect(codeAt(certificate.der, ca)).toBe("wrong-usage");
    const node = new X509Certificate(certificate.der);
    expect(node.checkHost("cp.example.org")).toBe("cp.example.org");
    expect(node.checkIP("127.0.0.1")).toBe("127.0.0.1");
    expect(certificate.notAfter).toBe(at(90 * DAY));
  });

  test("Node reads the same as we do, and finds them well signed", async () => {
    const ca = await newAuthority(kind);
    const ours = await issueForAgent(ca.issuer, { ...ask(), name: web1 });
    const node = new X509Certificate(ours.der);
    const issuer = new X509Certificate(ca.authority.der);
    expect([node.subject, node.subjectAltName, node.ca]).toEqual(["CN=web-1", "DNS:web-1", false]);
    expect([node.validFromDate.getTime(), node.validToDate.getTime()]).toEqual([
      ours.notBefore,
      ours.notAfter,
    ]);
    expect(node.serialNumber.toLowerCase()).toBe(ours.serial);
    expect(node.verify(issuer.publicKey) && node.checkIssued(issuer) && issuer.ca).toBe(true);
    expect(ca.authority.notAfter).toBe(at(3650 * DAY));
  });

  test("each refusal by its name: name, usage, time, issuer", async () => {
    const ca = await newAuthority(kind);
    const other = await newAuthority(kind);
    const x509 = await openX509();
    const dns = (value: string) => ({ type: "dns", value }) as const;
    const url = (value: string) => ({ type: "url", value }) as const;
    const names = (name: string, ...altNames: ReturnType<typeof dns | typeof url>[]) =>
      forge(ca, { subject: [{ CN: [name] }], altNames });
    const table: Record<string, [Promise<Uint8Array>, string]> = {
      "as it should be": [forge(ca, {}), "ok"],
      "an unknown extension that is not critical": [forge(ca, { unknown: true }), "ok"],
      "names that differ": [names("web-1", dns("web-2")), "wrong-name"],
      "no alternative name": [names("web-1"), "wrong-name"],
      "capital letters": [names("Web-1", dns("Web-1")), "wrong-name"],
      "a wildcard": [names("*.example.org", dns("*.example.org")), "wrong-name"],
      "a NUL within": [names("web-1\0.evil", dns("web-1\0.evil")), "wrong-name"],
      "an empty name": [names("", dns("")), "wrong-name"],
      "a host's name as a URI": [names("web-1", url("web-1")), "wrong-name"],
      "an operator's name as a DNS name": [names("ops_2", dns("ops_2")), "wrong-name"],
      "an unknown role": [names("ann", url("urn:nixwave:operator:root:ann")), "wrong-name"],
      "two alternative names": [names("web-1", dns("web-1"), dns("web-2")), "many-names"],
      "a host's and an operator's": [
        names("web-1", dns("web-1"), url("urn:nixwave:operator:admin:web-1")),
        "many-names",
      ],
      "two common names": [
        forge(ca, { subject: [{ CN: ["web-1"] }, { CN: ["web-2"] }] }),
        "many-names",
      ],
      "two in one set": [forge(ca, { subject: [{ CN: ["web-1", "web-2"] }] }), "many-names"],
      "an organisation only": [forge(ca, { subject: [{ O: ["web-1"] }] }), "wrong-name"],
      "a mail address": [
        forge(ca, { altNames: [{ type: "email", value: "web-1" }] }),
        "wrong-name",
      ],
      "for servers": [forge(ca, { purposes: [x509.ExtendedKeyUsage.serverAuth] }), "wrong-usage"],
      "for both": [
        forge(ca, {
          purposes: [x509.ExtendedKeyUsage.clientAuth, x509.ExtendedKeyUsage.serverAuth],
        }),
        "wrong-usage",
      ],
      "for any purpose": [forge(ca, { purposes: ["2.5.29.37.0"] }), "wrong-usage"],
      "without a key usage": [forge(ca, { usage: null }), "wrong-usage"],
      "a key that signs certificates": [
        forge(ca, { usage: x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyCertSign }),
        "wrong-usage",
      ],
      "a CA's": [forge(ca, { isAuthority: true }), "wrong-usage"],
      "the CA itself": [Promise.resolve(ca.authority.der), "wrong-usage"],
      "an unknown critical extension": [forge(ca, { criticalUnknown: true }), "malformed"],
      "an extension twice": [forge(ca, { twice: true }), "malformed"],
      "something after its end": [
        forge(ca, {}).then((der) => Buffer.concat([der, Buffer.from([0])])),
        "malformed",
      ],
      "no certificate": [Promise.resolve(Buffer.from("web-1")), "malformed"],
      "another CA": [forge(other, {}), "wrong-issuer"],
      "another CA in our CA's name": [
        forge({ ...ca, privateKey: other.privateKey }, {}),
        "bad-signature",
      ],
    };
    for (const [name, [der, expected]] of Object.entries(table)) {
      expect(codeAt(await der, ca), name).toBe(expected);
    }
  });
});

describe("an agent's certificate in time", () => {
  const cases: [string, number, string][] = [
    ["a millisecond before it begins", -10 * MINUTE - 1, "not-yet-valid"],
    ["when it begins", -10 * MINUTE, "ok"],
    ["in its last second", 30 * DAY, "ok"],
    ["a millisecond after it ended", 30 * DAY + 1, "expired"],
  ];
  test.each(cases)("%s: %i ms after it was made", async (_, ms, expected) => {
    const ca = await newAuthority("ed25519", at(-DAY));
    const certificate = await issueForAgent(ca.issuer, { ...ask(), name: web1 });
    expect(codeAt(certificate.der, ca, at(ms))).toBe(expected);
  });

  test("does not outlive its CA", async () => {
    const ca = await newAuthority("ed25519", at(-3650 * DAY + DAY));
    const certificate = await issueForAgent(ca.issuer, { ...ask(), name: web1 });
    expect(codeAt(certificate.der, ca, at(DAY))).toBe("ok");
    expect(codeAt(certificate.der, ca, at(DAY + 1))).toBe("issuer-expired");
  });

  test("two CAs of which one is to replace the other are both good", async () => {
    const [old, next] = [await newAuthority(), await newAuthority("p256")];
    const certificate = await issueForAgent(next.issuer, { ...ask(), name: web1 });
    expect(principalOf(certificate.der, [old.authority, next.authority], NOW).ok).toBe(true);
  });

  test("after 2050 is written as X.509 wants it", async () => {
    const late = at(30 * 365 * DAY);
    const ca = await newAuthority("ed25519", late);
    expect(ca.authority.notAfter).toBe(late + 3650 * DAY);
  });
});

test("a host name of 253 characters has its certificate", async () => {
  const ca = await newAuthority();
  const name = hostName.parse(
    `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(61)}`,
  );
  const certificate = await issueForAgent(ca.issuer, { ...ask(), name });
  expect(given(principalOf(certificate.der, [ca.authority], NOW)).principal.name).toBe(name);
});

test("a serial number that begins with zeros, or with a sign bit, can be read", async () => {
  const ca = await newAuthority();
  for (const first of [0x00, 0x80, 0xff]) {
    const number = Buffer.from([first, 0, ...Buffer.alloc(14)]);
    const certificate = await issueForAgent(ca.issuer, { ...ask(), name: web1, serial: number });
    expect(certificate.serial).toHaveLength(32);
  }
});

test("nothing that the CA's key did not sign leaves: a signing command with another key is an error (hazard 93)", async () => {
  const [ca, other] = [await newAuthority("p256"), await newAuthority("p256")];
  const wrong = { authority: ca.authority, sign: (tbs: Uint8Array) => other.issuer.sign(tbs) };
  await expect(issueForAgent(wrong, { ...ask(), name: web1 })).rejects.toThrow(
    /signature does not hold.*Check both/,
  );
});

test("PEM is read with either line end, in one line, and between blank lines (hazard 87)", async () => {
  const { authority } = await newAuthority();
  const pem = certificatePem(authority);
  const [begin, ...rest] = pem.trim().split("\n");
  const end = rest.pop();
  const spellings = [
    pem,
    pem.replaceAll("\n", "\r\n"),
    `${begin}\n${rest.join("")}\n${end}`,
    `\n\n${pem}\n`,
  ];
  const read = spellings.map(
    (text) => given<Certificate | Authority>(readCertificatePem(text)).serial,
  );
  expect(new Set(read)).toEqual(new Set([authority.serial]));
});

test("only a CA's certificate is one: an agent's is refused as authority", async () => {
  const ca = await newAuthority();
  const leaf = await issueForAgent(ca.issuer, { ...ask(), name: web1 });
  expect(readAuthorityPem(certificatePem(leaf))).toEqual({
    ok: false,
    error: "the certificate is not one of a CA: it may not issue others",
  });
});
