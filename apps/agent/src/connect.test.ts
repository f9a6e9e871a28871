import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { expect, test } from "vitest";

/** Files that ship and hold this text. */
const filesWith = (text: string): readonly string[] =>
  readdirSync(import.meta.dirname, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts") && !/\.(test|fixture)\.ts$/.test(path))
    .filter((path) => readFileSync(join(import.meta.dirname, path), "utf8").includes(text))
    .map((path) => relative(".", path))
    .sort();

test("there is one way to the control plane, and one reader of the CA (hazard 89)", () => {
  expect(filesWith("tlsConnection(")).toEqual(["connect.ts", "perform/tlsHttp.ts"]);
  expect(filesWith("httpControlPlane(")).toEqual(["connect.ts", "inbound/httpControlPlane.ts"]);
  expect(filesWith("readAuthorityPem(")).toEqual(["identity/evidence.ts"]);
  // Probes have connections of their own, which show no certificate.
  expect(filesWith("systemHttp(")).toEqual(["connect.ts", "perform/http.ts", "run.ts"]);
});
