# What is wrong with the budgets and edges of a definition, and what a person should know of them.
# The twin of packages/protocol/src/constraints.ts: a definition that evaluates is one that `nixwave release` takes.
let
  selector = import ./selector.nix;
  didYouMean = import ./suggestion.nix;
  cycleOf = import ./cycle.nix;
  members' = import ./members.nix;
  inherit (builtins)
    attrNames
    concatLists
    concatMap
    concatStringsSep
    elem
    filter
    genList
    length
    map
    toJSON
    ;
  inherit (members') numbered unknownHosts;
  isNamed = select: select ? hosts;

  cycleProblem =
    arrows:
    let
      cycle = cycleOf arrows;
    in
    if cycle == null then
      [ ]
    else
      [ "the edges close a cycle: ${concatStringsSep " → " cycle}. Remove one of them" ];
in
{ definition, members }:
let
  inherit (definition) channels hosts;
  budgets = numbered (definition.budgets or [ ]);
  edges = numbered (definition.edges or [ ]);
  channelEdges = numbered (definition.channelEdges or [ ]);

  selected = select: filter (selector.matches select) members;
  matchesNobody =
    what: select:
    if !isNamed select && selected select == [ ] then
      [ "${what} has a selector that matches no host" ]
    else
      [ ];

  nameOf = budget: "budget ${toJSON budget.value.name}";
  names = map (budget: budget.value.name) budgets;
  isRepeated =
    { number, value }: elem value.name (genList (index: builtins.elemAt names index) (number - 1));

  edgeOf = edge: {
    what = "edge ${toString edge.number}";
    gates = selector.of edge.value.gates;
    gated = selector.of edge.value.gated;
  };
  pairsOf =
    { gates, gated, ... }:
    let
      first = selected gates;
      second = selected gated;
      isOnePair = length first * length second == 1;
    in
    concatMap (
      gate:
      map (waits: { inherit gate waits; }) (filter (waits: isOnePair || waits.name != gate.name) second)
    ) first;
  wrongPair =
    { what, gates, gated }:
    { gate, waits }:
    if gate.channel != waits.channel then
      # Two names were meant as they stand; of a selector only the pairs within a channel are.
      if isNamed gates && isNamed gated then
        [
          "${what} has ${gate.name} of channel ${gate.channel} gate ${waits.name} of channel ${waits.channel}: expected hosts of one channel; channelEdges order channels"
        ]
      else
        [ ]
    else if gate.wave != null && waits.wave != null && gate.wave > waits.wave then
      [
        "${what} has ${gate.name} of wave ${toString gate.wave} gate ${waits.name} of wave ${toString waits.wave}: expected the gating host in the same wave or an earlier one"
      ]
    else
      [ ];
  arrowsOf =
    edge:
    map ({ gate, waits }: { gates = gate.name; gated = waits.name; }) (
      filter ({ gate, waits }: gate.channel == waits.channel) (pairsOf (edgeOf edge))
    );
in
{
  problems = concatLists [
    (concatMap (
      budget:
      (if isRepeated budget then [ "${nameOf budget} is declared twice: expected one" ] else [ ])
      ++ unknownHosts {
        inherit hosts;
        what = nameOf budget;
      } budget.value.select
    ) budgets)
    (concatMap (
      edge:
      let
        ends = edgeOf edge;
        unknown = unknownHosts {
          inherit hosts;
          inherit (ends) what;
        };
      in
      unknown ends.gates ++ unknown ends.gated ++ concatMap (wrongPair ends) (pairsOf ends)
    ) edges)
    (cycleProblem (concatMap arrowsOf edges))
    (concatMap (
      { number, value }:
      concatMap (
        end:
        if channels ? ${value.${end}} then
          [ ]
        else
          [
            "channel edge ${toString number} names channel ${toJSON value.${end}}, which is not declared.${
              didYouMean value.${end} (attrNames channels)
            }"
          ]
      ) [ "gates" "gated" ]
    ) channelEdges)
    (cycleProblem (map (edge: edge.value) channelEdges))
  ];
  warnings =
    concatMap (budget: matchesNobody (nameOf budget) budget.value.select) budgets
    ++ concatMap (
      edge:
      let
        ends = edgeOf edge;
      in
      matchesNobody ends.what ends.gates ++ matchesNobody ends.what ends.gated
    ) edges;
}
