#!/usr/bin/env node
// Before any import: better-sqlite3 13 does not fail on an old Node, it crashes the process.
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 22)) {
  process.stderr.write(
    `nixwave-agent needs Node 22.22 or newer, and this is Node ${process.versions.node}.\n`,
  );
  process.exit(1);
}

// tsx, because this app and the packages it imports run from source.
const { register } = await import("tsx/esm/api");
register();
await import("../src/main.ts");
