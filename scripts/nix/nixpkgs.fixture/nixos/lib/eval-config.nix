# nixos/lib/eval-config.nix without NixOS: the modules of ours, over options that they set and nobody reads.
{ modules, system, ... }:
let
  lib = import ../../../nixpkgsLib.fixture.nix;
  any = default: lib.mkOption { inherit default; };
  stubs.options = {
    assertions = any [ ];
    environment.etc = any { };
    environment.systemPackages = any [ ];
    networking.hostName = any "";
    networking.firewall.allowedTCPPorts = any [ ];
    nix.package = any "/nix-package";
    systemd.package = any "/systemd-package";
    systemd.services = any { };
    nixpkgs.overlays = any [ ];
    boot = any { };
    fileSystems = any { };
    services.openssh = any { };
    system.stateVersion = any "";
  };
  # What a module imports stands beside it.
  flat = module: if builtins.isAttrs module then (module.imports or [ ]) ++ [ module ] else [ module ];
  probesOf =
    config:
    let
      file = builtins.fromJSON config.environment.etc."nixwave/agent/health-checks.json".text;
    in
    builtins.concatStringsSep "," (map (check: check.name) file.checks);
  configurationOf =
    given:
    let
      all = builtins.concatMap flat ([ stubs ] ++ given);
      evaluated = lib.evalModules {
        modules = all;
        specialArgs.pkgs = {
          nixwave-agent = "/agent";
          bash = "/bash";
          coreutils = "/coreutils";
          util-linux = "/util-linux";
          formats.json = _: {
            type = "json";
            generate = file: _: file;
          };
        };
      };
    in
    {
      pkgs.stdenv.hostPlatform.system = system;
      config = evaluated.config // {
        system = evaluated.config.system // {
          # The path tells which health checks are in it.
          build.toplevel = "/toplevel-${evaluated.config.networking.hostName}-${probesOf evaluated.config}";
        };
      };
      extendModules = { modules }: configurationOf (given ++ modules);
    };
in
configurationOf modules
