import { parseHostName } from "@nixwave/effects";
import { expect, test } from "vitest";
import { byteText } from "../render/closureDiff.ts";
import { diffClosures, groupByDiff, packageOf } from "./closureDiff.ts";

const HASH = "0".repeat(32);
const paths = (...bases: string[]) =>
  bases.map((base) => ({
    path: `/nix/store/${HASH}-${base}`,
    narHash: "0".repeat(64),
    narSize: 10,
  }));
const host = (name: string) => {
  const parsed = parseHostName(name);
  if (!parsed.ok) throw new Error(name);
  return parsed.value;
};

test.each([
  ["openssl-3.0.14", "openssl", "3.0.14"],
  ["openssl-3.0.14-bin", "openssl", "3.0.14-bin"],
  ["python3.12-requests-2.32.3", "python3.12-requests", "2.32.3"],
  ["nixos-system-web-1-25.05.20260101", "nixos-system-web", "1-25.05.20260101"],
  ["etc", "etc", ""],
  ["unit-nginx.service", "unit-nginx.service", ""],
])("%s is the package %s in version %s, as Nix parts them", (base, name, version) => {
  expect(packageOf(`/nix/store/${HASH}-${base}`)).toEqual({ name, version });
});

test("a difference names packages by version, and bytes by path", () => {
  const before = paths("linux-6.12.4", "curl-8.9", "etc", "jq-1.7");
  const after = [...paths("linux-6.12.9", "etc", "jq-1.7", "jq-1.8"), ...paths("nginx-1.27")];
  expect(diffClosures(before, after)).toEqual({
    packages: [
      { name: "curl", from: ["8.9"], to: [] },
      { name: "jq", from: ["1.7"], to: ["1.7", "1.8"] },
      { name: "linux", from: ["6.12.4"], to: ["6.12.9"] },
      { name: "nginx", from: [], to: ["1.27"] },
    ],
    bytesNew: 30,
  });
  expect(diffClosures(before, before)).toEqual({ packages: [], bytesNew: 0 });
});

test("hosts with one difference are one group, their own names aside", () => {
  const diff = (name: string, version: string) =>
    diffClosures(paths(`unit-${name}`, "a-1"), paths(`unit-${name}`, `a-${version}`));
  const groups = groupByDiff([
    { host: host("db-1"), diff: diff("db-1", "3") },
    { host: host("web-1"), diff: diff("web-1", "2") },
    { host: host("web-2"), diff: diff("web-2", "2") },
    { host: host("web-3"), diff: null },
  ]);
  expect(groups.map(({ hosts }) => hosts.join(" "))).toEqual(["web-1 web-2", "db-1", "web-3"]);
});

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1_000, "1.0 kB"],
  [412_300_000, "412 MB"],
  [9_960_000_000, "10 GB"],
  [999_600_000, "1.0 GB"],
])("%d bytes are %s", (bytes, text) => {
  expect(byteText(bytes)).toBe(text);
});
