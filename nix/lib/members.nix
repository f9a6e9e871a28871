# The hosts of a definition with what resolution knows of them: name, channel, tags and wave (null where it is in none).
# Gives them, and a sentence for each host or wave that is not as it must be.
let
  selector = import ./selector.nix;
  didYouMean = import ./suggestion.nix;
  inherit (builtins)
    attrNames
    attrValues
    concatLists
    concatMap
    concatStringsSep
    elemAt
    filter
    genList
    head
    length
    mapAttrs
    toJSON
    ;

  numbered =
    list:
    genList (index: {
      number = index + 1;
      value = elemAt list index;
    }) (length list);
in
{
  inherit numbered;

  # A sentence for each host that a selector names and the fleet does not have, or that is another channel's.
  unknownHosts =
    { hosts, what, channel ? null }: select:
    concatMap (
      name:
      if !(hosts ? ${name}) then
        [ "${what} names host ${name}, which is not in the fleet.${didYouMean name (attrNames hosts)}" ]
      else if channel != null && hosts.${name}.channel != channel then
        [
          "${what} names host ${name}, which belongs to channel ${hosts.${name}.channel}: expected a host of ${channel}"
        ]
      else
        [ ]
    ) (selector.namedHosts select);

  of =
    self: definition:
    let
      inherit (definition) channels hosts;
      wavesOf = host: filter ({ value, ... }: selector.matches value.select host) (
        numbered (channels.${host.channel}.waves or [ ])
      );
      found = attrValues (
        mapAttrs (
          name: host:
          let
            named = {
              inherit name;
              inherit (host) channel;
              tags = host.tags or [ ];
            };
          in
          named // { waves = map (wave: wave.number) (wavesOf named); }
        ) hosts
      );

      wrongHost =
        { name, channel, waves, ... }:
        if !(channels ? ${channel}) then
          [
            "host ${name} names channel ${toJSON channel}, which is not declared: expected one of ${concatStringsSep ", " (attrNames channels)}.${didYouMean channel (attrNames channels)}"
          ]
        else if waves == [ ] then
          [ "host ${name} is in no wave of channel ${channel}: expected exactly one to select it" ]
        else if length waves > 1 then
          [
            "host ${name} is in wave ${concatStringsSep " and in wave " (map toString waves)} of channel ${channel}: expected one; narrow a selector, as with { not = …; }"
          ]
        else
          [ ];

      wrongWave =
        channel:
        { number, value }:
        let
          what = "wave ${toString number} of channel ${channel}";
          unknown = self.unknownHosts { inherit hosts what channel; } value.select;
          isEmpty = filter (host: host.channel == channel && selector.matches value.select host) found == [ ];
        in
        if unknown != [ ] then
          unknown
        else if isEmpty then
          [ "${what} is empty: its selector matches no host of ${channel}" ]
        else
          [ ];
    in
    {
      problems =
        concatMap wrongHost found
        ++ concatLists (
          map (channel: concatMap (wrongWave channel) (numbered channels.${channel}.waves)) (attrNames channels)
        );
      members = map (host: host // { wave = if host.waves == [ ] then null else head host.waves; }) found;
    };
}
