import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { instant, type Release } from "@nixwave/effects";
import { certificatePem } from "@nixwave/protocol";
import { closure, journal, newSshHostKey } from "@nixwave/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemDisk } from "../perform/systemPorts.ts";
import type { Connection, Http } from "../ports.ts";
import { stage } from "../world/stage.fixture.ts";
import { CP_NAME, Enroller, HOST, MemoryConnection } from "./enroller.fixture.ts";
import { encodeIdentity, identityPath } from "./file.ts";
import { IdentityKeeper } from "./keeper.ts";

// The whole agent under a virtual clock, behind the real keeper: trouble with the certificate is trouble with the network, and no more.

const on = stage();
const NEW = closure("new");
const DAY_MS = 24 * 3600 * 1000;
let dir: string;
let enroller: Enroller;
let keeper: IdentityKeeper;

/** Who is not known by its certificate is answered 401; anybody else reaches the control plane. */
function connectionTo(world: Http): Connection {
  const memory = new MemoryConnection(enroller);
  return {
    pin: (authorities) => memory.pin(authorities),
    show: (identity) => memory.show(identity),
    anonymous: memory.anonymous,
    http: {
      request: async (request) => {
        const said = await memory.http.request(request);
        const isForKeeper = new URL(request.url).pathname === "/v1/agent/renew";
        return isForKeeper || said.status !== 200 ? said : await world.request(request);
      },
    },
  };
}

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "nixwave-identity-"));
  const { world } = on;
  await world.stop();
  enroller = await Enroller.open(() => instant(world.time.nowMs));
  const key = newSshHostKey("root@web-1");
  enroller.sshHostKey = key.publicLine;
  writeFileSync(join(dir, "ca.pem"), certificatePem(enroller.authority));
  writeFileSync(join(dir, "host-key"), key.privateText);
  world.between = (http) => {
    keeper = new IdentityKeeper({
      host: HOST,
      url: "https://cp-1",
      controlPlaneName: CP_NAME,
      authority: join(dir, "ca.pem"),
      enrolBy: { kind: "ssh", path: join(dir, "host-key") },
      stateDir: dir,
      ports: {
        clock: world.time.clock,
        timer: world.time.timer(() => false),
        random: { unit: () => 0.5, hex: (bytes) => "0".repeat(bytes * 2) },
        disk: systemDisk,
      },
      connection: connectionTo(http),
      journalId: () => journal("a"),
      onChange: () => {},
      onTrouble: () => {},
    });
    return keeper.http;
  };
  world.start();
  void keeper.run();
  await world.passUntil(() => keeper.shown().state === "Valid");
});
afterEach(() => {
  keeper.close();
  rmSync(dir, { recursive: true, force: true });
});

async function soaking(release: Release): Promise<void> {
  on.world.cp.dispatch(release);
  await on.becomes(release, "Soaking");
}
const refuse = async (): Promise<void> => {
  enroller.revocation = { before: null };
  enroller.isDeclared = false;
  await on.world.passUntil(() => keeper.shown().state === "Refused");
};
const accept = (): void => {
  enroller.revocation = null;
  enroller.isDeclared = true;
};
const heard = (release: Release, kind: string) => () => on.story(release).includes(kind);

test("a host that is refused converges all the same, and says so when it is let in again", async () => {
  const release = on.world.cp.release(NEW);
  await soaking(release);
  await refuse();
  await on.becomes(release, "Converged");
  expect(on.story(release)).not.toContain("Converged");
  accept();
  await on.world.passUntil(heard(release, "Converged"));
  on.expectParity(release);
});

test("a host that is refused rolls back all the same", async () => {
  const bad = closure("bad");
  on.world.machine.behaviours.set(bad, { exitCode: 0, secs: 5, healthy: false });
  const release = on.world.cp.release(bad);
  await soaking(release);
  await refuse();
  await on.becomes(release, "Reverted");
  expect(on.world.machine.fired).toEqual(["switch bad", "rollback old"]);
  accept();
  await on.world.passUntil(heard(release, "RollbackComplete"));
  on.expectParity(release);
});

test("a host that is refused in the middle of a switch finishes it", async () => {
  on.world.machine.behaviours.set(NEW, { exitCode: 0, secs: 200, healthy: true });
  const release = on.world.cp.release(NEW);
  on.world.cp.dispatch(release);
  await on.becomes(release, "Activating");
  await refuse();
  await on.becomes(release, "Converged");
  accept();
  await on.world.passUntil(heard(release, "Converged"));
  on.expectParity(release);
});

test("a certificate that is renewed in the middle of a soak costs no event, no dispatch and no restart (hazard 91)", async () => {
  const { world } = on;
  await world.stop();
  keeper.close();
  const key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  // Half of its life is over in half a minute: a certificate is dated back by ten minutes.
  const now = instant(world.time.nowMs - 15 * DAY_MS + 330_000);
  const held = { key, certificate: await enroller.issue(key, now) };
  writeFileSync(identityPath(dir), encodeIdentity({ held, kept: null, unheard: null }));
  world.start();
  void keeper.run();
  const first = world.cp.release(NEW);
  await soaking(first);
  const { expiresAt } = keeper;
  expect(keeper.shown().state).toBe("Valid");
  await world.passUntil(() => keeper.expiresAt !== expiresAt && keeper.shown().state === "Valid");
  expect(enroller.requests.filter((line) => line.startsWith("/v1/agent/renew"))).toEqual([
    "/v1/agent/renew: 200",
  ]);
  await on.becomes(first, "Converged");
  const second = on.world.cp.release(closure("newer"));
  on.world.cp.dispatch(second);
  await on.becomes(second, "Converged");
  await on.world.passUntil(heard(second, "Converged"));
  on.expectParity(first);
  on.expectParity(second);
  expect(on.world.journal.outbox.counts()).toMatchObject({ unacknowledged: 0, refused: 0 });
});
