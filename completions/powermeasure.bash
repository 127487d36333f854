# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Completion for bash. What there is to complete the program says itself.

# _powermeasure_value NAME WORDS WORD: what an option's argument can be.
_powermeasure_value() {
    case $1 in
        DIR | ROOT) compgen -d -- "$3" ;;
        FILE) compgen -f -- "$3" ;;
        *) [ "$2" = - ] || compgen -W "${2//|/ }" -- "$3" ;;
    esac
}

# _powermeasure_options PROGRAM COMMAND BEFORE WORD: prints what fits.
_powermeasure_options() {
    local kind of letter name argument words

    [[ $4 == -* ]] && compgen -W --help -- "$4"
    "$1" --print-options 2>/dev/null | while IFS=$'\t' read -r kind of letter name argument words _; do
        [ "$kind/$of" = "option/$2" ] || continue
        if [ "$argument" != - ] && [[ $3 == "--$name" || $3 == "-$letter" ]]; then
            _powermeasure_value "$argument" "$words" "$4"
        elif [[ $4 == -* ]]; then
            compgen -W "--$name" -- "$4"
        fi
    done
}

_powermeasure_commands() {
    local kind name

    "$1" --print-options 2>/dev/null | while IFS=$'\t' read -r kind name _; do
        [ "$kind" = command ] && compgen -W "$name" -- "$2"
    done
    compgen -W "help --help --version" -- "$2"
}

_powermeasure() {
    local program=${COMP_WORDS[0]} command=${COMP_WORDS[1]} word=${COMP_WORDS[COMP_CWORD]}

    if [ "$COMP_CWORD" -eq 1 ] || { [ "$COMP_CWORD" -eq 2 ] && [ "$command" = help ]; }; then
        mapfile -t COMPREPLY < <(_powermeasure_commands "$program" "$word")
        return
    fi
    mapfile -t COMPREPLY < <(_powermeasure_options "$program" "$command" \
        "${COMP_WORDS[COMP_CWORD - 1]}" "$word")
    [ ${#COMPREPLY[@]} -gt 0 ] && return
    case $command/$COMP_CWORD in
        send/2) mapfile -t COMPREPLY < <(compgen -W "start stop terminate" -- "$word") ;;
        run/*) mapfile -t COMPREPLY < <(compgen -c -- "$word"; compgen -f -- "$word") ;;
        *) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    esac
}

complete -F _powermeasure powermeasure
