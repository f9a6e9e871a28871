// Loaded before anything else (node --import): better-sqlite3 13 does not fail on an old Node, it crashes the process.
// Plain JavaScript, without imports, so that any Node can run it. The bin files of apps/ repeat it, since each app is
// deployed without this folder.

/**
 * @param {string} version as in process.versions.node
 * @returns {boolean}
 */
export function isNodeTooOld(version) {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major < 22 || (major === 22 && minor < 22);
}

if (isNodeTooOld(process.versions.node)) {
  process.stderr.write(
    `nixwave needs Node 22.22 or newer, and this is Node ${process.versions.node}.\n`,
  );
  process.exit(1);
}
