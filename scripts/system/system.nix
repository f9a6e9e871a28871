# A "system" without nixpkgs: what a backend of the agent needs of a NixOS closure, and what a test wants it to do.
# `switch`, `boot` and `check` are shell; `entry` writes a boot entry as systemd-boot has it, `activate` makes this run.
{ name, version, switch, boot, check, checks, extra ? "", dependency ? null }:
derivation {
  name = "nixos-system-${name}-${version}";
  system = builtins.currentSystem;
  builder = "/bin/sh";
  PATH = "/usr/bin:/bin";
  inherit version checks extra;
  dependency = if dependency == null then "" else builtins.storePath dependency;
  script = ''
    #!/bin/sh
    toplevel=@out@
    entry() {
      number=$(readlink /nix/var/nix/profiles/system | sed 's/[^0-9]//g')
      mkdir -p /boot/loader/entries
      printf 'title NixOS\noptions init=%s/init\n' "$toplevel" > "/boot/loader/entries/nixos-generation-$number.conf"
      printf 'default nixos-generation-%s.conf\n' "$number" > /boot/loader/loader.conf.new
      mv /boot/loader/loader.conf.new /boot/loader/loader.conf
    }
    activate() {
      ln -sfn "$toplevel" /run/current-system.new && mv -T /run/current-system.new /run/current-system
    }
    case "''${1:-}" in
      check) ${check} ;;
      boot) ${boot} ;;
      switch) ${switch} ;;
      *) echo "Usage: $0 check|boot|switch" >&2; exit 1 ;;
    esac
  '';
  args = [
    "-eu"
    (builtins.toFile "build.sh" ''
      mkdir -p $out/bin $out/etc/nixwave/agent
      printf '%s' "$script" | sed "s|@out@|$out|g" > $out/bin/switch-to-configuration
      chmod +x $out/bin/switch-to-configuration
      printf '%s' "$version" > $out/nixos-version
      printf '%s' "$checks" > $out/etc/nixwave/agent/health-checks.json
      [ -z "$dependency" ] || printf '%s' "$dependency" > $out/dependency
      eval "$extra"
    '')
  ];
}
