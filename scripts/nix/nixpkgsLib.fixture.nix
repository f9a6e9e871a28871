# As much of nixpkgs' lib as the modules use, for machines without nixpkgs. With NIXPKGS_LIB=/path/to/nixpkgs/lib the same tests run
# against the real one.
let
  inherit (builtins)
    attrNames
    concatMap
    elem
    foldl'
    head
    isAttrs
    isFunction
    mapAttrs
    ;

  tagged = type: value: isAttrs value && (value._type or null) == type;

  # The definitions that a value stands for.
  discharged =
    value:
    if tagged "if" value then
      (if value.condition then discharged value.content else [ ])
    else if tagged "merge" value then
      concatMap discharged value.contents
    else
      [ value ];

  # Those of one option. A condition is asked when the option is, and no sooner: it may depend on other options.
  definitionsAt =
    path: value:
    if tagged "if" value then
      map (lib.mkIf value.condition) (definitionsAt path value.content)
    else if tagged "merge" value then
      concatMap (definitionsAt path) value.contents
    else if path == [ ] then
      [ value ]
    else if value ? ${head path} then
      definitionsAt (builtins.tail path) value.${head path}
    else
      [ ];

  isWeak = tagged "override";
  isPlainSet = value: isAttrs value && !(value ? _type) && !(value ? type && value.type == "derivation");
  joined =
    values:
    let
      strong = builtins.filter (value: !isWeak value) values;
      used = if strong == [ ] then map (value: value.content) values else strong;
      all = concatMap discharged used;
      keys = attrNames (foldl' (a: b: a // b) { } all);
    in
    if builtins.all isPlainSet all then
      builtins.listToAttrs (
        concatMap (
          name:
          let
            found = concatMap (set: if set ? ${name} then discharged set.${name} else [ ]) all;
          in
          if found == [ ] then [ ] else [ { inherit name; value = joined found; } ]
        ) keys
      )
    else if builtins.all builtins.isList all then
      builtins.concatLists all
    else
      head all;

  configOf =
    modules: path: node:
    if tagged "option" node then
      joined (
        (if node ? default then [ (lib.mkDefault node.default) ] else [ ])
        ++ concatMap discharged (concatMap (definitionsAt path) modules)
      )
    else
      mapAttrs (name: configOf modules (path ++ [ name ])) node;
  deep = a: b: a // mapAttrs (name: value: if a ? ${name} && isPlainSet a.${name} && isPlainSet value then deep a.${name} value else value) b;

  lib = {
    mkOption = option: option // { _type = "option"; };
    mkEnableOption = what: lib.mkOption {
      type = "bool";
      default = false;
      description = "Whether to enable ${what}.";
    };
    mkIf = condition: content: {
      _type = "if";
      inherit condition content;
    };
    mkMerge = contents: {
      _type = "merge";
      inherit contents;
    };
    mkDefault = content: {
      _type = "override";
      inherit content;
    };
    literalExpression = text: text;
    toInt = text: builtins.fromJSON text;
    hasPrefix = prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;
    types = {
      package = "package";
      path = "path";
      bool = "bool";
      anything = "anything";
      nullOr = type: "null or ${type}";
      attrsOf = type: "attribute set of ${type}";
    };
    evalModules =
      { modules, specialArgs ? { } }:
      let
        arguments = specialArgs // {
          inherit lib config;
          options = { };
        };
        called = map (
          module:
          let
            value = if isFunction module then module arguments else if isAttrs module then module else import module;
          in
          if isFunction value then value arguments else value
        ) modules;
        options = foldl' deep { } (map (module: module.options or { }) called);
        config = configOf (map (
          module: module.config or (removeAttrs module [ "options" "imports" "_file" ])
        ) called) [ ] options;
      in
      {
        inherit config options;
      };
  };
in
lib
