# The shapes of names, as packages/effects/src/ids.ts and packages/protocol/src/release.ts have them.
let
  shape = import ./shape.nix;
  label = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";
  tagPattern = "[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}";
in
{
  host = shape.matching "a host name such as \"web-1\" (RFC 1123, lower case)" "${label}(\\.${label})*" 253;
  channel = shape.matching "a channel such as \"stable\" (a-z, 0-9, _ and -)" "[a-z0-9][a-z0-9_-]{0,63}" 64;
  tag = shape.matching "a tag of 1 to 64 letters, digits, dots, _ and -" tagPattern 64;
  system = shape.matching "a system such as \"x86_64-linux\"" "[a-z0-9_]{1,32}-[a-z0-9_]{1,32}" 65;
  probe = shape.matching "a probe name of 1 to 128 letters, digits, dots, _ and -" "[a-zA-Z0-9._-]{1,128}" 128;
}
