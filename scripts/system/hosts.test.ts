import { afterAll, beforeAll, expect, test } from "vitest";
import { Fleet, type Released } from "./fleet.ts";

// Three hosts in one wave; what each release does to them differs.

const NAMES = ["a", "b", "c"] as const;
const fleet = new Fleet(
  NAMES.map((name) => ({ name, wave: 1, tags: [] })),
  { maxFailures: 1000, soakSecs: 2 },
);
beforeAll(() => fleet.start(), 180_000);
afterAll(() => fleet.stop());

const currentOf = async (host: string): Promise<string> =>
  (await fleet.host(host).must("readlink", "/run/current-system")).trim();
const pathOf = (released: Released, host: string): string =>
  `/nix/store/${released.closures.get(host)}`;
const countOf = async (host: string, released: Released, kind: string): Promise<number> =>
  (await fleet.events(host, released)).filter((line) => line.includes(`"kind":"${kind}"`)).length;

/** A release that every host is well on: where the next one starts from, and what a bad one goes back to. */
let good: Released;
async function goodRelease(version: string, own: Parameters<Fleet["release"]>[1] = {}) {
  good = await fleet.release({ version }, own);
  await fleet.converged(good);
}

test("the agent is restarted by its own switch: the switch ends, and its outcome is reported once", async () => {
  const script = "entry; activate; systemctl restart nixwave-agent; echo done; sleep 1";
  await goodRelease("restarts", { a: { switch: script } });
  expect(await currentOf("a")).toBe(pathOf(good, "a"));
  expect(await countOf("a", good, "ActivationStarted")).toBe(1);
  expect(await countOf("a", good, "ActivationCompleted")).toBe(1);
});

test("exit 4 is judged by the probes, 100 is completed by the reboot, a refusal of check changes nothing", async () => {
  await goodRelease("before-exits");
  const released = await fleet.release(
    { version: "exits" },
    {
      a: { switch: "entry; activate; exit 4" },
      b: { switch: "echo 'component: dbus'; exit 100" },
      c: { check: "echo no room for it >&2; exit 1" },
    },
  );
  await fleet.reached("a", released, ["Converged"]);
  await fleet.reached("b", released, ["Deferred"]);
  await fleet.reached("c", released, ["Failed", "Reverted"]);
  expect(await currentOf("c")).toBe(pathOf(good, "c"));
  expect(await currentOf("b"), "until the reboot").toBe(pathOf(good, "b"));
  await fleet.host("b").reboot();
  await fleet.reached("b", released, ["Converged"]);
  expect(await currentOf("b")).toBe(pathOf(released, "b"));
});

test("a newer release while deferred makes what runs the boot default again, before anything else", async () => {
  await goodRelease("before-deferred");
  const deferred = await fleet.release({ version: "deferred" }, { a: { switch: "exit 100" } });
  await fleet.reached("a", deferred, ["Deferred"]);
  const newer = await fleet.release(
    { version: "newer" },
    {
      a: {
        check:
          "cat /boot/loader/entries/* > /srv/seen; cat /boot/loader/loader.conf >> /srv/seen; exit 1",
      },
    },
  );
  await fleet.reached("a", newer, ["Failed", "Reverted"]);
  const entry = /default (.*)/.exec(
    fleet.host("a").readText("/boot/loader/loader.conf") ?? "",
  )?.[1];
  expect(fleet.host("a").readText(`/boot/loader/entries/${entry}`)).toContain(pathOf(good, "a"));
});

test("a failing unit that was failing before rolls nothing back; a new one does", async () => {
  const checks = [{ name: "units", kind: "systemd", intervalSecs: 0.5 }];
  await fleet.host("a").run(["systemd-run", "--unit=old-trouble", "false"]);
  await expect
    .poll(async () => (await fleet.host("a").run(["systemctl", "is-failed", "old-trouble"])).stdout)
    .toBe("failed\n");
  const script = "entry; activate; systemd-run --unit=new-trouble false; sleep 0.2";
  const released = await fleet.release({ version: "units", checks }, { b: { switch: script } });
  await fleet.reached("a", released, ["Converged"]);
  await fleet.reached("b", released, ["Reverted"]);
  for (const name of ["a", "b"]) await fleet.host(name).run(["systemctl", "reset-failed"]);
});

test("a host whose release cuts its link comes back by itself", async () => {
  const up = "entry; activate; ip link set host0 up";
  await goodRelease("before-cut", { a: { switch: up } });
  const released = await fleet.release(
    { version: "cut" },
    { a: { switch: "entry; activate; ip link set host0 down" } },
  );
  await fleet.reached("a", released, ["Reverted"]);
  expect(await currentOf("a")).toBe(pathOf(good, "a"));
});
