import { afterEach, expect, test } from "vitest";
import { fetchFromDirectory } from "./fetchFile.ts";
import { Forger, forgeKey } from "./forger.fixture.ts";
import { Gate } from "./gate.ts";
import { decodeMetadata } from "./metadata.ts";

const open: Forger[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.remove();
});

/** The gate by itself: in the client tuf-js stands behind it and would refuse most of this too. */
function start() {
  const forger = Forger.honest();
  open.push(forger);
  const root = decodeMetadata("root", forger.root());
  if (!root.ok) throw new Error(root.error);
  const known = { root: root.value, timestamp: null, snapshot: null, targets: null };
  const gate = new Gate(fetchFromDirectory(forger.directory), known);
  const take = async (...names: string[]) => {
    for (const name of names) {
      const path = `metadata/${name}.json`;
      try {
        await gate.take(path);
      } catch {
        return `${gate.refusal?.code} ${gate.refusal?.file}`;
      }
    }
    return "ok";
  };
  return { forger, take };
}
const ALL = ["timestamp", "1.snapshot", "1.targets", "1.stable", "1.edge"];

test("what is honest passes, and no newer root is null", async () => {
  const { take } = start();
  expect(await take("2.root", ...ALL)).toBe("ok");
});

test.each(["timestamp", "snapshot", "targets", "stable"] as const)(
  "the gate alone refuses a %s that another key signed",
  async (role) => {
    const { forger, take } = start();
    const thief = [forgeKey()];
    if (role === "stable") forger.writeChannel("stable", thief);
    forger.writeTargets(role === "targets" ? thief : undefined);
    forger.writeSnapshot(role === "snapshot" ? thief : undefined);
    forger.writeTimestamp(role === "timestamp" ? thief : undefined);
    const file = role === "timestamp" ? "timestamp" : `1.${role}`;
    expect(await take(...ALL)).toBe(`threshold-not-met metadata/${file}.json`);
  },
);

test("the gate alone refuses a root by the new keys only, and one by the old keys only", async () => {
  const { forger, take } = start();
  const old = forger.keys.root;
  forger.keys.root = [forgeKey()];
  forger.versions.root = 2;
  forger.writeRoot();
  expect(await take("2.root")).toBe("threshold-not-met metadata/2.root.json");
  const bytes = forger.sign("root", "root", forger.rootBody(), old);
  forger.put("metadata/2.root.json", bytes);
  expect(await take("2.root")).toBe("threshold-not-met metadata/2.root.json");
  forger.writeRoot(old);
  expect(await take("2.root")).toBe("ok");
});

test("the gate alone refuses a role that nobody delegated to, and a path that is none", async () => {
  const { forger, take } = start();
  forger.put("metadata/1.lab.json", forger.read("metadata/1.edge.json"));
  expect(await take(...ALL, "1.lab")).toBe("unknown-role metadata/1.lab.json");
  expect(await take("../1.root")).toBe("unknown-role metadata/../1.root.json");
});

test("the gate alone refuses what the file above does not name", async () => {
  const { forger, take } = start();
  const honest = forger.read("metadata/1.stable.json");
  forger.put("metadata/1.stable.json", Buffer.concat([honest, Buffer.from("\n")]));
  expect(await take(...ALL)).toBe("wrong-length-or-hash metadata/1.stable.json");
});
