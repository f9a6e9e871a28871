import { expect, test } from "vitest";
import type { Process, RunResult } from "../ports.ts";
import { leavingOf, notifySystemd } from "./systemd.ts";

/** Answers by the command's words, and keeps what was asked. */
function processes(answers: Readonly<Record<string, string>>) {
  const asked: string[] = [];
  const process: Process = {
    run: async (argv): Promise<RunResult> => {
      asked.push(argv.join(" "));
      const stdout = answers[argv[1] ?? ""] ?? "";
      return { end: { kind: "exited", code: 0 }, stdout, stderr: "" };
    },
  };
  return { asked, process };
}

test.each([
  ["running\n", "", null],
  ["degraded\n", "", null],
  ["", "", null],
  ["stopping\n", "12 reboot.target start waiting", "reboot"],
  ["stopping\n", "12 poweroff.target start waiting", "off"],
])("a system that is %j with the jobs %j leaves as %j", async (state, jobs, leaving) => {
  const { process } = processes({ "is-system-running": state, "list-jobs": jobs });
  expect(await leavingOf(process)).toBe(leaving);
});

test("systemd is told only where it asked, and the watchdog at half of its time", () => {
  const { asked, process } = processes({});
  const waits: { ms: number; fire: () => void }[] = [];
  const timer = {
    after: (ms: number, fire: () => void) => {
      waits.push({ ms, fire });
      return () => {};
    },
  };
  notifySystemd({}, { process, timer });
  expect(asked).toEqual([]);
  notifySystemd({ NOTIFY_SOCKET: "/run/notify", WATCHDOG_USEC: "60000000" }, { process, timer });
  expect(asked).toEqual(["systemd-notify READY=1", "systemd-notify WATCHDOG=1"]);
  expect(waits.map(({ ms }) => ms)).toEqual([30_000]);
  waits[0]?.fire();
  expect(asked).toHaveLength(3);
});
