# The first cycle among arrows { gates, gated }, as the list of its nodes with the first one again at its end; null where there is none.
let
  inherit (builtins)
    attrNames
    elem
    foldl'
    groupBy
    map
    ;

  # Depth first. `clear` are the nodes from which no cycle can be reached; each is walked once.
  walk =
    next: path: state: node:
    if state.cycle != null || state.clear ? ${node} then
      state
    else if elem node path then
      state // { cycle = closing node path ++ [ node ]; }
    else
      let
        after = foldl' (walk next (path ++ [ node ])) state (next.${node} or [ ]);
      in
      after // { clear = after.clear // { ${node} = true; }; };

  closing =
    node: path:
    if path == [ ] || builtins.head path == node then path else closing node (builtins.tail path);
in
arrows:
let
  next = builtins.mapAttrs (_: map (arrow: arrow.gated)) (groupBy (arrow: arrow.gates) arrows);
in
(foldl' (walk next [ ]) {
  clear = { };
  cycle = null;
} (attrNames next)).cycle
