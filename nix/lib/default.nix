# The one door of the library: builtins only, so that it evaluates without nixpkgs.
{
  mkFleet = import ./mk-fleet.nix;
  mergeFleets = import ./merge-fleets.nix;
}
