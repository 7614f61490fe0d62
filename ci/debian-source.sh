# Sourced by the scripts that need a suite which the machine's own package sources do not name.

# debian_source SUITE...: prints a source for these suites of the archive that the machine itself uses, in the
# same form (deb822 stanza or one line a suite), with the same key. Says on standard error why when it cannot.
debian_source() {
    local codename f stanza suite line
    codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
    for f in /etc/apt/sources.list.d/*.sources; do
        [ -e "$f" ] || continue
        # The first stanza that serves the plain release suite.
        stanza=$(awk -v RS= -v name="$codename" '$0 ~ "Suites:[^\n]*(^|[ \t])" name "([ \t]|\n|$)" { print; exit }' "$f" |
            sed -nE '/^(URIs|Signed-By):/p')
        if [[ $stanza == *URIs:* ]]; then
            printf 'Types: deb\nSuites: %s\nComponents: main\n%s\n' "$*" "$stanza"
            return 0
        fi
    done
    line=$(sed -nE "s/^(deb (\[[^]]*\] )?[^ ]+) $codename main.*/\1/p" \
        /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | head -n 1)
    if [ -z "$line" ]; then
        echo "no Debian source for $codename found to take others from" >&2
        return 1
    fi
    for suite in "$@"; do printf '%s %s main\n' "$line" "$suite"; done
}

# debian_source_file BASE SUITE...: the same, written to BASE.sources or BASE.list, whichever form it has.
debian_source_file() {
    local base=$1 text end=.sources
    shift
    text=$(debian_source "$@") || return 1
    [[ $text == deb\ * ]] && end=.list
    printf '%s\n' "$text" | "${AS_ROOT:-command}" tee "$base$end" >/dev/null
}
