import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openTlsPlane, type TlsPlane } from "../endToEnd/tlsPlane.fixture.ts";
import { NAME, newKey } from "../identity/identity.fixture.ts";
import { keyOfRequest } from "../maintenance/operators.ts";
import { resolveTls } from "../tlsConfig.ts";

/** Every parser of what strangers send: only a typed refusal comes out, soon. */
let plane: TlsPlane;
const sshKey = newKey();
beforeAll(async () => {
  plane = await openTlsPlane();
  plane.fleet.declare({ "web-1": sshKey });
});
afterAll(() => plane.close());

const MS_MAX = 1000;

async function post(payload: string | Buffer) {
  // Strangers are slowed down; here it is asked what they are told.
  plane.test.time.pass(1);
  const began = process.threadCpuUsage();
  const answer = await plane.test.plane.server.inject({
    method: "POST",
    url: "/v1/enroll",
    headers: { "content-type": "application/json" },
    payload,
  });
  // CPU time of this thread: a busy machine does not stretch it.
  const { user, system } = process.threadCpuUsage(began);
  return { answer, took: (user + system) / 1000 };
}

test("enrolment: bytes that are no request, and requests of which a part is another", async () => {
  const { request } = await plane.ask("web-1", sshKey);
  const good = {
    ...request,
    requestedAt: new Date(request.requestedAt).toISOString(),
    proof: { ...request.proof },
  };
  const field = fc.constantFrom("controlPlane", "host", "requestedAt", "csr", "proof", "signature");
  const altered = fc
    .tuple(field, fc.oneof(fc.jsonValue(), fc.string(), fc.base64String()))
    .map(([name, value]) =>
      JSON.stringify(
        name === "signature"
          ? { ...good, proof: { kind: "ssh", signature: value } }
          : { ...good, [name]: value },
      ),
    );
  const anything = fc.oneof(
    fc.json(),
    fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
    altered,
  );
  await fc.assert(
    fc.asyncProperty(anything, async (payload) => {
      const { answer, took } = await post(payload);
      const said: { code?: string } = answer.json();
      expect([400, 403, 415, 429]).toContain(answer.statusCode);
      expect(said.code).toMatch(/^(?:bad-request|enrolment-refused|unsupported-media|too-many)$/);
      expect(took).toBeLessThan(MS_MAX);
    }),
    { numRuns: 200 },
  );
  expect((await post(Buffer.alloc(17 * 1024, 32))).answer.statusCode).toBe(413);
});

test("a bearer header: refused, whatever it is", async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ maxLength: 400 }), async (text) => {
      const authorization = `Bearer ${text.replace(/[^\x20-\x7e]/g, "x")}`;
      const headers = { authorization, "nixwave-protocol": "1" };
      const answer = await plane.test.plane.server.inject({ url: "/v1/status", headers });
      const said: { code?: string } = answer.json();
      expect([answer.statusCode, said.code]).toEqual([401, "unauthenticated"]);
    }),
    { numRuns: 200 },
  );
});

test("a request file: a sentence that names it", () => {
  const pem = fc
    .base64String({ maxLength: 800 })
    .map(
      (body) => `-----BEGIN CERTIFICATE REQUEST-----\n${body}\n-----END CERTIFICATE REQUEST-----\n`,
    );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 800 }),
        pem.map((text) => Buffer.from(text)),
      ),
      (bytes) => {
        expect(() => keyOfRequest(bytes, "x.csr")).toThrow(/^--csr x\.csr: /);
      },
    ),
  );
});

test("the settings of TLS: a value, or a sentence", () => {
  const text = fc.option(fc.string({ maxLength: 60 }), { nil: undefined });
  const flags = fc.record({
    name: text,
    caCert: text,
    caKey: text,
    caSignCmd: text,
    serverCert: text,
    serverKey: text,
  });
  fc.assert(
    fc.property(flags, (given) => {
      const resolved = resolveTls(given, NAME);
      if (!resolved.ok) expect(resolved.error).toMatch(/^--.*\.$/s);
      else expect(resolved.value.name).toMatch(/^[A-Za-z0-9:]/);
    }),
  );
});
