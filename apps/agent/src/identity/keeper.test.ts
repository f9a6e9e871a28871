import { generateKeyPairSync } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { instant } from "@nixwave/effects";
import { certificatePem, formatInstant, readCertificatePem } from "@nixwave/protocol";
import { journal, newSshHostKey } from "@nixwave/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemDisk } from "../perform/systemPorts.ts";
import type { Disk, Timer } from "../ports.ts";
import { VirtualTime } from "../world/virtualTime.fixture.ts";
import { AT, CP_NAME, Enroller, HOST, MemoryConnection } from "./enroller.fixture.ts";
import { decodeIdentity, encodeIdentity, identityPath } from "./file.ts";
import { IdentityKeeper } from "./keeper.ts";

const MINUTE_SECS = 60;
const DAY_SECS = 24 * 3600;

let dir: string;
let time: VirtualTime;
let cp: Enroller;
let connection: MemoryConnection;
let said: string[];
let troubles: string[];
let disk: Disk;
let keeper: IdentityKeeper;
let pauses = 0;
const hostKey = newSshHostKey("root@web-1");

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "nixwave-identity-"));
  time = new VirtualTime(AT);
  cp = await Enroller.open(() => instant(time.nowMs));
  cp.sshHostKey = hostKey.publicLine;
  writeFileSync(join(dir, "ca.pem"), certificatePem(cp.authority));
  writeFileSync(join(dir, "ssh_host_ed25519_key"), hostKey.privateText);
  said = [];
  troubles = [];
  disk = systemDisk;
});
afterEach(() => {
  keeper.close();
  rmSync(dir, { recursive: true, force: true });
});

/** A new process: what was not on the disk is forgotten. */
function start(by: "ssh" | "token" = "ssh"): void {
  connection = new MemoryConnection(cp);
  keeper = new IdentityKeeper({
    host: HOST,
    url: "https://cp-1:8460",
    controlPlaneName: CP_NAME,
    authority: join(dir, "ca.pem"),
    enrolBy: { kind: by, path: join(dir, by === "ssh" ? "ssh_host_ed25519_key" : "token") },
    stateDir: dir,
    ports: {
      clock: time.clock,
      timer: restTimer(),
      random: { unit: () => 0.5, hex: (bytes) => "0".repeat(bytes * 2) },
      disk,
    },
    connection,
    journalId: () => journal("a"),
    onChange: (level, message) => said.push(`${level} ${message}`),
    onTrouble: (message, cause) =>
      troubles.push(`${message}: ${cause instanceof Error ? cause.message : String(cause)}`),
  });
  void keeper.run();
}

function restart(by: "ssh" | "token" = "ssh"): void {
  keeper.close();
  start(by);
}

/** The virtual clock's timer, which knows whether the keeper rests: signing is asynchronous, and takes a moment of no clock. */
function restTimer(): Timer {
  const timer = time.timer(() => false);
  pauses = 0;
  return {
    after: (ms, fire) => {
      pauses += 1;
      let isOver = false;
      const over = (): void => {
        if (!isOver) pauses -= 1;
        isOver = true;
      };
      const cancel = timer.after(ms, () => {
        over();
        fire();
      });
      return () => {
        over();
        cancel();
      };
    },
  };
}

async function settle(): Promise<void> {
  do await time.pass(0);
  while (pauses === 0);
}

async function pass(secs: number, step = 1): Promise<void> {
  for (let left = secs; left > 0; left -= step) {
    await settle();
    await time.pass(Math.min(left, step));
  }
  await settle();
}

async function until(holds: () => boolean, secsMax = 300): Promise<void> {
  await settle();
  for (let passed = 0; passed < secsMax; passed += 1) {
    if (holds()) return;
    await pass(1);
  }
  if (!holds()) throw new Error(`it did not happen: ${keeper.shown().says} ${troubles.join("; ")}`);
}

const isValid = (): boolean => keeper.shown().state === "Valid";
const isRefused = (): boolean => keeper.shown().state === "Refused";
const passDays = (days: number): Promise<void> => pass(days * DAY_SECS, 3600);
const shownSerial = (): string => {
  const read = readCertificatePem(connection.shown?.certificate ?? "");
  if (!read.ok) throw new Error(read.error);
  return read.value.serial;
};

