# semver.jq - the highest version of a package that a range allows.
# Input: a registry's document of a package. --arg range "^18 || >=20.1 <21".
# Output: {version, tarball, integrity, shasum} or null; an error for what is no range.
# As npm reads ranges (tags too), but that a pre-release is taken only when it is named exactly.

def part: if . == null or . == "x" or . == "X" or . == "*" then null else tonumber end;

# "1.2", "v1.x", "*" -> [1,2,null]
def partial:
  . as $text
  | (capture("^[v=]*(?<a>[0-9]+|[xX*])?(\\.(?<b>[0-9]+|[xX*]))?(\\.(?<c>[0-9]+|[xX*]))?([-+][0-9A-Za-z.+-]+)?$")
     // error("not a version range: " + $text))
  | [(.a | part), (.b | part), (.c | part)]
  | if .[0] == null then [null, null, null] elif .[1] == null then [.[0], null, null] else . end;

def filled: map(. // 0);
# the first version that a partial one does not cover
def after:
  if .[0] == null then null
  elif .[1] == null then [.[0] + 1, 0, 0]
  elif .[2] == null then [.[0], .[1] + 1, 0]
  else [.[0], .[1], .[2] + 1] end;

def caret_end:
  if .[0] == null then null
  elif .[0] > 0 or .[1] == null then [.[0] + 1, 0, 0]
  elif .[1] > 0 or .[2] == null then [0, .[1] + 1, 0]
  else [0, 0, .[2] + 1] end;
def tilde_end: if .[0] == null or .[1] == null then after else [.[0], .[1] + 1, 0] end;

# one comparator -> {from, below}: from <= version < below; null is open
def span:
  capture("^(?<op>[<>=~^]*)(?<v>.*)$") as {$op, $v}
  | ($v | partial) as $p
  | if $op == "^" then {from: ($p | filled), below: ($p | caret_end)}
    elif $op == "~" or $op == "~>" then {from: ($p | filled), below: ($p | tilde_end)}
    elif ($op == "" or $op == "=") and ($v | test("^[^+]*-")) then {from: [1e9, 0, 0], below: null}
    elif $op == "" or $op == "=" then {from: ($p | filled), below: ($p | after)}
    elif $op == ">=" then {from: ($p | filled), below: null}
    elif $op == ">" then {from: (($p | after) // [1e9, 0, 0]), below: null}
    elif $op == "<=" then {from: [0, 0, 0], below: ($p | after)}
    elif $op == "<" then {from: [0, 0, 0], below: ($p | filled)}
    else error("not a version range: " + .) end;

# "a - b" or comparators with blanks between -> spans, all of which must hold
def spans:
  gsub("^\\s+|\\s+$"; "")
  | gsub("(?<o>[<>=~^])\\s+"; .o)
  | if test("^\\S+\\s+-\\s+\\S+$") then
      capture("^(?<a>\\S+)\\s+-\\s+(?<b>\\S+)$")
      | [{from: (.a | partial | filled), below: (.b | partial | after)}]
    elif . == "" then []
    else [splits("[\\s,]+") | span] end;

def allows($v): all(.[]; .from <= $v and (.below == null or $v < .below));

(.versions // {}) as $all
| ($range | gsub("^[v=\\s]+|\\s+$"; "")) as $exact
| (.["dist-tags"][$range] // $exact) as $named
| if $all[$named].dist.tarball then $named
  else ($range | [splits("\\s*\\|\\|\\s*") | spans]) as $sets
    | [$all | to_entries[]
       | select(.value.dist.tarball and (.key | test("^[0-9]+\\.[0-9]+\\.[0-9]+$")))
       | {key, v: (.key | split(".") | map(tonumber))}
       | select(.v as $v | any($sets[]; allows($v)))]
    | max_by(.v).key
  end
| if . == null then null
  else {version: ., tarball: $all[.].dist.tarball, integrity: $all[.].dist.integrity, shasum: $all[.].dist.shasum} end
