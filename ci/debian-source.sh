# Sourced by the scripts that need a suite which the machine's own package sources do not name. They look below
# DEBIAN_ROOT, if that is set (ci/setup-test).

# debian_suite: prints the name by which this machine's sources call its release. Unstable and testing have no name of
# their own in os-release, or each other's.
debian_suite() {
    local names name
    names=$(. "${DEBIAN_ROOT:-}/etc/os-release" && printf '%s %s' "${VERSION_CODENAME:-}" "${PRETTY_NAME##* }")
    for name in ${names//\// } sid unstable testing stable oldstable; do
        if debian_source_like "$name" "$name" >/dev/null 2>&1; then
            printf '%s\n' "$name"
            return 0
        fi
    done
    echo "no Debian source of this machine's own release found to take others from" >&2
    return 1
}

# debian_source SUITE...: prints a source for these suites of the archive that the machine itself uses, in the same form
# (deb822 stanza or one line a suite), with the same key. Says on standard error why when it cannot.
debian_source() {
    local own
    own=$(debian_suite) && debian_source_like "$own" "$@"
}

# debian_source_like KNOWN SUITE...: the same, made from the machine's source for the suite KNOWN.
debian_source_like() {
    local known=$1 f stanza suite line
    shift
    for f in "${DEBIAN_ROOT:-}"/etc/apt/sources.list.d/*.sources; do
        [ -e "$f" ] || continue
        stanza=$(awk -v known="$known" '
            function done_with_it() {
                if (!found && !("enabled" in field && tolower(field["enabled"]) ~ /no|false/) &&
                    field["types"] " " ~ /[ \t]deb[ \t]/ && index(field["suites"] " ", " " known " ")) {
                    printf "%s", kept
                    found = 1
                }
                split("", field)
                kept = ""
            }
            /^#/ { next }
            /^[ \t]*$/ { done_with_it(); next }
            /^[^ \t]/ { name = tolower(substr($0, 1, index($0, ":") - 1)) }
            {
                value = /^[^ \t]/ ? substr($0, index($0, ":") + 1) : $0
                gsub(/[ \t]+/, " ", value)
                field[name] = field[name] " " value
                gsub(/ +/, " ", field[name])
                if (name == "uris" || name == "signed-by") kept = kept $0 "\n"
            }
            END { done_with_it() }' "$f")
        if [ -n "$stanza" ]; then
            printf 'Types: deb\nSuites: %s\nComponents: main\n%s\n' "$*" "$stanza"
            return 0
        fi
    done
    # An option that names architectures is left out: what is wanted may be for another one.
    line=$(sed -nE "s%^(deb[ \t]+(\[[^]]*\][ \t]+)?[^ \t]+)[ \t]+$known/?([ \t]+[^#]*)?[ \t]main([ \t].*)?\$%\1%p" \
        "${DEBIAN_ROOT:-}"/etc/apt/sources.list "${DEBIAN_ROOT:-}"/etc/apt/sources.list.d/*.list 2>/dev/null |
        sed -E '1!d; s/([[ ])arch[+-]?=[^] ]*/\1/; s/\[ *\] *//; s/[ \t]+/ /g') || true
    if [ -z "$line" ]; then
        echo "no Debian source for $known found to take others from" >&2
        return 1
    fi
    for suite in "$@"; do printf '%s %s main\n' "$line" "$suite"; done
}

# debian_source_file BASE SUITE...: the same as debian_source, written to BASE.sources or BASE.list, whichever form it has.
debian_source_file() {
    local base=$1 text end=.sources
    shift
    text=$(debian_source "$@") || return 1
    [[ $text == deb\ * ]] && end=.list
    printf '%s\n' "$text" | "${AS_ROOT:-command}" tee "$base$end" >/dev/null
}