describe("the first certificate", () => {
  test("by the SSH host key that the fleet declares", async () => {
    start();
    expect(keeper.shown()).toMatchObject({ state: "None", certificate: null, setback: null });
    await until(isValid);
    expect(cp.requests).toEqual(["/v1/enroll: 200"]);
    expect(shownSerial()).toBe(cp.issued[0]);
    expect(connection.pinned).toBe(certificatePem(cp.authority));
    const shown = keeper.shown();
    expect(shown.certificate).toMatchObject({
      name: "web-1",
      issuer: expect.stringMatching(/^Nixwave CA [0-9a-f]{16}$/),
      expiresAt: formatInstant(instant(AT + 30 * DAY_SECS * 1000)),
    });
    expect(said.at(-1)).toMatch(/^info web-1 has a certificate of Nixwave CA .* until 2026-12-24T/);
    expect(troubles).toEqual([]);
  });

  test("key and certificate are one file that only root may read, and a restart asks for nothing", async () => {
    start();
    await until(isValid);
    const path = identityPath(dir);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(existsSync(`${path}.new`)).toBe(false);
    const serial = shownSerial();
    restart();
    await settle();
    expect(keeper.shown().state).toBe("Valid");
    expect(shownSerial()).toBe(serial);
    expect(cp.requests).toHaveLength(1);
  });

  test("by a join token, whose file is gone afterwards", async () => {
    cp.sshHostKey = null;
    writeFileSync(join(dir, "token"), `${await cp.token()}\n`, { mode: 0o600 });
    start("token");
    await until(isValid);
    expect(existsSync(join(dir, "token"))).toBe(false);
    restart("token");
    await settle();
    expect(keeper.shown().state).toBe("Valid");
  });

  test("a token file that can't be removed is said, and is no failure", async () => {
    cp.sshHostKey = null;
    writeFileSync(join(dir, "token"), await cp.token());
    disk = {
      ...systemDisk,
      remove: () => {
        throw new Error("EROFS: read-only file system");
      },
    };
    start("token");
    await until(isValid);
    expect(troubles).toEqual([
      expect.stringMatching(/token is used up and can't be removed: EROFS/),
    ]);
  });
});

describe("a lost answer", () => {
  test("is asked for again with the same request, and brings the same certificate", async () => {
    cp.fates.push("lost-answer", "lost-answer");
    start();
    await until(isValid);
    expect(cp.requests).toEqual([
      "/v1/enroll lost-answer: 200",
      "/v1/enroll lost-answer: 200",
      "/v1/enroll: 200",
    ]);
    expect(cp.issued).toEqual([shownSerial()]);
  });

  test("after a restart too: the request is on the disk before it is sent", async () => {
    cp.sshHostKey = null;
    writeFileSync(join(dir, "token"), await cp.token());
    cp.fates.push("lost-answer");
    start("token");
    await until(() => cp.requests.length === 1);
    // The token itself is no longer needed for the same request.
    rmSync(join(dir, "token"));
    restart("token");
    await until(isValid);
    expect(cp.issued).toEqual([shownSerial()]);
  });

  test("a request that can't be stored is not sent, and is when it can", async () => {
    let isFull = true;
    disk = {
      ...systemDisk,
      writeAtomically: (path, text) => {
        if (isFull) throw new Error(`ENOSPC: no space left on device, ${path}`);
        systemDisk.writeAtomically(path, text);
      },
    };
    start();
    await until(() => troubles.length > 0);
    expect(cp.requests).toEqual([]);
    isFull = false;
    await until(isValid);
    expect(troubles.every((line) => line.includes("ENOSPC"))).toBe(true);
  });

  test("a request that has grown old is made anew", async () => {
    cp.fates.push("lost-request");
    start();
    await until(() => cp.requests.length === 1);
    keeper.close();
    await time.pass(11 * MINUTE_SECS);
    start();
    await until(isValid);
    expect(cp.requests).toEqual([
      "/v1/enroll lost-request: 0",
      "/v1/enroll: 403",
      "/v1/enroll: 200",
    ]);
  });

  test("of a certificate that ended meanwhile: the CP knows this host by that key", async () => {
    cp.sshHostKey = null;
    writeFileSync(join(dir, "token"), await cp.token());
    start("token");
    await until(isValid);
    await passDays(14.9);
    cp.fates.push("lost-answer");
    await until(() => cp.requests.length === 2, 3 * 3600);
    keeper.close();
    await time.pass(40 * DAY_SECS);
    start("token");
    await until(isValid);
    expect(cp.requests.slice(2)).toEqual(["/v1/enroll: 403", "/v1/enroll: 200"]);
    expect(cp.issued).toHaveLength(3);
  });
});

describe("refused", () => {
  test("a host that nobody declared says so, asks again within a minute, and is let in when it is", async () => {
    cp.isDeclared = false;
    start();
    await until(isRefused);
    const shown = keeper.shown();
    expect(shown.setback).toMatchObject({
      code: "unknown-host",
      sentence: "web-1 is not in fleet/hosts.json: add it with `nixwave host add`.",
    });
    expect(shown.says).toBe(
      "web-1 has no certificate, and was refused one. web-1 is not in fleet/hosts.json: add it with `nixwave host add`.",
    );
    expect(said.at(-1)).toBe(`warn ${shown.says}`);
    await pass(600);
    // Full jitter up to a minute, here at its middle.
    expect(cp.requests.length).toBeGreaterThan(15);
    expect(cp.requests.length).toBeLessThan(35);
    cp.isDeclared = true;
    await until(isValid, MINUTE_SECS);
  });

  test("no key, no token, no CA: each is one sentence with the path", async () => {
    rmSync(join(dir, "ssh_host_ed25519_key"));
    start();
    await until(isRefused);
    expect(keeper.shown().says).toContain(
      `The SSH host key ${dir}/ssh_host_ed25519_key is not there`,
    );
    restart("token");
    await until(isRefused);
    expect(keeper.shown().says).toContain(
      `The join token ${dir}/token is not there: make one with`,
    );
    writeFileSync(join(dir, "ca.pem"), "nothing");
    restart();
    await until(() => troubles.some((line) => line.includes("ca.pem can't be used")));
    expect(cp.requests).toEqual([]);
  });

  test("a key that stays away is said once, however often it is looked for", async () => {
    rmSync(join(dir, "ssh_host_ed25519_key"));
    start();
    await until(() => troubles.length >= 5, 10 * MINUTE_SECS);
    expect(keeper.shown().says.match(/is not there/g)).toHaveLength(1);
    expect(said.filter((line) => line.startsWith("warn "))).toHaveLength(1);
  });

  test("a busy CP is no refusal: the same request is asked again", async () => {
    cp.fates.push("busy");
    start();
    await until(isValid);
    expect(cp.requests).toEqual(["/v1/enroll busy: 503", "/v1/enroll: 200"]);
    expect(said.some((line) => line.startsWith("warn"))).toBe(false);
  });

  test("`enroll` does not wait for the next try", async () => {
    cp.isDeclared = false;
    start();
    await until(isRefused);
    const before = cp.requests.length;
    cp.isDeclared = true;
    const asked = keeper.ask();
    await until(isValid, 1);
    expect(await asked).toMatchObject({ state: "Valid", setback: null });
    expect(cp.requests.length).toBe(before + 1);
  });
});

describe("the next certificate", () => {
  beforeEach(async () => {
    start();
    await until(isValid);
  });

  test("at half of the life of the present one, over its connection, with a key of its own", async () => {
    const first = connection.shown;
    await passDays(14.9);
    expect(cp.requests).toHaveLength(1);
    await until(() => cp.requests.length === 2 && isValid(), 3 * 3600);
    expect(cp.requests[1]).toBe("/v1/agent/renew: 200");
    expect(shownSerial()).toBe(cp.issued[1]);
    expect(connection.shown?.key).not.toBe(first?.key);
  });

  test("its answer lost: the same again, after a restart too", async () => {
    await passDays(14.9);
    cp.fates.push("lost-answer");
    await until(() => cp.requests.length === 2, 3 * 3600);
    restart();
    await until(isValid);
    expect(cp.issued).toEqual([expect.any(String), shownSerial()]);
  });

  test("from a CP that has forgotten us: the certificate itself says who asks", async () => {
    cp.forget();
    await passDays(15.1);
    await until(isValid);
    expect(cp.requests).toEqual(["/v1/enroll: 200", "/v1/agent/renew: 200"]);
  });

  test("months later, signed with the key of the last one", async () => {
    keeper.close();
    await time.pass(200 * DAY_SECS);
    start();
    await until(isValid);
    expect(cp.requests).toEqual(["/v1/enroll: 200", "/v1/enroll: 200"]);
    expect(cp.lastIssued?.certificate.serial).toBe(shownSerial());
  });

  test("months later, from a CP that has forgotten us: by the SSH host key again", async () => {
    keeper.close();
    cp.forget();
    await time.pass(200 * DAY_SECS);
    start();
    await until(isValid);
    expect(cp.requests).toEqual(["/v1/enroll: 200", "/v1/enroll: 403", "/v1/enroll: 200"]);
  });

  test("when the CP accepts the present one no longer, and again once it does", async () => {
    cp.revocation = { before: null };
    const ask = {
      method: "GET",
      url: "https://cp-1:8460/v1/agent/dispatch",
      headers: {},
      body: null,
      timeoutMs: 1000,
      answerBytesMax: 1000,
    } as const;
    expect((await keeper.http.request(ask)).status).toBe(401);
    await until(isRefused);
    expect(keeper.shown()).toMatchObject({ setback: { code: "revoked" } });
    // Whoever is let in again needs no other certificate.
    cp.revocation = null;
    const serial = shownSerial();
    expect((await keeper.http.request(ask)).status).toBe(200);
    expect(keeper.shown()).toMatchObject({ state: "Valid", setback: null });
    expect(shownSerial()).toBe(serial);
    // A re-imaged machine of the same name: what was issued before is void, and the SSH key is not.
    await time.pass(2);
    cp.revocation = { before: instant(time.nowMs) };
    await time.pass(2);
    expect((await keeper.http.request(ask)).status).toBe(401);
    await until(isValid);
    expect(shownSerial()).not.toBe(serial);
    expect((await keeper.http.request(ask)).status).toBe(200);
  });

  test("a wall clock that jumps ahead and back ends nothing", async () => {
    const serial = shownSerial();
    // Ahead by 40 days, as a host without a battery may be for a while; the CP's is right.
    const skew = 40 * DAY_SECS * 1000;
    const { clock } = time;
    keeper.close();
    Object.defineProperty(time, "clock", {
      value: { ...clock, wallMs: () => time.nowMs + skew },
      configurable: true,
    });
    start();
    await until(isRefused);
    expect(keeper.shown().setback?.code).toBe("future-dated");
    expect(shownSerial()).toBe(serial);
    Object.defineProperty(time, "clock", { value: clock });
    restart();
    await settle();
    expect(keeper.shown().state).toBe("Valid");
    expect(shownSerial()).toBe(serial);
  });
});

describe("what was there before", () => {
  test("a file that can't be read is kept aside, and this host enrols", async () => {
    writeFileSync(identityPath(dir), "{");
    start();
    await until(isValid);
    const [trouble = ""] = troubles;
    expect(trouble).toMatch(
      /identity\.json is not used, and was kept as .*unused-\d+: it is no JSON/,
    );
    const aside = /kept as (\S+):/.exec(trouble)?.[1] ?? "";
    expect(readFileSync(aside, "utf8")).toBe("{");
    expect(statSync(aside).mode & 0o777).toBe(0o600);
  });

  test("a certificate of another CA is kept aside, and not shown", async () => {
    const key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    const other = await Enroller.open(() => AT);
    const held = { key, certificate: await other.issue(key, AT) };
    writeFileSync(identityPath(dir), encodeIdentity({ held, kept: null, unheard: null }));
    start();
    await until(isValid);
    expect(troubles[0]).toContain("issued by another CA than this fleet's");
    expect(cp.issued).toEqual([shownSerial()]);
  });

  test("what is stored is read again as it was, and a certificate beside another's key is not", async () => {
    const key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    const held = { key, certificate: await cp.issue(key, AT) };
    const text = encodeIdentity({
      held,
      kept: { kind: "renewal", proof: "renewal", key, csr: "AA==" },
      unheard: key,
    });
    const read = decodeIdentity(text);
    expect(read.ok && encodeIdentity(read.value)).toBe(text);
    const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    const wrong = encodeIdentity({ held: { ...held, key: stranger }, kept: null, unheard: null });
    expect(decodeIdentity(wrong)).toEqual({
      ok: false,
      error: "identity.held: expected the key of the certificate",
    });
    start();
  });
});
