# One definition out of several, as when each team keeps its own: `mkFleet (mergeFleets [ ./web.nix ./db.nix ])`.
# Sets are joined, lists are put one after the other; what two of them declare is refused, for neither is above the other.
let
  inherit (builtins)
    attrNames
    concatMap
    concatStringsSep
    foldl'
    intersectAttrs
    isPath
    isString
    map
    ;

  sets = [
    "nixosConfigurations"
    "hosts"
    "channels"
    "tags"
    "healthChecks"
  ];
  lists = [
    "budgets"
    "edges"
    "channelEdges"
  ];

  # A file, a definition, or a fleet that mkFleet made of one.
  definitionOf =
    given:
    let
      value = if isPath given || isString given then import given else given;
    in
    value.definition or value;

  clashes =
    a: b:
    concatMap (
      key:
      map (name: "${key}.${name} is declared by two of the merged fleets: expected one") (
        attrNames (intersectAttrs (a.${key} or { }) (b.${key} or { }))
      )
    ) sets;

  merged =
    a: b:
    let
      both = clashes a b;
      unknown = removeAttrs (a // b) (sets ++ lists);
      only = builtins.listToAttrs (
        concatMap (
          key:
          if !(a ? ${key} || b ? ${key}) then
            [ ]
          else
            [
              {
                name = key;
                value =
                  if builtins.elem key sets then
                    (a.${key} or { }) // (b.${key} or { })
                  else
                    (a.${key} or [ ]) ++ (b.${key} or [ ]);
              }
            ]
        ) (sets ++ lists)
      );
    in
    # What is no key of a fleet goes through, so that mkFleet refuses it with the ones that are.
    if both == [ ] then unknown // only else throw "nixwave: ${concatStringsSep "\n" both}";
in
fleets: foldl' merged { } (map definitionOf fleets)
