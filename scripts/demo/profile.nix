# A closure with an activation script, without nixpkgs, where home-manager (`activate`) or system-manager (`bin/activate`) have theirs.
# `@out@` in the script is the closure's own path.
{
  name,
  version,
  script,
  activate,
  checks,
  extra ? "",
  path ? "/usr/bin:/bin",
}:
derivation {
  name = "${name}-${version}";
  system = builtins.currentSystem;
  builder = "/bin/sh";
  PATH = path;
  inherit
    script
    activate
    checks
    extra
    ;
  args = [
    "-eu"
    (builtins.toFile "build.sh" ''
      mkdir -p "$out/etc/nixwave/agent" "$(dirname "$out/$script")"
      printf '%s\n' "$activate" | sed "s|@out@|$out|g" > "$out/$script"
      chmod +x "$out/$script"
      printf '%s\n' "$checks" > "$out/etc/nixwave/agent/health-checks.json"
      eval "$extra"
    '')
  ];
}
