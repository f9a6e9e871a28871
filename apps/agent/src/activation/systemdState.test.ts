import { expect, test } from "vitest";
import { endedUnit, readUnit } from "./systemdState.ts";

// As systemd 252 and 257 print them.
const shown = (...lines: readonly string[]) => `${lines.join("\n")}\n`;

test.each([
  [
    "never fired",
    ["LoadState=not-found", "ActiveState=inactive", "Result=success", "ExecMainCode=0"],
    { kind: "not-loaded" },
  ],
  [
    "running, though it shows success",
    [
      "LoadState=loaded",
      "ActiveState=active",
      "Result=success",
      "ExecMainCode=0",
      "ExecMainStatus=0",
    ],
    { kind: "running" },
  ],
  [
    "enqueued",
    ["LoadState=loaded", "ActiveState=inactive", "ExecMainCode=0", "Job=17"],
    { kind: "running" },
  ],
  [
    "being stopped, its main process dead",
    ["LoadState=loaded", "ActiveState=deactivating", "ExecMainCode=2"],
    { kind: "running" },
  ],
  [
    "ended well",
    [
      "LoadState=loaded",
      "ActiveState=active",
      "Result=success",
      "ExecMainCode=1",
      "ExecMainStatus=0",
    ],
    { kind: "exited", code: 0 },
  ],
  [
    "ended with 4",
    [
      "LoadState=loaded",
      "ActiveState=failed",
      "Result=exit-code",
      "ExecMainCode=1",
      "ExecMainStatus=4",
    ],
    { kind: "exited", code: 4 },
  ],
  [
    "killed",
    [
      "LoadState=loaded",
      "ActiveState=failed",
      "Result=signal",
      "ExecMainCode=2",
      "ExecMainStatus=9",
    ],
    { kind: "killed" },
  ],
  [
    "told to stop at its deadline, and ended with 0",
    [
      "LoadState=loaded",
      "ActiveState=failed",
      "Result=timeout",
      "ExecMainCode=1",
      "ExecMainStatus=0",
    ],
    { kind: "killed" },
  ],
  [
    "never begun",
    ["LoadState=loaded", "ActiveState=failed", "Result=resources", "ExecMainCode=0", "Job="],
    { kind: "killed" },
  ],
])("a unit that is %s", (_, lines, expected) => {
  expect(readUnit(shown(...lines))).toEqual(expected);
});

test.each([
  [null, { kind: "none" }],
  ["exited 0 success\n", { kind: "exited", code: 0 }],
  ["exited 100 exit-code\n", { kind: "exited", code: 100 }],
  ["exited 0 timeout\n", { kind: "killed" }],
  ["killed TERM success\n", { kind: "killed" }],
  ["  resources\n", { kind: "killed" }],
  ["", { kind: "killed" }],
])("what it left is %o", (text, expected) => {
  expect(endedUnit(text)).toEqual(expected);
});
