import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { newSshHostKey } from "./sshHostKey.ts";

test.each(["", "a", "root@web-1", "eight-ch"])(
  "a host key with the comment %j is read by ssh-keygen",
  (comment) => {
    const { privateText, publicLine } = newSshHostKey(comment);
    const dir = mkdtempSync(join(tmpdir(), "nixwave-ssh-"));
    try {
      const file = join(dir, "key");
      writeFileSync(file, privateText, { mode: 0o600 });
      const said = execFileSync("ssh-keygen", ["-y", "-P", "", "-f", file], { encoding: "utf8" });
      expect(said.trim().split(" ").slice(0, 2).join(" ")).toBe(publicLine);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
);
