/** What `nixwave init` writes: a fleet of eight hosts whose comments teach. A test releases it. */
export const EXAMPLE_FLEET = `# A fleet for Nixwave. Release it with:
#
#   nixwave release --dry-run     (say what would change)
#   nixwave release               (sign it, and make it current)
#
# Everything here is checked before anything is written; an error names the line.

schemaVersion: 1

# One entry per host. A host belongs to one channel, and runs the closure that its newest release names.
# \`closure\` is the base name of a store path: nix build .#…toplevel && basename $(readlink result)
# With \`sshHostKey: ssh-ed25519 AAAA…\`, the line of its /etc/ssh/ssh_host_ed25519_key.pub, a host enrols by itself; else make it
# a token: nixwave join-token web-1
# To release new closures without editing this file: --closure web-1=5kxq1…-nixos-system-web-1
hosts:
  canary-1: { system: x86_64-linux, channel: stable, tags: [canary], closure: 00000000000000000000000000000001-canary-1-os-1 }
  db-1:     { system: x86_64-linux, channel: stable, tags: [db],     closure: 00000000000000000000000000000002-db-1-os-1 }
  web-1:    { system: x86_64-linux, channel: stable, tags: [web],    closure: 00000000000000000000000000000003-web-1-os-1 }
  web-2:    { system: x86_64-linux, channel: stable, tags: [web],    closure: 00000000000000000000000000000004-web-2-os-1 }
  web-3:    { system: x86_64-linux, channel: stable, tags: [web],    closure: 00000000000000000000000000000005-web-3-os-1 }
  web-4:    { system: x86_64-linux, channel: stable, tags: [web],    closure: 00000000000000000000000000000006-web-4-os-1 }
  mail-1:   { system: aarch64-linux, channel: stable, tags: [],      closure: 00000000000000000000000000000007-mail-1-os-1 }
  cache-1:  { system: aarch64-linux, channel: stable, tags: [],      closure: 00000000000000000000000000000008-cache-1-os-1 }

# A channel is a release train. Its waves move one after the other, each host of it in exactly one of them.
# A wave opens when every host of the wave before it is done; a host is done when it has run the new closure for
# soakSecs and every probe that the closure declares passes.
# Selectors: {tags: [a, b]} (all of them), {hosts: [web-1]}, {all: true}, {not: …}, {and: […]}, {or: […]}.
channels:
  stable:
    waves:
      - { description: canary, select: { tags: [canary] }, soakSecs: 600 }
      - { description: db and web, select: { or: [{ tags: [db] }, { tags: [web] }] }, soakSecs: 600 }
      - description: everything else
        select: { not: { or: [{ tags: [canary] }, { tags: [db] }, { tags: [web] }] } }
        soakSecs: 300
    # What each host decides alone, whether or not the control plane can be reached. All of it may be left out.
    policy:
      onHealthFailure: rollback-and-halt # or: halt
      healthFailureThresholdSecs: 60 # a probe that fails for so long has failed
      maxFailures: 0 # more failed hosts than this halt the rollout

# Never more than so many of these hosts on the move at once, over all rollouts. A number, or a share such as 25%.
budgets:
  - { name: web, select: { tags: [web] }, maxInFlight: 2 }

# A host waits for a host of the same wave or an earlier one.
edges:
  - { gates: db-1, gated: web-1, reason: web-1 runs the migrations of db-1's schema }
`;
