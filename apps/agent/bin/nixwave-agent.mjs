#!/usr/bin/env node
// Before any import: better-sqlite3 13 does not fail on an old Node, it crashes the process.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 22)) {
  process.stderr.write(
    `nixwave-agent needs Node 22.22 or newer, and this is Node ${process.versions.node}.\n`,
  );
  process.exit(1);
}

// This app and the packages it imports run from source: Node leaves the types out. What it compiled is kept beside the code,
// for a start in half the time: whoever can write there can write the code too, which is not so in /tmp.
const { enableCompileCache } = await import("node:module");
enableCompileCache(`${import.meta.dirname}/../node_modules/.cache/compiled`);
await import("../src/main.ts");
