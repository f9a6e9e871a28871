{
  description = "A fleet that is rolled out by Nixwave";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    nixwave.url = "github:nixwave/nixwave";
    nixwave.inputs.nixpkgs.follows = "nixpkgs";
  };

  outputs =
    {
      self,
      nixpkgs,
      nixwave,
    }:
    let
      host =
        name:
        nixpkgs.lib.nixosSystem {
          system = "x86_64-linux";
          modules = [
            nixwave.nixosModules.nixwave-agent
            ./hosts/${name}.nix
            {
              networking.hostName = name;
              services.openssh.enable = true;
              services.nixwave-agent = {
                enable = true;
                settings = {
                  channel = "stable";
                  controlPlane = "https://control.example.org:8460";
                  # Both are public. authority.pem is what `nixwave-cp ca` prints, root.json is what `nixwave init` made.
                  authority = ./authority.pem;
                  root = ./root.json;
                };
              };
            }
          ];
        };
    in
    {
      # Plain NixOS configurations: nixos-rebuild goes on to work with them.
      nixosConfigurations = nixpkgs.lib.genAttrs [ "canary-1" "web-1" "web-2" ] host;

      # nixwave release --flake .#fleet --dry-run
      fleet = nixwave.lib.mkFleet {
        inherit (self) nixosConfigurations;

        # sshHostKey (the public half of /etc/ssh/ssh_host_ed25519_key) lets a host enrol without a token.
        hosts = {
          canary-1 = { channel = "stable"; tags = [ "canary" ]; };
          web-1 = { channel = "stable"; tags = [ "web" ]; };
          web-2 = { channel = "stable"; tags = [ "web" ]; };
        };

        channels.stable = {
          waves = [
            { description = "canary"; select.tags = [ "canary" ]; soakSecs = 600; }
            { description = "everything else"; select.not.tags = [ "canary" ]; soakSecs = 600; }
          ];
          policy.healthFailureThresholdSecs = 60;
        };

        # Host above channel above tag above fleet, check by check.
        healthChecks.tcp-ssh = { kind = "tcp"; host = "127.0.0.1"; port = 22; };
        tags.web.healthChecks.http-app = { kind = "http"; url = "http://127.0.0.1:8080/health"; };

        budgets = [ { name = "web"; select.tags = [ "web" ]; maxInFlight = 1; } ];
      };
    };
}
