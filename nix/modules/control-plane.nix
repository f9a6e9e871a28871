# The control plane: says when a host may move, and nothing else. It holds no release key.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.nixwave-control-plane;
  json = pkgs.formats.json { };
  user = "nixwave-cp";
  credentials = "/run/credentials/nixwave-control-plane.service";
  missing = builtins.filter (key: !(cfg.settings ? ${key})) [
    "repository"
    "root"
    "name"
  ];
  portOf = listen: lib.toInt (builtins.head (builtins.match ".*:([0-9]+)" listen));
in
{
  options.services.nixwave-control-plane = {
    enable = lib.mkEnableOption "the Nixwave control plane";

    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.nixwave-cp;
      defaultText = lib.literalExpression "pkgs.nixwave-cp";
      description = "The package that has bin/nixwave-cp.";
    };

    settings = lib.mkOption {
      inherit (json) type;
      default = { };
      example = lib.literalExpression ''
        {
          listen = "[::]:8460";
          name = "control.example.org";
          repository = "https://releases.example.org/";
          root = ./root.json;
        }
      '';
      description = ''
        The control plane's configuration file, key by key; `nixwave-cp check-config` explains each. It ends in the Nix store,
        which every user of the machine can read: secrets go by file (secretFiles).
      '';
    };

    secretFiles = lib.mkOption {
      type = lib.types.attrsOf lib.types.path;
      default = { };
      example = {
        caKey = "/run/secrets/nixwave-ca.pem";
      };
      description = ''
        Files outside the Nix store, by the setting that names them. Each is given to the unit as a credential, and the setting
        becomes the credential's path.
      '';
    };

    openFirewall = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = "Whether to open the port that settings.listen names.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = missing == [ ];
        message = "services.nixwave-control-plane.settings: expected ${builtins.concatStringsSep ", " missing} too: where the signed releases are, the root.json that nixwave init made, and the one name by which agents reach this machine";
      }
    ];

    services.nixwave-control-plane.settings = {
      data = lib.mkDefault "/var/lib/nixwave-cp";
      listen = lib.mkDefault "[::]:8460";
    }
    // builtins.mapAttrs (name: _: "${credentials}/${name}") cfg.secretFiles;

    users.users.${user} = {
      isSystemUser = true;
      group = user;
      description = "Nixwave control plane";
    };
    users.groups.${user} = { };

    networking.firewall.allowedTCPPorts = lib.mkIf cfg.openFirewall [ (portOf cfg.settings.listen) ];

    environment.systemPackages = [ cfg.package ];

    systemd.services.nixwave-control-plane = {
      description = "Nixwave control plane";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];
      # It never makes a database silently: one that is missing was lost, and says so with what to do.
      serviceConfig = {
        ExecStart = "${cfg.package}/bin/nixwave-cp serve --config ${json.generate "nixwave-cp.json" cfg.settings}";
        Restart = "always";
        RestartSec = 5;
        User = user;
        Group = user;
        StateDirectory = "nixwave-cp";
        StateDirectoryMode = "0700";
        LoadCredential = map (name: "${name}:${toString cfg.secretFiles.${name}}") (
          builtins.attrNames cfg.secretFiles
        );
        UMask = "0077";
        TimeoutStopSec = 15;
        # Sockets of a fleet that comes back all at once.
        LimitNOFILE = 65536;
        # It reads its configuration, writes its data, and answers the network: nothing else.
        CapabilityBoundingSet = "";
        DevicePolicy = "closed";
        LockPersonality = true;
        NoNewPrivileges = true;
        PrivateDevices = true;
        PrivateTmp = true;
        PrivateUsers = true;
        ProcSubset = "pid";
        ProtectClock = true;
        ProtectControlGroups = true;
        ProtectHome = true;
        ProtectHostname = true;
        ProtectKernelLogs = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;
        ProtectProc = "invisible";
        ProtectSystem = "strict";
        RemoveIPC = true;
        RestrictNamespaces = true;
        RestrictRealtime = true;
        RestrictSUIDSGID = true;
        RestrictAddressFamilies = [
          "AF_UNIX"
          "AF_INET"
          "AF_INET6"
        ];
        SystemCallArchitectures = "native";
        # No MemoryDenyWriteExecute: Node compiles as it runs.
        SystemCallFilter = [
          "@system-service"
          "~@privileged"
          "~@resources"
        ];
      };
    };
  };
}
