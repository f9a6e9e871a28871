# A fleet out of plain NixOS configurations: what `nixwave release --flake .#fleet` reads.
#
#   fleet = nixwave.lib.mkFleet {
#     inherit (self) nixosConfigurations;
#     hosts.web-1 = { channel = "stable"; tags = [ "web" ]; };
#     channels.stable.waves = [ { select.all = true; soakSecs = 600; } ];
#   };
#
# Gives `declaration` (a fleet file without closures, plain data), `toplevels` (what to build, by host), `healthChecks`, `warnings`.
# Whatever is wrong ends the evaluation with all of it, a sentence each.
let
  shapeProblems = import ./fleet-shape.nix;
  members' = import ./members.nix;
  constraintsOf = import ./constraints.nix;
  healthChecksOf = import ./health-checks.nix;
  didYouMean = import ./suggestion.nix;
  inherit (builtins)
    attrNames
    concatMap
    concatStringsSep
    foldl'
    mapAttrs
    ;

  refuse =
    problems:
    throw "nixwave: the fleet is refused.\n${concatStringsSep "\n" (map (line: "  ${line}") problems)}";

  orRefuse = problems: value: if problems == [ ] then value else refuse problems;
  sayAll = warnings: value: foldl' (said: line: builtins.trace "nixwave: warning: ${line}" said) value warnings;

  # The configuration of each host: its own, or that of nixosConfigurations with its name.
  configurationProblems =
    definition:
    let
      known = definition.nixosConfigurations or { };
    in
    concatMap (
      name:
      if definition.hosts.${name} ? configuration || known ? ${name} then
        [ ]
      else
        [
          "host ${name} has no NixOS configuration: expected nixosConfigurations.${name}, or hosts.${name}.configuration.${didYouMean name (attrNames known)}"
        ]
    ) (attrNames definition.hosts);

  systemOf =
    name: host: configuration:
    host.system or configuration.pkgs.stdenv.hostPlatform.system or (refuse [
      "host ${name}: its system can't be read from its configuration: set hosts.${name}.system"
    ]);

  # The module of the agent brings the option; one that the host imports too is the same file, and so imported once.
  withChecks =
    configuration: checks:
    if checks == { } then
      configuration
    else
      configuration.extendModules {
        modules = [
          ../modules/agent.nix
          (
            { lib, ... }:
            {
              # Weaker than what the configuration itself says, check by check: the host is above its scopes.
              services.nixwave-agent.healthChecks = mapAttrs (_: lib.mkDefault) checks;
            }
          )
        ];
      };
in
definition:
let
  shape = shapeProblems definition;
  resolution = members'.of members' definition;
  known = { inherit definition; inherit (resolution) members; };
  constraints = constraintsOf known;
  checks = healthChecksOf known;

  problems =
    if shape != [ ] then
      shape
    else
      configurationProblems definition
      ++ resolution.problems
      ++ constraints.problems
      ++ checks.problems;
  warnings = constraints.warnings ++ checks.warnings;
  sound = value: orRefuse problems (sayAll warnings value);

  configurations = mapAttrs (
    name: host: host.configuration or definition.nixosConfigurations.${name}
  ) definition.hosts;

  hostDeclaration =
    name: host:
    {
      system = systemOf name host configurations.${name};
      inherit (host) channel;
      tags = host.tags or [ ];
    }
    // (if host.sshHostKey or null == null then { } else { inherit (host) sshHostKey; });
in
{
  inherit definition;
  warnings = orRefuse problems warnings;
  declaration = sound {
    schemaVersion = 1;
    hosts = mapAttrs hostDeclaration definition.hosts;
    channels = mapAttrs (_: channel: removeAttrs channel [ "healthChecks" ]) definition.channels;
    budgets = definition.budgets or [ ];
    edges = definition.edges or [ ];
    channelEdges = definition.channelEdges or [ ];
  };
  toplevels = sound (
    mapAttrs (
      name: configuration: (withChecks configuration checks.byHost.${name}).config.system.build.toplevel
    ) configurations
  );
  healthChecks = sound checks.byHost;
}
