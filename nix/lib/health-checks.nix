# The health checks of each host out of the four scopes: host over channel over tag over fleet, check by check.
# A check that hides another is said; two tags of one host that declare one name differently are refused: neither is above the other.
let
  inherit (builtins)
    attrNames
    concatLists
    concatMap
    concatStringsSep
    filter
    foldl'
    intersectAttrs
    listToAttrs
    map
    toJSON
    ;

  scopesOf =
    definition: member:
    let
      tagged = filter (tag: definition.tags or { } ? ${tag}) member.tags;
    in
    {
      fleet = [
        {
          name = "the fleet";
          checks = definition.healthChecks or { };
        }
      ];
      tags = map (tag: {
        name = "tag ${tag}";
        checks = definition.tags.${tag}.healthChecks or { };
      }) tagged;
      channel = [
        {
          name = "channel ${member.channel}";
          checks = definition.channels.${member.channel}.healthChecks or { };
        }
      ];
      host = [
        {
          name = "host ${member.name}";
          checks = definition.hosts.${member.name}.healthChecks or { };
        }
      ];
    };

  # From the outermost scope to the host: what each adds, and what it hides.
  layer =
    state: scope:
    let
      hidden = filter (name: state.checks.${name}.check != scope.checks.${name}) (
        attrNames (intersectAttrs scope.checks state.checks)
      );
    in
    {
      checks = state.checks // builtins.mapAttrs (_: check: { inherit check; from = scope.name; }) scope.checks;
      warnings =
        state.warnings
        ++ map (
          name: "health check ${toJSON name} of ${scope.name} hides that of ${state.checks.${name}.from}"
        ) hidden;
    };

  rivals =
    member: tags:
    concatMap (
      name:
      let
        declaring = filter (scope: scope.checks ? ${name}) tags;
        first = builtins.head declaring;
        other = filter (scope: scope.checks.${name} != first.checks.${name}) declaring;
      in
      if other == [ ] then
        [ ]
      else
        [
          "host ${member.name}: health check ${toJSON name} is declared by ${first.name} and, differently, by ${
            concatStringsSep " and " (map (scope: scope.name) other)
          }: expected one; declare it on the host or its channel"
        ]
    ) (attrNames (foldl' (all: scope: all // scope.checks) { } tags));

  unique = list: attrNames (listToAttrs (map (name: { inherit name; value = null; }) list));
in
{ definition, members }:
let
  each = map (
    member:
    let
      scopes = scopesOf definition member;
      layered = foldl' layer {
        checks = { };
        warnings = [ ];
      } (scopes.fleet ++ scopes.tags ++ scopes.channel ++ scopes.host);
    in
    {
      inherit (member) name;
      value = builtins.mapAttrs (_: { check, ... }: check) layered.checks;
      problems = rivals member scopes.tags;
      inherit (layered) warnings;
    }
  ) members;

  declaredTags = attrNames (definition.tags or { });
  carried = concatMap (member: member.tags) members;
in
{
  byHost = listToAttrs each;
  problems = concatLists (map (host: host.problems) each);
  warnings =
    # A hundred hosts of one channel say it once.
    unique (concatLists (map (host: host.warnings) each))
    ++ concatMap (
      tag: if builtins.elem tag carried then [ ] else [ "tag ${tag} has health checks and no host" ]
    ) declaredTags;
}
