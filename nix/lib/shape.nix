# What a value must look like. A shape is a function `where: value: [ sentences ]`; no sentence means that it fits.
# All of a definition is looked at before anything is said, so that one evaluation names everything that is wrong.
let
  didYouMean = import ./suggestion.nix;
  inherit (builtins)
    attrNames
    concatLists
    concatMap
    concatStringsSep
    elem
    filter
    genList
    isAttrs
    isBool
    isFloat
    isInt
    isList
    isString
    length
    match
    stringLength
    toJSON
    typeOf
    ;

  shown = value: if isString value || isInt value || isBool value then toJSON value else "a ${typeOf value}";

  # A value for which `fits` holds.
  expected =
    what: fits: where: value:
    if fits value then [ ] else [ "${where}: expected ${what}, not ${shown value}" ];

  within = { min, max }: value: value >= min && value <= max;
in
rec {
  inherit expected didYouMean;

  at = where: key: if where == "" then key else "${where}.${key}";

  any = where: value: [ ];
  bool = expected "true or false" isBool;

  text =
    what: { min ? 0, max }:
    expected what (value: isString value && within { inherit min max; } (stringLength value));

  # A whole text of the pattern, an extended regular expression.
  matching =
    what: pattern: lengthMax:
    expected what (
      value: isString value && stringLength value <= lengthMax && match pattern value != null
    );

  int = what: range: expected what (value: isInt value && within range value);
  number = what: range: expected what (value: (isInt value || isFloat value) && within range value);
  oneOf = values: expected (concatStringsSep " or " values) (value: elem value values);

  listOf =
    what: { min ? 0, max ? 1000000 }: shape: where: value:
    if !isList value then
      [ "${where}: expected a list of ${what}, not ${shown value}" ]
    else if !within { inherit min max; } (length value) then
      [ "${where}: expected a list of ${toString min} to ${toString max} ${what}" ]
    else
      concatLists (
        genList (index: shape (at where (toString index)) (builtins.elemAt value index)) (length value)
      );

  # A set whose names and values have one shape each.
  mapOf =
    what: { name, value }: where: set:
    if !isAttrs set then
      [ "${where}: expected a set of ${what}, not ${shown set}" ]
    else
      concatMap (key: name where key ++ value (at where key) set.${key}) (attrNames set);

  # A set with these fields and no other: { required = { … }; optional = { … }; }.
  record =
    { required ? { }, optional ? { } }: where: value:
    let
      fields = required // optional;
      known = attrNames fields;
      here = if where == "" then "the fleet" else where;
      unknown = filter (key: !(fields ? ${key})) (attrNames value);
      missing = filter (key: !(value ? ${key})) (attrNames required);
      present = filter (key: fields ? ${key}) (attrNames value);
    in
    if !isAttrs value then
      [ "${here}: expected a set with ${concatStringsSep ", " known}, not ${shown value}" ]
    else
      map (
        key:
        "${here}: unknown key ${toJSON key}: expected ${concatStringsSep ", " known}.${didYouMean key known}"
      ) unknown
      ++ map (key: "${here}: ${key} is missing") missing
      ++ concatMap (key: fields.${key} (at where key) value.${key}) present;

  # Null, or a value of the shape.
  nullOr =
    shape: where: value:
    if value == null then [ ] else shape where value;
}
