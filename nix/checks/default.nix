# `nix flake check`: a fleet of real NixOS configurations evaluates, and what its modules make is what the programs read.
{ pkgs }:
let
  nixwave = import ../lib;
  configuration = import (pkgs.path + "/nixos/lib/eval-config.nix");
  host =
    name:
    configuration {
      inherit (pkgs) system;
      modules = [
        ../modules/agent.nix
        {
          networking.hostName = name;
          boot.isContainer = true;
          system.stateVersion = "25.05";
          services.nixwave-agent = {
            enable = true;
            package = pkgs.hello;
            settings = {
              channel = "stable";
              controlPlane = "https://control.example.org:8460";
              authority = pkgs.writeText "authority.pem" "";
              root = pkgs.writeText "root.json" "";
            };
          };
        }
      ];
    };
  fleet = nixwave.mkFleet {
    hosts.web-1 = {
      channel = "stable";
      configuration = host "web-1";
    };
    channels.stable.waves = [ { select.all = true; } ];
    healthChecks.tcp-ssh = {
      kind = "tcp";
      host = "127.0.0.1";
      port = 22;
    };
  };
in
{
  fleet = pkgs.writeText "fleet.json" (builtins.toJSON fleet.declaration);
  health-checks = pkgs.runCommand "health-checks" { } ''
    ${pkgs.lib.getExe pkgs.jq} -e '.checks[0].name == "tcp-ssh"' \
      ${fleet.toplevels.web-1}/etc/nixwave/agent/health-checks.json > $out
  '';
}
