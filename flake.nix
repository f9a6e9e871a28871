{
  description = "Rolls signed NixOS releases out to a fleet, wave by wave, and takes them back by itself when they hurt";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      each = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
      packagesOf = pkgs: import ./nix/packages { inherit pkgs; source = self; };
      modules = {
        agent = ./nix/modules/agent.nix;
        control-plane = ./nix/modules/control-plane.nix;
      };
    in
    {
      lib = import ./nix/lib;
      packages = each packagesOf;
      overlays.default = final: _: packagesOf final;
      # With the packages: services.nixwave-agent.package has its default from the overlay.
      nixosModules = {
        nixwave-agent = {
          imports = [ modules.agent ];
          nixpkgs.overlays = [ self.overlays.default ];
        };
        nixwave-control-plane = {
          imports = [ modules.control-plane ];
          nixpkgs.overlays = [ self.overlays.default ];
        };
      };
      checks = each (pkgs: import ./nix/checks { inherit pkgs; });
      templates.default = {
        path = ./nix/template;
        description = "A fleet of three hosts in two waves, with a health check, released by Nixwave";
      };
    };
}
