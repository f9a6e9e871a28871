# ` Did you mean web-8?` for a word that is nearly one of the known ones, or nothing. The twin of packages/protocol/src/suggestion.ts.
let
  inherit (builtins)
    elemAt
    filter
    foldl'
    genList
    head
    length
    stringLength
    substring
    ;

  # Two slips of the finger; a third one makes another word.
  distanceMax = 2;
  lengthMax = 64;

  min = a: b: if a < b then a else b;
  abs = n: if n < 0 then 0 - n else n;
  characters = word: genList (at: substring at 1 word) (stringLength word);
  last = list: elemAt list (length list - 1);

  # One row of the table of edit distances from the row above it. Each cell is forced as it is made: a chain of thunks
  # would overflow the evaluator's stack.
  nextRow =
    from: row: letter:
    let
      step =
        { cells, column }:
        to:
        let
          change = elemAt row column + (if to == letter then 0 else 1);
          cell = min change (min (elemAt row (column + 1) + 1) (last cells + 1));
        in
        builtins.seq cell {
          cells = cells ++ [ cell ];
          column = column + 1;
        };
    in
    (foldl' step {
      cells = [ (head row + 1) ];
      column = 0;
    } from).cells;

  distance =
    a: b:
    let
      to = characters b;
    in
    last (foldl' (nextRow to) (genList (n: n) (length to + 1)) (characters a));

  nearer =
    word: best: candidate:
    if
      stringLength candidate > lengthMax
      || abs (stringLength candidate - stringLength word) >= best.distance
    then
      best
    else
      let
        far = distance word candidate;
      in
      if far < best.distance then
        {
          name = candidate;
          distance = far;
        }
      else
        best;
in
word: known:
let
  best = foldl' (nearer word) {
    name = null;
    distance = min distanceMax (stringLength word / 2) + 1;
  } (filter builtins.isString known);
in
if stringLength word > lengthMax || best.name == null then "" else " Did you mean ${best.name}?"
