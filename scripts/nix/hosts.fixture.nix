# NixOS configurations without nixpkgs: what mkFleet reads of one, and no more. `toplevel` shows the checks that reached the closure.
let
  lib = import ./nixpkgsLib.fixture.nix;

  options.options.environment.etc = lib.mkOption { default = { }; };
  configurationOf =
    name: modules:
    let
      given = lib.evalModules {
        modules = [ options ] ++ modules;
        specialArgs.pkgs = {
          nixwave-agent = "/agent";
          formats.json = _: { type = "json"; };
        };
      };
    in
    {
      pkgs.stdenv.hostPlatform.system = "x86_64-linux";
      config.system.build.toplevel = {
        inherit name;
        probes = given.config.environment.etc."nixwave/agent/health-checks.json".text or null;
      };
      extendModules = { modules }: configurationOf name modules;
    };
in
names: builtins.listToAttrs (map (name: { inherit name; value = configurationOf name [ ]; }) names)
