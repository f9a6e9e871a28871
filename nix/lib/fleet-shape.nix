# The shape of what mkFleet is given.
let
  shape = import ./shape.nix;
  names = import ./names.nix;
  selector = import ./selector.nix;

  secsMax = 365 * 24 * 3600;
  secs =
    min:
    shape.int "a whole number of seconds from ${toString min} to a year" {
      inherit min;
      max = secsMax;
    };
  countFrom =
    min:
    shape.int "a whole number from ${toString min}" {
      inherit min;
      max = 9007199254740991;
    };
  reason = shape.text "a reason of 1 to 500 characters: it is what nixwave why shows" {
    min = 1;
    max = 500;
  };

  # The agent's own probes report under these.
  builtIn = [
    "system-stable"
    "reachability"
    "probe-topology"
    "running-closure"
    "operator"
  ];
  healthChecks = shape.mapOf "health checks by name" {
    name =
      where: name:
      names.probe where name
      ++ (
        if builtins.elem name builtIn then
          [ "${where}.${name}: expected a name that is not one of the agent's own probes" ]
        else
          [ ]
      );
    value = import ./health-check-shape.nix;
  };

  policy = shape.record {
    optional = {
      onHealthFailure = shape.oneOf [
        "rollback-and-halt"
        "halt"
      ];
      healthFailureThresholdSecs = secs 0;
      activationTimeoutSecs = secs 1;
      realiseTimeoutSecs = secs 1;
      rollbackTimeoutSecs = secs 1;
      probeReportSecs = secs 1;
      lostSecs = secs 1;
      offlineGraceSecs = secs 1;
      maxFailures = countFrom 0;
      deferredCounts = shape.oneOf [
        "waiting"
        "done"
      ];
    };
  };
  wave = shape.record {
    required.select = selector.shape;
    optional = {
      description = shape.text "a text of at most 500 characters" { max = 500; };
      soakSecs = secs 0;
    };
  };
  maxInFlight = shape.expected "a whole number from 1, or a percentage such as \"25%\"" (
    value:
    if builtins.isInt value then
      value >= 1
    else
      builtins.isString value && builtins.match "(100|[1-9]?[0-9])%" value != null
  );
in
shape.record {
  required.hosts = shape.mapOf "hosts by name" {
    name = names.host;
    value = shape.record {
      required.channel = names.channel;
      optional = {
        tags = shape.listOf "tags" { } names.tag;
        system = names.system;
        configuration = shape.expected "a NixOS configuration" builtins.isAttrs;
        sshHostKey = shape.nullOr (
          shape.matching "an SSH host key such as \"ssh-ed25519 AAAA…\"" "ssh-ed25519 [A-Za-z0-9+/=]+( .*)?" 1024
        );
        inherit healthChecks;
      };
    };
  };
  required.channels = shape.mapOf "channels by name" {
    name = names.channel;
    value = shape.record {
      required.waves = shape.listOf "waves" { min = 1; } wave;
      optional = { inherit policy healthChecks; };
    };
  };
  optional = {
    nixosConfigurations = shape.expected "a set of NixOS configurations" builtins.isAttrs;
    tags = shape.mapOf "tags by name" {
      name = names.tag;
      value = shape.record { optional = { inherit healthChecks; }; };
    };
    inherit healthChecks;
    budgets = shape.listOf "budgets" { } (
      shape.record {
        required = {
          name = shape.text "a budget's name of 1 to 128 characters" {
            min = 1;
            max = 128;
          };
          select = selector.shape;
          inherit maxInFlight;
        };
      }
    );
    edges = shape.listOf "edges" { } (
      shape.record {
        required = {
          gates = selector.hostOr;
          gated = selector.hostOr;
          inherit reason;
        };
      }
    );
    channelEdges = shape.listOf "channel edges" { } (
      shape.record {
        required = {
          gates = names.channel;
          gated = names.channel;
          inherit reason;
        };
      }
    );
  };
} ""
