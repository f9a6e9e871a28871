# The agent: pulls dispatches, verifies the signed release by itself, switches, watches health, rolls back.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.nixwave-agent;
  json = pkgs.formats.json { };
  credentials = "/run/credentials/nixwave-agent.service";
  checkNames = builtins.attrNames cfg.healthChecks;

  # What has no default: who decides, who vouches for it, and what releases are verified from.
  required = [
    "channel"
    "controlPlane"
    "root"
  ]
  ++ (if lib.hasPrefix "http:" (cfg.settings.controlPlane or "") then [ ] else [ "authority" ]);
  missing = builtins.filter (key: !(cfg.settings ? ${key})) required;
  example = "{ channel = \"stable\"; controlPlane = \"https://control.example.org:8460\"; authority = ./authority.pem; root = ./root.json; }";
in
{
  options.services.nixwave-agent = {
    enable = lib.mkEnableOption "the Nixwave agent, which rolls this host to what was released for it";

    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.nixwave-agent;
      defaultText = lib.literalExpression "pkgs.nixwave-agent";
      description = "The package that has bin/nixwave-agent.";
    };

    settings = lib.mkOption {
      inherit (json) type;
      default = { };
      example = lib.literalExpression ''
        {
          channel = "stable";
          controlPlane = "https://control.example.org:8460";
          authority = ./authority.pem;
          root = ./root.json;
        }
      '';
      description = ''
        The agent's configuration file, key by key; `nixwave-agent check-config` explains each. It ends in the Nix store,
        which every user of the host can read: secrets go by file (joinTokenFile).
      '';
    };

    joinTokenFile = lib.mkOption {
      type = lib.types.nullOr lib.types.path;
      default = null;
      description = ''
        File outside the Nix store with a join token, for a host whose SSH host key the fleet does not declare. It is given to
        the unit as a credential, and may be removed once the host has enrolled.
      '';
    };

    healthChecks = lib.mkOption {
      type = lib.types.attrsOf (lib.types.attrsOf lib.types.anything);
      default = { };
      example = {
        http-app = {
          kind = "http";
          url = "http://127.0.0.1:8080/health";
        };
      };
      description = ''
        What must be healthy while a release soaks, by name. They are part of the closure, so the signed release vouches for them.
        mkFleet adds those of the host's channel, tags and fleet; what is said here is above them.
      '';
    };

    openFirewall = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = "Whether to open the metrics port, where settings.metrics names one. The agent itself accepts no connection.";
    };
  };

  config = lib.mkMerge [
    {
      # Also where the agent is not enabled: a closure that declares nothing has a failing probe, never a healthy one.
      environment.etc = lib.mkIf (cfg.enable || checkNames != [ ]) {
        "nixwave/agent/health-checks.json".text = builtins.toJSON {
          schemaVersion = 1;
          checks = map (name: { inherit name; } // cfg.healthChecks.${name}) checkNames;
        };
      };
    }
    (lib.mkIf cfg.enable {
      assertions = [
        {
          assertion = missing == [ ];
          message = "services.nixwave-agent.settings: expected ${builtins.concatStringsSep ", " missing} too, as in ${example}";
        }
      ];

      services.nixwave-agent.settings = {
        host = lib.mkDefault config.networking.hostName;
        stateDir = lib.mkDefault "/var/lib/nixwave-agent";
        activation.backend = lib.mkDefault "nixos";
        enrolment = lib.mkDefault (
          if cfg.joinTokenFile == null then
            { sshHostKey = "/etc/ssh/ssh_host_ed25519_key"; }
          else
            { tokenFile = "${credentials}/join-token"; }
        );
      };

      networking.firewall.allowedTCPPorts = lib.mkIf (
        cfg.openFirewall && cfg.settings ? metrics && cfg.settings.metrics ? port
      ) [ cfg.settings.metrics.port ];

      environment.systemPackages = [ cfg.package ];

      systemd.services.nixwave-agent = {
        description = "Nixwave agent";
        wantedBy = [ "multi-user.target" ];
        wants = [ "network-online.target" ];
        after = [ "network-online.target" ];
        # A crash loop must not end in a host that nobody can roll back any more.
        unitConfig.StartLimitIntervalSec = 0;
        # What it runs: Nix to realise and to set the profile, systemd-run and systemctl to fire and to read units, a shell around them.
        path = [
          config.nix.package
          config.systemd.package
          pkgs.bash
          pkgs.coreutils
          pkgs.util-linux
        ];
        environment.NIX_REMOTE = "daemon";
        serviceConfig = {
          Type = "notify";
          # systemd-notify is a child of the agent.
          NotifyAccess = "all";
          ExecStart = "${cfg.package}/bin/nixwave-agent run --config ${json.generate "nixwave-agent.json" cfg.settings}";
          Restart = "always";
          RestartSec = 5;
          WatchdogSec = 60;
          StateDirectory = "nixwave-agent";
          StateDirectoryMode = "0700";
          LoadCredential = lib.mkIf (cfg.joinTokenFile != null) [ "join-token:${toString cfg.joinTokenFile}" ];
          UMask = "0077";
          # It is root, for only root may switch a system; a switch runs in a unit of its own, outside of what follows. It writes profiles
          # and GC roots, and has the boot loader installed (/boot, EFI variables): no ProtectSystem, no ProtectKernelTunables. Probes of
          # kind exec run in here.
          NoNewPrivileges = true;
          ProtectHome = "read-only";
          PrivateTmp = true;
          ProtectClock = true;
          ProtectControlGroups = true;
          ProtectHostname = true;
          ProtectKernelLogs = true;
          ProtectKernelModules = true;
          LockPersonality = true;
          RestrictNamespaces = true;
          RestrictRealtime = true;
          RestrictSUIDSGID = true;
          RestrictAddressFamilies = [
            "AF_UNIX"
            "AF_INET"
            "AF_INET6"
            "AF_NETLINK"
          ];
          SystemCallArchitectures = "native";
        };
      };
    })
  ];
}
