# A health check as etc/nixwave/agent/health-checks.json has it (packages/protocol/src/probeFile.ts), without its name: that is the
# key under which it is declared.
let
  shape = import ./shape.nix;
  inherit (builtins) attrNames isAttrs;

  text = shape.text "a text of 1 to 4096 characters" {
    min = 1;
    max = 4096;
  };
  timing = {
    mode = shape.oneOf [
      "enforce"
      "observe"
      "disabled"
    ];
    intervalSecs = shape.number "0.1 seconds to a day" {
      min = 0.1;
      max = 86400;
    };
    timeoutSecs = shape.number "0.05 seconds to an hour" {
      min = 5.0e-2;
      max = 3600;
    };
    kind = shape.any;
  };
  int = min: max: shape.int "a whole number from ${toString min} to ${toString max}" { inherit min max; };

  kinds = {
    http = {
      required.url = shape.matching "an http or https URL" "https?://.+" 4096;
      optional.status = int 100 599;
      optional.bodyContains = shape.nullOr text;
    };
    tcp.required = {
      host = shape.text "a host name or an address" {
        min = 1;
        max = 253;
      };
      port = int 1 65535;
    };
    exec = {
      required.argv = shape.listOf "arguments" {
        min = 1;
        max = 256;
      } (shape.expected "a text or a path" (value: builtins.isString value || builtins.isPath value));
      optional.exitCode = int 0 255;
      optional.results = shape.nullOr (shape.oneOf [ "json" ]);
    };
    systemd.optional.units = shape.listOf "units" { max = 256; } (
      shape.matching "a unit such as \"nginx.service\"" "[a-zA-Z0-9:._@\\-]{1,255}" 255
    );
  };
  known = attrNames kinds;
in
where: check:
if !isAttrs check || !(check ? kind) then
  [ "${where}: expected a health check with a kind: ${builtins.concatStringsSep ", " known}" ]
else if !(builtins.isString check.kind && kinds ? ${check.kind}) then
  [
    "${where}.kind: expected ${builtins.concatStringsSep ", " known}.${
      if builtins.isString check.kind then shape.didYouMean check.kind known else ""
    }"
  ]
else
  let
    kind = kinds.${check.kind};
  in
  shape.record {
    required = kind.required or { };
    optional = timing // (kind.optional or { });
  } where check
