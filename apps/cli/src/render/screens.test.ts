import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Instant } from "@nixwave/effects";
import {
  eventsPage,
  hostRow,
  quarantineView,
  rolloutView,
  statusView,
  whyView,
} from "@nixwave/protocol";
import { expect, test } from "vitest";
import { eventLine } from "./events.ts";
import { hostsScreen } from "./hosts.ts";
import { quarantinesScreen } from "./quarantines.ts";
import { rolloutScreen } from "./rollout.ts";
import { statusScreen } from "./status.ts";
import { widthOf } from "./style.ts";
import { whyScreen } from "./why.ts";

/**
 * Transcripts: `# comment`, the screen's name, the view as the wire has it, `----`, the screen. UPDATE=1 rewrites the
 * screens; a change that nobody can explain is a fault.
 */
const FOLDER = join(import.meta.dirname, "../testdata");
const STYLE = { colour: false, columns: 120, timeZone: "UTC" };

const SCREENS: Readonly<Record<string, (json: object) => readonly string[]>> = {
  status: (json) => statusScreen(STYLE, statusView.parse(json)),
  rollout: (json) =>
    rolloutScreen(
      STYLE,
      rolloutView.parse(Reflect.get(json, "view")),
      hostRow.array().parse(Reflect.get(json, "hosts")),
    ),
  why: (json) => whyScreen(STYLE, whyView.parse(json)),
  hosts: (json) =>
    hostsScreen(STYLE, hostRow.array().parse(Reflect.get(json, "hosts")), nowIn(json)),
  quarantines: (json) =>
    quarantinesScreen(STYLE, quarantineView.array().parse(Reflect.get(json, "items")), nowIn(json)),
  events: (json) => {
    const listener = { now: nowIn(json), timeZone: "UTC" };
    const page = { items: Reflect.get(json, "items"), after: null, beginsAt: 0, newest: null };
    return eventsPage.parse(page).items.map((line) => eventLine(STYLE, line, listener));
  },
};

const nowIn = (json: object): Instant =>
  statusView.unwrap().shape.now.parse(Reflect.get(json, "now"));

const names = readdirSync(FOLDER).filter((name) => name.endsWith(".txt"));

test.each(names)("%s", (name) => {
  const file = join(FOLDER, name);
  const text = readFileSync(file, "utf8");
  const [input = "", expected = ""] = text.split("----\n");
  const [, screen = "", view = ""] = /^(?:#.*\n)*(\w+)\n([\s\S]*)$/.exec(input) ?? [];
  const json: unknown = JSON.parse(view);
  if (typeof json !== "object" || json === null) throw new Error(`${name} holds no view`);
  const lines = SCREENS[screen]?.(json) ?? [`there is no screen “${screen}”`];
  const shown = `${lines.join("\n")}\n`;
  if (process.env["UPDATE"] === "1") writeFileSync(file, `${input}----\n${shown}`);
  else expect(shown).toBe(expected);
  // A screen may be wider than a terminal, but never by a runaway text.
  for (const line of lines) expect(widthOf(line)).toBeLessThan(240);
});

test("every screen has a transcript", () => {
  const told = names.map((name) => /^(\w+)$/m.exec(readFileSync(join(FOLDER, name), "utf8"))?.[1]);
  expect(new Set(told)).toEqual(new Set(Object.keys(SCREENS)));
});
