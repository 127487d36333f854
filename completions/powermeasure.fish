# SPDX-License-Identifier: MIT
# Completion for fish. What there is to complete the program says itself.

complete -c powermeasure -n __fish_use_subcommand -f -a help -d 'explain a command'
complete -c powermeasure -n __fish_use_subcommand -s V -l version -d 'print the version'
complete -c powermeasure -s h -l help -d 'show this help'
complete -c powermeasure -n '__fish_seen_subcommand_from send' -f -a 'start stop terminate'

for line in (powermeasure --print-options 2>/dev/null)
    set -l fields (string split \t -- $line)
    switch $fields[1]
        case command
            complete -c powermeasure -n __fish_use_subcommand -f -a $fields[2] -d $fields[3]
            complete -c powermeasure -n '__fish_seen_subcommand_from help' -f -a $fields[2] -d $fields[3]
        case option
            set -l row -c powermeasure -n "__fish_seen_subcommand_from $fields[2]" -l $fields[4] -d $fields[9]
            test $fields[3] != - && set -a row -s $fields[3]
            switch $fields[5]
                case -
                case DIR ROOT
                    set -a row -x -a '(__fish_complete_directories)'
                case FILE
                    set -a row -r
                case '*'
                    set -a row -x
                    test $fields[6] != - && set -a row -a (string replace -a '|' ' ' -- $fields[6])
            end
            complete $row
    end
end
