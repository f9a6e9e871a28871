# Selectors: which hosts a wave, a budget or an edge means. The same six forms as in a fleet file.
let
  shape = import ./shape.nix;
  inherit (builtins)
    all
    any
    attrNames
    concatMap
    elem
    head
    isAttrs
    isString
    length
    ;

  names = import ./names.nix;
  forms = "{ all = true; }, { tags = [ \"web\" ]; }, { hosts = [ \"web-1\" ]; }, { not = …; }, { and = [ … ]; } or { or = [ … ]; }";
  arms = {
    all = shape.expected "true" (value: value == true);
    tags = shape.listOf "tags" { min = 1; } names.tag;
    hosts = shape.listOf "hosts" { min = 1; } names.host;
    not = selector;
    and = shape.listOf "selectors" { min = 1; } selector;
    or = shape.listOf "selectors" { min = 1; } selector;
  };

  selector =
    where: value:
    let
      keys = attrNames value;
      key = head keys;
    in
    if !isAttrs value || length keys != 1 then
      [ "${where}: expected a selector with one key: ${forms}" ]
    else if !(arms ? ${key}) then
      [ "${where}: unknown selector ${builtins.toJSON key}: expected ${forms}.${shape.didYouMean key (attrNames arms)}" ]
    else
      arms.${key} (shape.at where key) value.${key};

  matches =
    selector: host:
    let
      key = head (attrNames selector);
      by = {
        all = true;
        tags = all (tag: elem tag host.tags) selector.tags;
        hosts = elem host.name selector.hosts;
        not = !(matches selector.not host);
        and = all (part: matches part host) selector.and;
        or = any (part: matches part host) selector.or;
      };
    in
    by.${key};

  namedHosts =
    selector:
    selector.hosts or (
      if selector ? not then
        namedHosts selector.not
      else
        concatMap namedHosts (selector.and or (selector.or or [ ]))
    );
in
{
  inherit matches namedHosts;
  shape = selector;

  # A host's name stands for itself where one end of an edge is meant.
  hostOr = where: value: if isString value then names.host where value else selector where value;
  of = value: if isString value then { hosts = [ value ]; } else value;
}
