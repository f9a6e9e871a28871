import { describe, expect, it } from "vitest";
import { parseConfigFile, parseListen, resolveServe } from "./config.ts";

const PLACE = { kind: "directory", directory: "/r" } as const;

describe("a config file that is wrong gets one sentence with the place and what to do", () => {
  it.each([
    [
      "not JSON",
      '{\n"data": nope }',
      /^cp\.json:?\d*: this is not JSON; expected one object with the keys data, /,
    ],
    ["a list", "[]", /^cp\.json: expected one JSON object with the keys data, /],
    [
      "an unknown key",
      '{"lisen":"127.0.0.1:1"}',
      /^cp\.json: unknown key "lisen": the keys are data, /,
    ],
    ["a number for a path", '{"data":3}', /^cp\.json: "data": expected a path such as /],
    ["an empty path", '{"root":""}', /^cp\.json: "root": expected a path .*not an empty text/],
    [
      "a text for a flag",
      '{"insecureLoopback":"yes"}',
      /^cp\.json: "insecureLoopback": expected true or false\.$/,
    ],
  ])("%s", (_what, text, sentence) => {
    const parsed = parseConfigFile(text, "cp.json");
    expect(parsed.ok ? "accepted" : parsed.error).toMatch(sentence);
    expect(parsed.ok ? "" : parsed.error).not.toContain("\n");
  });

  it("starts relative paths at the file's folder", () => {
    const parsed = parseConfigFile('{"data":"state","root":"/r"}', "/etc/nixwave/cp.json");
    expect(parsed).toEqual({ ok: true, value: { data: "/etc/nixwave/state", root: "/r" } });
  });
});

describe("listen", () => {
  it.each([
    ["127.0.0.1:8460", { host: "127.0.0.1", port: 8460 }],
    ["127.8.0.1:0", { host: "127.8.0.1", port: 0 }],
    ["[::1]:8460", { host: "::1", port: 8460 }],
    ["localhost:8460", { host: "127.0.0.1", port: 8460 }],
  ])("takes %s", (text, address) => {
    expect(parseListen(text, { insecure: true })).toEqual({ ok: true, value: address });
    expect(parseListen(text, { insecure: false })).toEqual({ ok: true, value: address });
  });

  it("takes any address over TLS, and no name but localhost", () => {
    const any = parseListen("0.0.0.0:8460", { insecure: false });
    expect(any).toEqual({ ok: true, value: { host: "0.0.0.0", port: 8460 } });
    const named = parseListen("cp.example.org:8460", { insecure: false });
    expect(named.ok ? "accepted" : named.error).toContain("expected an address");
  });

  it.each([
    "0.0.0.0:8460",
    "[::]:8460",
    "192.168.1.5:8460",
    "cp.example.org:8460",
    "127.0.0.1.example.org:1",
  ])("refuses %s: without TLS, loopback only", (text) => {
    const parsed = parseListen(text, { insecure: true });
    expect(parsed.ok ? "accepted" : parsed.error).toContain("serves the loopback only");
  });

  it.each(["8460", "127.0.0.1", "127.0.0.1:99999", ":1", "::1:8460", ""])(
    "can't read %j",
    (text) => {
      const parsed = parseListen(text, { insecure: false });
      expect(parsed.ok ? "accepted" : parsed.error).toContain("expected HOST:PORT such as");
    },
  );
});

describe("serve", () => {
  it.each([
    [{}, "No data directory: add --data DIR"],
    [{ data: "/d" }, "No repository: add --repository"],
    [{ data: "/d", repository: "/r", listen: "0.0.0.0:1" }, "add --name with the one name"],
    [{ data: "/d", repository: "/r", name: "a b" }, "expected a DNS name or an address"],
    [{ data: "/d", repository: "/r", caKey: "/k" }, "without --ca-cert"],
    [
      { data: "/d", repository: "/r", caCert: "/c" },
      "needs one of --ca-key FILE and --ca-sign-cmd",
    ],
    [
      { data: "/d", repository: "/r", caCert: "/c", caKey: "/k", caSignCmd: "sign" },
      "needs one of --ca-key FILE and --ca-sign-cmd",
    ],
    [{ data: "/d", repository: "/r", serverCert: "/c" }, "belong together"],
    [
      { data: "/d", repository: "/r", insecureLoopback: true, allowTokenAdmin: true },
      "--allow-token-admin is about TLS",
    ],
    [
      { data: "/d", repository: "/r", insecureLoopback: true, listen: "0.0.0.0:1" },
      "loopback only",
    ],
  ])("%j lacks something and says what to add", (flags, sentence) => {
    const resolved = resolveServe(flags, {});
    expect(resolved.ok ? "accepted" : resolved.error).toContain(sentence);
  });

  it("serves over TLS under one name, unless it is told not to", () => {
    const file = { data: "/d", repository: PLACE, listen: "0.0.0.0:1", name: "cp.example.com" };
    const resolved = resolveServe({ caCert: "/ca.pem", caSignCmd: "hsm sign  slot-1" }, file);
    expect(resolved.ok && resolved.value.tls).toEqual({
      name: "cp.example.com",
      authority: { kind: "command", certFile: "/ca.pem", argv: ["hsm", "sign", "slot-1"] },
      server: { kind: "own", names: ["cp.example.com", "localhost", "127.0.0.1", "::1"] },
      allowTokenAdmin: false,
    });
  });

  it("takes flags over the file", () => {
    const file = {
      data: "/file",
      repository: PLACE,
      insecureLoopback: true,
      listen: "127.0.0.1:1",
    };
    expect(resolveServe({ data: "/flag", listen: "127.0.0.1:0" }, file)).toEqual({
      ok: true,
      value: {
        dataDir: "/flag",
        repository: { place: PLACE, rootFile: null },
        listen: { host: "127.0.0.1", port: 0 },
        tls: null,
        recover: false,
        readyFile: null,
        logRetention: { secs: 90 * 86_400, bytes: 2 * 2 ** 30 },
      },
    });
  });
});
