import { hostRow } from "@nixwave/protocol";
import { expect, test } from "vitest";
import { Board, type Scene } from "./board.ts";

const REF = `9f3c2ab${"0".repeat(33)}`;
const row = (host: string, shown: string, answer: object) =>
  hostRow.parse({
    host,
    channel: "stable",
    tags: [],
    wave: 1,
    shown,
    explanation: {
      host,
      rolloutId: `stable@${REF}`,
      wave: 1,
      answer,
      since: null,
      earliest: null,
      clears: null,
    },
    currentClosure: null,
    targetClosure: null,
    lastHeardAt: null,
  });
const BUDGET = {
  kind: "gate",
  block: { gate: "budget", budget: "web", held: 1, maxInFlight: 1, holders: ["web-1"] },
};
const scene = (hosts: Scene["hosts"]): Scene => ({ title: "A good release", rollout: null, hosts });

test("without a terminal it prints a line per change, and none for no change", () => {
  let out = "";
  const board = new Board({
    write: (text) => (out += text),
    redraws: false,
    colour: false,
    columns: () => 80,
  });
  board.show(
    scene([
      row("web-1", "waiting", { kind: "queued", dispatch: null }),
      row("web-2", "waiting", BUDGET),
    ]),
  );
  board.show(
    scene([
      row("web-1", "waiting", { kind: "queued", dispatch: null }),
      row("web-2", "waiting", BUDGET),
    ]),
  );
  board.say("A sentence.");
  board.show(
    scene([row("web-1", "dispatched", { kind: "revoked" }), row("web-2", "waiting", BUDGET)]),
  );
  expect(out).toBe(`  the control plane does not answer
  web-1      · waiting      its turn
  web-2      · waiting      budget web: web-1 holds 1 of 1
A sentence.
  web-1      ◦ dispatched
`);
});

test("on a terminal it redraws in place, and no line is wider than the screen", () => {
  let out = "";
  const board = new Board({
    write: (text) => (out += text),
    redraws: true,
    colour: true,
    columns: () => 30,
  });
  board.show(scene([row("web-2", "waiting", BUDGET)]));
  const first = out;
  out = "";
  board.show(scene([row("web-2", "waiting", BUDGET)]));
  // Four lines: the title, the rollout, the wave, the host.
  expect(out).toBe(`\u001B[4A\u001B[J${first}`);
  const plain = first.replace(/\p{Cc}\[[0-9;]*m/gu, "").trimEnd();
  for (const line of plain.split("\n")) expect(line.length).toBeLessThan(30);
  out = "";
  board.leave();
  board.say("Below it.");
  expect(out).toBe("Below it.\n");
});
