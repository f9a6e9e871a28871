{ ... }:
{
  # What this host is for, its disks and its boot loader: move its configuration.nix here.
  fileSystems."/".device = "/dev/disk/by-label/nixos";
  boot.loader.systemd-boot.enable = true;
  boot.loader.efi.canTouchEfiVariables = true;
  system.stateVersion = "25.05";
}
