import { readCertificatePem } from "@nixwave/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openTlsPlane, type TlsPlane } from "./tlsPlane.fixture.ts";

let plane: TlsPlane;
beforeEach(async () => {
  plane = await openTlsPlane();
});
afterEach(() => plane.close());

test("a host enrols by its SSH host key, and is then served by its certificate", async () => {
  const held = await plane.enrol("web-1");
  const read = readCertificatePem(held.certificate);
  expect(read.ok && read.value.altNames).toEqual([{ kind: "dns", text: "web-1" }]);
  const agent = plane.agent(held);
  expect(await agent.client.call("getDispatch", { query: { wait: 0 } })).toEqual({
    ok: true,
    value: null,
  });
  const nobody = plane.as(null, { "nixwave-journal": "0".repeat(32) });
  expect(await nobody.client.call("getDispatch", { query: { wait: 0 } })).toMatchObject({
    error: { code: "unauthenticated", detail: expect.stringContaining("no client certificate") },
  });
});
